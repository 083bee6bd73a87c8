/** What this replica's state was at earlier log indexes. */
import type { JournalState } from '@pact-journal/journal-state';
import type { Checkpoint } from '../backup/format/log-batch.ts';

/** Every replica marks the same indexes, whatever batches it applies in: multiples of this. */
export const MARK_INTERVAL = 256;
/** Remembered marks: enough to compare with a replica that is 16,384 entries ahead or behind. */
const MARKS_MAX = 64;
/** Remembered ends of batches, for the export, which ends its objects where the state is known. */
const ENDS_MAX = 4_096;

export interface DigestMark {
  readonly index: number;
  readonly digest: string;
}

/** Costs a digest a batch of applied entries and one every {@link MARK_INTERVAL}; each is some microseconds. */
export class Checkpoints {
  /** Ascending. */
  #ends: Checkpoint[] = [];
  /** Ascending. */
  #marks: DigestMark[] = [];

  /** Entries up to `index`, a multiple of {@link MARK_INTERVAL}, are applied. */
  mark(index: number, state: JournalState): void {
    this.#marks.push({ index, digest: state.digest() });
    if (this.#marks.length > MARKS_MAX) this.#marks.shift();
  }

  /** A batch that ended with `index` is applied. */
  end(index: number, state: JournalState): void {
    this.#ends.push({ index, digest: state.digest(), headHash: state.headHash, entries: state.entryCount });
    // A half at a time: taking one from the front of a long list costs its length.
    if (this.#ends.length >= 2 * ENDS_MAX) this.#ends = this.#ends.slice(-ENDS_MAX);
  }

  /** The newest known state at or before an index. */
  atOrBefore(index: number): Checkpoint | undefined {
    return this.#ends.findLast((checkpoint) => checkpoint.index <= index);
  }

  /** Marks after an index, ascending. */
  marksAfter(index: number): readonly DigestMark[] {
    return this.#marks.filter((mark) => mark.index > index);
  }

  /** The state was replaced. */
  clear(): void {
    this.#ends = [];
    this.#marks = [];
  }
}
