import { fail } from '../errors.ts';
import type { RaftEventSink } from '../events.ts';
import { maxIndex, minIndex, shiftIndex } from '../ids.ts';
import type { Entry, LogIndex, NodeId, Snapshot, Term } from '../types.ts';
import { countWithin } from './entry-size.ts';

const NONE: readonly Entry[] = Object.freeze<Entry[]>([]);

/**
 * What the storage does not have for certain yet: a tail of the log, and perhaps a snapshot before it. Entries stay
 * here while they are being written, until the write is acknowledged under the same term.
 *
 * `offset` may be below the end of the storage's log: then writing these entries replaces its tail.
 */
export class Unstable {
  readonly #node: NodeId;
  readonly #onEvent: RaftEventSink | undefined;
  #snapshot: Snapshot | undefined;
  #snapshotInProgress = false;
  /** Entries live in `#entries[#head..]`; what is acknowledged is skipped, and cut off once it is the larger part. */
  #entries: Entry[] = [];
  #head = 0;
  /** Index of the first entry. */
  #offset: LogIndex;
  /** Index of the first entry that is not being written yet. */
  #offsetInProgress: LogIndex;

  constructor(node: NodeId, offset: LogIndex, onEvent: RaftEventSink | undefined) {
    this.#node = node;
    this.#offset = offset;
    this.#offsetInProgress = offset;
    this.#onEvent = onEvent;
  }

  get offset(): LogIndex {
    return this.#offset;
  }

  get offsetInProgress(): LogIndex {
    return this.#offsetInProgress;
  }

  get snapshot(): Snapshot | undefined {
    return this.#snapshot;
  }

  /** Entries held. */
  get length(): number {
    return this.#entries.length - this.#head;
  }

  /** One after the last entry, or after the snapshot if there is none. */
  get end(): LogIndex {
    return shiftIndex(this.#offset, this.length);
  }

  lastIndex(): LogIndex | undefined {
    if (this.length > 0) return shiftIndex(this.end, -1);
    return this.#snapshot?.metadata.index;
  }

  /** Term at `index`, if this part of the log knows it. */
  term(index: LogIndex): Term | undefined {
    if (index < this.#offset) {
      return this.#snapshot?.metadata.index === index ? this.#snapshot.metadata.term : undefined;
    }
    return this.#entries[this.#head + (index - this.#offset)]?.term;
  }

  hasNextEntries(): boolean {
    return this.length > this.#offsetInProgress - this.#offset;
  }

  /** Entries whose writing has not begun. */
  nextEntries(): readonly Entry[] {
    if (!this.hasNextEntries()) return NONE;
    return this.#entries.slice(this.#head + (this.#offsetInProgress - this.#offset));
  }

  /** The snapshot, if its writing has not begun. */
  nextSnapshot(): Snapshot | undefined {
    return this.#snapshotInProgress ? undefined : this.#snapshot;
  }

  /** Everything held has been handed out for writing. */
  acceptInProgress(): void {
    if (this.length > 0) this.#offsetInProgress = this.end;
    if (this.#snapshot !== undefined) this.#snapshotInProgress = true;
  }

  /**
   * Entries up to (term, index) are durable. To be called only when no write in progress can overwrite them: see the
   * rule on `MsgStorageAppendResp` in `raft/step.ts`.
   */
  stableTo(term: Term, index: LogIndex): void {
    const held = this.term(index);
    if (held === undefined) {
      this.#onEvent?.({ type: 'stableEntryMissing', node: this.#node, index });
      return;
    }
    if (index < this.#offset) {
      this.#onEvent?.({ type: 'stableEntryIsSnapshot', node: this.#node, index });
      return;
    }
    if (held !== term) {
      // The tail was replaced while the write was under way.
      this.#onEvent?.({
        type: 'stableEntryMismatch',
        node: this.#node,
        acknowledged: { term, index },
        actualTerm: held,
      });
      return;
    }
    this.#head += index + 1 - this.#offset;
    this.#offset = shiftIndex(index, 1);
    this.#offsetInProgress = maxIndex(this.#offsetInProgress, this.#offset);
    this.#cutHead();
  }

  /** The snapshot at `index` is durable. */
  stableSnapshotTo(index: LogIndex): void {
    if (this.#snapshot?.metadata.index !== index) return;
    this.#snapshot = undefined;
    this.#snapshotInProgress = false;
  }

  /** Starts over from a snapshot. */
  restore(snapshot: Snapshot): void {
    this.#offset = shiftIndex(snapshot.metadata.index, 1);
    this.#offsetInProgress = this.#offset;
    this.#entries = [];
    this.#head = 0;
    this.#snapshot = snapshot;
    this.#snapshotInProgress = false;
  }

  /** Appends `entries[from..]`, replacing what is at and after their first index. */
  truncateAndAppend(entries: readonly Entry[], from: number): void {
    const first = entries[from];
    if (first === undefined) return;
    const start = first.index;
    if (start < this.end) {
      if (start <= this.#offset) {
        this.#onEvent?.({ type: 'unstableReplaced', node: this.#node, index: start });
        this.#entries = [];
        this.#head = 0;
        this.#offset = start;
        this.#offsetInProgress = start;
      } else {
        this.#onEvent?.({ type: 'unstableTruncated', node: this.#node, index: start });
        this.#entries.length = this.#head + (start - this.#offset);
        this.#offsetInProgress = minIndex(this.#offsetInProgress, start);
      }
    } else if (start > this.end) {
      fail(`cannot append at ${start}: the log ends before ${this.end}`);
    }
    for (let i = from; i < entries.length; i += 1) {
      const entry = entries[i];
      if (entry !== undefined) this.#entries.push(entry);
    }
  }

  /** Entries in `[low, high)` that fit in `maxBytes` (at least one). The range must be held. */
  slice(low: LogIndex, high: LogIndex, maxBytes: number): readonly Entry[] {
    if (low > high || low < this.#offset || high > this.end) {
      fail(`unstable entries [${low}, ${high}) are outside of [${this.#offset}, ${this.end})`);
    }
    const from = this.#head + (low - this.#offset);
    const count = countWithin(this.#entries, from, from + (high - low), maxBytes);
    return this.#entries.slice(from, from + count);
  }

  #cutHead(): void {
    if (this.#head === this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    } else if (this.#head >= 64 && this.#head * 2 >= this.#entries.length) {
      // At most one element moved per element acknowledged.
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
  }
}
