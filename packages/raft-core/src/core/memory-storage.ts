import { fail, StorageError } from './errors.ts';
import { NO_INDEX, NO_TERM, shiftIndex } from './ids.ts';
import { countWithin } from './log/entry-size.ts';
import { NO_BYTES } from './message.ts';
import type { ConfState, Entry, HardState, LogIndex, Snapshot, Storage, Term } from './types.ts';
import { NO_NODE } from './types.ts';

const EMPTY_CONF_STATE: ConfState = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
};

/** The snapshot of a group that has none: index 0, no members. */
export const EMPTY_SNAPSHOT: Snapshot = {
  metadata: { index: NO_INDEX, term: NO_TERM, confState: EMPTY_CONF_STATE },
  data: NO_BYTES,
};

/** A {@link Storage} in memory, for tests and for groups that live no longer than their process. */
export class MemoryStorage implements Storage {
  #hardState: HardState = { term: NO_TERM, vote: NO_NODE, commit: NO_INDEX };
  #snapshot: Snapshot = EMPTY_SNAPSHOT;
  /** Position and term of what comes just before the first entry held. */
  #compactedIndex: LogIndex = NO_INDEX;
  #compactedTerm: Term = NO_TERM;
  #entries: Entry[] = [];

  /** See {@link Storage.initialState}. */
  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return { hardState: this.#hardState, confState: this.#snapshot.metadata.confState };
  }

  firstIndex(): LogIndex {
    return shiftIndex(this.#compactedIndex, 1);
  }

  /** See {@link Storage.lastIndex}. */
  lastIndex(): LogIndex {
    return shiftIndex(this.#compactedIndex, this.#entries.length);
  }

  term(index: LogIndex): Term {
    if (index === this.#compactedIndex) return this.#compactedTerm;
    if (index < this.#compactedIndex) throw compacted(index);
    const entry = this.#entries[index - this.#compactedIndex - 1];
    if (entry === undefined) throw unavailable(index);
    return entry.term;
  }

  entries(low: LogIndex, high: LogIndex, maxSizeBytes: number): readonly Entry[] {
    if (low <= this.#compactedIndex) throw compacted(low);
    if (high > this.lastIndex() + 1) throw unavailable(high);
    const from = low - this.#compactedIndex - 1;
    const count = countWithin(this.#entries, from, from + (high - low), maxSizeBytes);
    return this.#entries.slice(from, from + count);
  }

  snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** Replaces term, vote and commit index. */
  setHardState(state: HardState): void {
    this.#hardState = state;
  }

  /** Appends contiguous entries, replacing what is at and after their first index. What is compacted is skipped. */
  append(entries: readonly Entry[]): void {
    const skip = entries.findIndex((entry) => entry.index > this.#compactedIndex);
    const first = skip === -1 ? undefined : entries[skip];
    if (first === undefined) return;
    if (first.index > this.lastIndex() + 1)
      fail(`entry ${first.index} leaves a gap: the log ends at ${this.lastIndex()}`);
    this.#entries.length = first.index - this.#compactedIndex - 1;
    for (let i = skip; i < entries.length; i += 1) {
      const entry = entries[i];
      if (entry !== undefined) this.#entries.push(entry);
    }
  }

  /** Drops entries up to and including `index`. Throws `compacted` if that was done already. */
  compact(index: LogIndex): void {
    if (index <= this.#compactedIndex) throw compacted(index);
    if (index > this.lastIndex()) fail(`cannot compact up to ${index}: the log ends at ${this.lastIndex()}`);
    this.#compactedTerm = this.term(index);
    this.#entries = this.#entries.slice(index - this.#compactedIndex);
    this.#compactedIndex = index;
  }

  /** Makes a snapshot of the state after `index`, which must be in the log. Throws `compacted` for an older one. */
  createSnapshot(index: LogIndex, confState: ConfState, data: Uint8Array): Snapshot {
    if (index <= this.#snapshot.metadata.index) throw compacted(index);
    if (index > this.lastIndex()) fail(`cannot snapshot at ${index}: the log ends at ${this.lastIndex()}`);
    this.#snapshot = { metadata: { index, term: this.term(index), confState }, data };
    return this.#snapshot;
  }

  /** Replaces everything by a snapshot. Throws `compacted` for one that is not newer. */
  applySnapshot(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    if (index <= this.#snapshot.metadata.index) throw compacted(index);
    this.#snapshot = snapshot;
    this.#compactedIndex = index;
    this.#compactedTerm = term;
    this.#entries = [];
  }
}

function compacted(index: LogIndex): StorageError {
  return new StorageError('compacted', `index ${index} is compacted: a snapshot covers it`);
}

function unavailable(index: LogIndex): StorageError {
  return new StorageError('unavailable', `index ${index} is beyond the end of the log`);
}
