/** What this replica's state was at earlier log indexes. */
import type { JournalState } from '@pact-journal/journal-state';
import type { Checkpoint } from '../backup/format/log-batch.ts';

/**
 * Every replica marks the same indexes, whatever batches it applies in: multiples of this. A digest costs half as much as
 * applying a command, so one for so many is nothing.
 */
export const MARK_INTERVAL = 256;
/** Remembered marks: enough for an export or a replica that is a million entries behind. */
const MARKS_MAX = 4_096;

export interface DigestMark {
  readonly index: number;
  readonly digest: string;
}

export class Checkpoints {
  /** Ascending. */
  #marks: Checkpoint[] = [];

  /** Entries up to `index`, a multiple of {@link MARK_INTERVAL}, are applied. */
  mark(index: number, state: JournalState): void {
    this.#marks.push(checkpointOf(index, state));
    // A half at a time: taking one from the front of a long list costs its length.
    if (this.#marks.length >= 2 * MARKS_MAX) this.#marks = this.#marks.slice(-MARKS_MAX);
  }

  /** The newest known state at or before an index. */
  atOrBefore(index: number): Checkpoint | undefined {
    return this.#marks.findLast((checkpoint) => checkpoint.index <= index);
  }

  /** Marks after an index, ascending. */
  marksAfter(index: number): readonly DigestMark[] {
    const first = this.#marks.findLastIndex((mark) => mark.index <= index) + 1;
    return this.#marks.slice(first).map(({ index: at, digest }) => ({ index: at, digest }));
  }

  /** The newest mark's index; 0 for none. */
  get lastIndex(): number {
    return this.#marks.at(-1)?.index ?? 0;
  }

  /** The state was replaced. */
  clear(): void {
    this.#marks = [];
  }
}

/** What a state is right after the entry of that index. */
export function checkpointOf(index: number, state: JournalState): Checkpoint {
  return { index, digest: state.digest(), headHash: state.headHash, entries: state.entryCount };
}
