interface Due {
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly dueMs: number;
}

const isBefore = (a: Due, b: Due): boolean =>
  a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence);

/** Entries with a ttl that has not been ended yet: a binary heap, the first due on top. */
export class ExpirationQueue {
  readonly #pending = new Map<number, Due>();
  /** May still hold entries that were taken out: they leave when they come to the top. */
  readonly #heap: Due[] = [];

  get size(): number {
    return this.#pending.size;
  }

  /** Adds an entry that runs out at `dueMs`, milliseconds since 1970. */
  add(sequence: number, dueMs: number): void {
    const due = { sequence, dueMs };
    this.#pending.set(sequence, due);
    let at = this.#heap.length;
    for (let parent = (at - 1) >> 1; at > 0; parent = (at - 1) >> 1) {
      const above = this.#heap[parent];
      if (above === undefined || isBefore(above, due)) break;
      this.#heap[at] = above;
      at = parent;
    }
    this.#heap[at] = due;
  }

  /** When the entry's ttl runs out; undefined if it has none or was ended. */
  dueMs(sequence: number): number | undefined {
    return this.#pending.get(sequence)?.dueMs;
  }

  /** Takes out an entry whose ttl was ended. */
  remove(sequence: number): void {
    this.#pending.delete(sequence);
    for (let top = this.#heap[0]; top !== undefined && !this.#pending.has(top.sequence); top = this.#heap[0])
      this.#pop();
  }

  /** The earliest time at which one is due. */
  get nextDueMs(): number | undefined {
    return this.#heap[0]?.dueMs;
  }

  /** What is due at `nowMs`, in order of time, then of sequence. Costs no more than what it finds. */
  dueAt(nowMs: number): readonly number[] {
    const found: Due[] = [];
    const visit = [0];
    for (let at = visit.pop(); at !== undefined; at = visit.pop()) {
      const due = this.#heap[at];
      if (due === undefined || due.dueMs > nowMs) continue;
      if (this.#pending.has(due.sequence)) found.push(due);
      visit.push(2 * at + 1, 2 * at + 2);
    }
    return found.sort((a, b) => (isBefore(a, b) ? -1 : 1)).map((due) => due.sequence);
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    let at = 0;
    for (;;) {
      const left = this.#heap[2 * at + 1];
      const right = this.#heap[2 * at + 2];
      const least = left !== undefined && right !== undefined && isBefore(right, left) ? right : left;
      if (least === undefined || isBefore(last, least)) break;
      this.#heap[at] = least;
      at = least === left ? 2 * at + 1 : 2 * at + 2;
    }
    this.#heap[at] = last;
  }
}
