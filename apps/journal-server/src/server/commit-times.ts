/** When the leader committed which log index, so that a member's lag can be told in time and not only in entries. */

/** Commits this close together count as one moment. */
const RESOLUTION_MS = 250;
/** An hour of steady writing: 0.2 MiB. */
const MOMENTS_MAX = 14_400;

interface Moment {
  readonly atMs: number;
  /** The last one committed in it. */
  commitIndex: number;
}

/** Remembers the last hour of writing; what is older counts as that old. */
export class CommitTimes {
  #moments: Moment[] = [];

  /** The commit index at a time; times come in order. */
  record(atMs: number, commitIndex: number): void {
    const last = this.#moments.at(-1);
    if (last !== undefined && commitIndex <= last.commitIndex) return;
    if (last !== undefined && atMs - last.atMs < RESOLUTION_MS) last.commitIndex = commitIndex;
    else this.#moments.push({ atMs, commitIndex });
    if (this.#moments.length > 2 * MOMENTS_MAX) this.#moments = this.#moments.slice(-MOMENTS_MAX);
  }

  /** How long ago the entry after `index` was committed; 0 where it is not. */
  committedForMs(index: number, nowMs: number): number {
    let [from, to] = [0, this.#moments.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#moments[middle]?.commitIndex ?? 0) > index) to = middle;
      else from = middle + 1;
    }
    const first = this.#moments[from];
    return first === undefined ? 0 : Math.max(0, Math.round(nowMs - first.atMs));
  }

  /** Another term of leadership begins: what was seen before is another leader's business. */
  clear(): void {
    this.#moments = [];
  }
}
