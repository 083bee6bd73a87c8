/**
 * How long one turn of the event loop may be spent on one kind of work. Short, because what a boot costs later (its
 * frames, its window updates, its close) comes on top as several times that, in the same turns: so many boots begun in
 * a turn make a turn of a few milliseconds, and a commit takes half a dozen of those.
 */
const SLICE_MS = 0.25;

export interface SlicesOptions {
  /** Milliseconds of one turn of the event loop that the work may take. */
  readonly sliceMs?: number;
  /** Pieces of work in one turn, for work of which most is done after it returned. */
  readonly piecesPerTurn?: number;
}

/**
 * Keeps one kind of work from having the event loop to itself, and one client from having the work to itself: what does
 * not fit into a slice waits for the next turn, so that commits, heartbeats and other calls get theirs in between. Those
 * that wait take turns by their key, and the work of one key keeps its order.
 */
export class Slices {
  readonly #sliceMs: number;
  readonly #piecesPerTurn: number;
  /** By key, in the order of whose turn it is. No queue is empty. */
  readonly #waiting = new Map<unknown, (() => void)[]>();
  #spentMs = 0;
  #pieces = 0;
  #scheduled = false;

  constructor({ sliceMs = SLICE_MS, piecesPerTurn = Infinity }: SlicesOptions = {}) {
    this.#sliceMs = sliceMs;
    this.#piecesPerTurn = piecesPerTurn;
  }

  /** Runs `work` now or in one of the next turns. It must not throw. */
  run(key: unknown, work: () => void): void {
    if (this.#waiting.size > 0 || !this.#hasRoom()) return this.defer(key, work);
    this.#timed(work);
    this.#schedule();
  }

  /** Runs `work` in one of the next turns, even where there is room in this one. It must not throw. */
  defer(key: unknown, work: () => void): void {
    const queue = this.#waiting.get(key);
    if (queue === undefined) this.#waiting.set(key, [work]);
    else queue.push(work);
    this.#schedule();
  }

  #hasRoom(): boolean {
    return this.#spentMs < this.#sliceMs && this.#pieces < this.#piecesPerTurn;
  }

  #timed(work: () => void): void {
    const startedMs = performance.now();
    work();
    this.#spentMs += performance.now() - startedMs;
    this.#pieces += 1;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    this.#spentMs = 0;
    this.#pieces = 0;
    while (this.#waiting.size > 0 && this.#hasRoom()) this.#next();
    if (this.#waiting.size > 0) this.#schedule();
  }

  #next(): void {
    for (const [key, queue] of this.#waiting) {
      // Behind all others, where there is more of it.
      this.#waiting.delete(key);
      const work = queue.shift();
      if (queue.length > 0) this.#waiting.set(key, queue);
      if (work !== undefined) this.#timed(work);
      return;
    }
  }
}
