import { fail, isStorageError } from '../errors.ts';
import type { EntryId, LogPosition, RaftEventSink } from '../events.ts';
import { maxIndex, minIndex, NO_INDEX, NO_TERM, shiftIndex } from '../ids.ts';
import type { Entry, LogIndex, NodeId, Snapshot, Storage, Term } from '../types.ts';
import { entriesSize } from './entry-size.ts';
import { Unstable } from './unstable.ts';

const NONE: readonly Entry[] = Object.freeze<Entry[]>([]);

/**
 * The log as one sequence, whether an entry is in storage or not yet.
 *
 * Invariants: `applied <= applying <= committed <= lastIndex`.
 */
export class RaftLog {
  readonly storage: Storage;
  readonly unstable: Unstable;
  readonly #node: NodeId;
  readonly #onEvent: RaftEventSink | undefined;
  /** Limit on entries handed out for applying and not acknowledged yet, in bytes. */
  readonly maxApplyingBytes: number;

  /** Highest index known to be durable on a quorum. */
  committed: LogIndex;
  /** Highest index handed out for applying. */
  applying: LogIndex;
  /** Highest index that the application has applied. */
  applied: LogIndex;
  #applyingBytes = 0;
  #applyingPaused = false;

  constructor(node: NodeId, storage: Storage, maxApplyingBytes: number, onEvent: RaftEventSink | undefined) {
    this.#node = node;
    this.storage = storage;
    this.maxApplyingBytes = maxApplyingBytes;
    this.#onEvent = onEvent;
    this.unstable = new Unstable(node, shiftIndex(storage.lastIndex(), 1), onEvent);
    // What is compacted was committed and applied before.
    const compacted = shiftIndex(storage.firstIndex(), -1);
    this.committed = compacted;
    this.applying = compacted;
    this.applied = compacted;
  }

  firstIndex(): LogIndex {
    const snapshot = this.unstable.snapshot;
    return snapshot === undefined ? this.storage.firstIndex() : shiftIndex(snapshot.metadata.index, 1);
  }

  lastIndex(): LogIndex {
    return this.unstable.lastIndex() ?? this.storage.lastIndex();
  }

  /** Term at `index`, `undefined` where it is compacted or beyond the end. */
  term(index: LogIndex): Term | undefined {
    // The hot path: entries in flight are not durable yet.
    const held = this.unstable.term(index);
    if (held !== undefined) return held;
    if (index + 1 < this.firstIndex() || index > this.lastIndex()) return undefined;
    try {
      return this.storage.term(index);
    } catch (error) {
      if (isStorageError(error, 'compacted') || isStorageError(error, 'unavailable')) return undefined;
      throw error;
    }
  }

  termOrZero(index: LogIndex): Term {
    return this.term(index) ?? NO_TERM;
  }

  /** Position and term of the last entry. */
  lastEntry(): EntryId {
    const index = this.lastIndex();
    const term = this.term(index);
    if (term === undefined) fail(`the storage does not know the term of its last entry ${index}`);
    return { term, index };
  }

  matches(term: Term, index: LogIndex): boolean {
    return this.term(index) === term;
  }

  /**
   * Paper, 5.4.1: a log whose last entry has the later term, or the same term and at least this index, has everything
   * committed that this log has.
   */
  isUpToDate(candidate: EntryId): boolean {
    const last = this.lastEntry();
    return candidate.term > last.term || (candidate.term === last.term && candidate.index >= last.index);
  }

  /**
   * Appends what a leader sent after the entry (prevTerm, prevIndex). Returns the index of the last entry that is now
   * known to equal the leader's, or `undefined` when this log has another entry at `prevIndex`, or none.
   */
  maybeAppend(
    prevTerm: Term,
    prevIndex: LogIndex,
    entries: readonly Entry[],
    leaderCommit: LogIndex,
  ): LogIndex | undefined {
    if (!this.matches(prevTerm, prevIndex)) return undefined;
    const lastNew = shiftIndex(prevIndex, entries.length);
    const position = this.#firstUnmatched(entries);
    const conflict = entries[position];
    if (conflict !== undefined) {
      if (conflict.index <= this.committed) {
        fail(`entry ${conflict.index} conflicts with a committed one (committed up to ${this.committed})`);
      }
      if (conflict.index !== prevIndex + 1 + position) {
        fail(`entries after ${prevIndex} are not contiguous: found ${conflict.index} in place ${position}`);
      }
      this.#append(entries, position);
    }
    this.commitTo(minIndex(leaderCommit, lastNew));
    return lastNew;
  }

  /** Appends a leader's own entries. */
  append(entries: readonly Entry[]): void {
    this.#append(entries, 0);
  }

  /**
   * The highest index at or before `index` where this log could agree with another one that has `term` at `index`:
   * whose term here is not above `term`, or is not known any more. With it goes that term, 0 when unknown.
   */
  findConflictByTerm(index: LogIndex, term: Term): EntryId {
    for (let at = index; at > 0; at = shiftIndex(at, -1)) {
      const own = this.term(at);
      if (own === undefined) return { term: NO_TERM, index: at };
      if (own <= term) return { term: own, index: at };
    }
    return { term: NO_TERM, index: NO_INDEX };
  }

  /** Entries from `low` on that fit in `maxBytes`; `undefined` when they are compacted. */
  entriesFrom(low: LogIndex, maxBytes: number): readonly Entry[] | undefined {
    const last = this.lastIndex();
    if (low > last) return NONE;
    return this.slice(low, shiftIndex(last, 1), maxBytes);
  }

  /** Entries of `[low, high)` that fit in `maxBytes`, at least one; `undefined` when they are compacted. */
  slice(low: LogIndex, high: LogIndex, maxBytes: number): readonly Entry[] | undefined {
    if (low > high) fail(`invalid range of entries [${low}, ${high})`);
    if (low < this.firstIndex()) return undefined;
    if (high > this.lastIndex() + 1)
      fail(`entries [${low}, ${high}) reach beyond the last one, ${this.lastIndex()}`);
    if (low === high) return NONE;
    const offset = this.unstable.offset;
    if (low >= offset) return this.unstable.slice(low, high, maxBytes);

    const cut = minIndex(high, offset);
    const stored = this.#storedEntries(low, cut, maxBytes);
    if (stored === undefined || high <= offset || stored.length < cut - low) return stored;
    const size = entriesSize(stored);
    if (size >= maxBytes) return stored;
    const rest = this.unstable.slice(offset, high, maxBytes - size);
    // The first of the rest is returned even if it is too large; together with others it must not be.
    if (rest.length === 1 && size + entriesSize(rest) > maxBytes) return stored;
    return [...stored, ...rest];
  }

  hasNextCommitted(allowUnstable: boolean): boolean {
    // A snapshot has to be applied first; what comes after it must not overtake.
    if (this.#applyingPaused || this.unstable.snapshot !== undefined) return false;
    return this.applying < this.#maxAppliable(allowUnstable);
  }

  /** Committed entries to apply next. Only durable ones unless `allowUnstable`. */
  nextCommitted(allowUnstable: boolean): readonly Entry[] {
    if (!this.hasNextCommitted(allowUnstable)) return NONE;
    const room = this.maxApplyingBytes - this.#applyingBytes;
    if (room <= 0) fail(`no room to apply entries, although applying is not paused (${room} bytes)`);
    const high = shiftIndex(this.#maxAppliable(allowUnstable), 1);
    const entries = this.slice(shiftIndex(this.applying, 1), high, room);
    if (entries === undefined)
      fail(`committed entries after ${this.applying} were compacted before they were applied`);
    return entries;
  }

  /** Never moves back. A commit index beyond the log means that the log lost entries. */
  commitTo(index: LogIndex): void {
    if (this.committed >= index) return;
    if (this.lastIndex() < index) {
      fail(
        `cannot commit ${index}: the log ends at ${this.lastIndex()}; it was truncated, damaged or belongs to another node`,
      );
    }
    this.committed = index;
  }

  /**
   * Paper, 5.4.2 and figure 8: only an entry of the leader's own term is committed by counting; older ones are
   * committed with it.
   */
  maybeCommit(term: Term, index: LogIndex): boolean {
    if (index <= this.committed || term === NO_TERM || this.term(index) !== term) return false;
    this.commitTo(index);
    return true;
  }

  acceptApplying(index: LogIndex, bytes: number, allowUnstable: boolean): void {
    if (this.committed < index) fail(`cannot apply ${index}: committed only up to ${this.committed}`);
    this.applying = index;
    this.#applyingBytes += bytes;
    // Paused when the limit is reached, or when it is what kept the batch from being longer.
    this.#applyingPaused =
      this.#applyingBytes >= this.maxApplyingBytes || index < this.#maxAppliable(allowUnstable);
  }

  appliedTo(index: LogIndex, bytes: number): void {
    if (this.committed < index || index < this.applied) {
      fail(`applied index ${index} is outside of [${this.applied}, ${this.committed}]`);
    }
    this.applied = index;
    this.applying = maxIndex(this.applying, index);
    this.#applyingBytes = Math.max(0, this.#applyingBytes - bytes);
    this.#applyingPaused = this.#applyingBytes >= this.maxApplyingBytes;
  }

  snapshot(): Snapshot {
    return this.unstable.snapshot ?? this.storage.snapshot();
  }

  restore(snapshot: Snapshot): void {
    const { index, term } = snapshot.metadata;
    this.#onEvent?.({
      type: 'snapshotRestoring',
      node: this.#node,
      position: this.position(),
      snapshot: { term, index },
    });
    this.committed = index;
    this.unstable.restore(snapshot);
  }

  position(): LogPosition {
    return {
      committed: this.committed,
      applied: this.applied,
      applying: this.applying,
      unstableOffset: this.unstable.offset,
      unstableOffsetInProgress: this.unstable.offsetInProgress,
      unstableEntries: this.unstable.length,
    };
  }

  /** Position of the first entry that this log does not have with the same term; the length if it has all. */
  #firstUnmatched(entries: readonly Entry[]): number {
    for (let i = 0; i < entries.length; i += 1) {
      const entry = entries[i];
      if (entry === undefined || this.matches(entry.term, entry.index)) continue;
      if (entry.index <= this.lastIndex()) {
        this.#onEvent?.({
          type: 'conflictFound',
          node: this.#node,
          index: entry.index,
          existingTerm: this.termOrZero(entry.index),
          conflictingTerm: entry.term,
        });
      }
      return i;
    }
    return entries.length;
  }

  #append(entries: readonly Entry[], from: number): void {
    const first = entries[from];
    if (first === undefined) return;
    if (first.index - 1 < this.committed) {
      fail(`cannot append at ${first.index}: committed up to ${this.committed}`);
    }
    this.unstable.truncateAndAppend(entries, from);
  }

  #maxAppliable(allowUnstable: boolean): LogIndex {
    return allowUnstable ? this.committed : minIndex(this.committed, shiftIndex(this.unstable.offset, -1));
  }

  #storedEntries(low: LogIndex, high: LogIndex, maxBytes: number): readonly Entry[] | undefined {
    try {
      return this.storage.entries(low, high, maxBytes);
    } catch (error) {
      if (isStorageError(error, 'compacted')) return undefined;
      if (isStorageError(error, 'unavailable'))
        fail(`the storage lost entries [${low}, ${high}), which it had`);
      throw error;
    }
  }
}
