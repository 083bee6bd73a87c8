/**
 * How long one turn of the event loop may be spent on one kind of work. Short, because what a boot costs later (its
 * frames, its window updates, its close) comes on top as several times that, in the same turns: so many boots begun in
 * a turn make a turn of a few milliseconds, and a commit takes half a dozen of those.
 */
const SLICE_MS = 0.25;

/**
 * Keeps a boot storm from having the event loop to itself: what does not fit into a slice waits for the next turn, in
 * order, so that commits, heartbeats and other calls get theirs in between.
 */
export class Slices {
  #waiting: (() => void)[] = [];
  #spentMs = 0;
  #scheduled = false;

  /** Runs `work` now or in one of the next turns. It must not throw. */
  run(work: () => void): void {
    if (this.#waiting.length > 0 || this.#spentMs >= SLICE_MS) this.#waiting.push(work);
    else this.#timed(work);
    this.#schedule();
  }

  #timed(work: () => void): void {
    const startedMs = performance.now();
    work();
    this.#spentMs += performance.now() - startedMs;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#scheduled = false;
    this.#spentMs = 0;
    const waiting = this.#waiting;
    let done = 0;
    for (; done < waiting.length && this.#spentMs < SLICE_MS; done += 1) {
      const work = waiting[done];
      if (work !== undefined) this.#timed(work);
    }
    this.#waiting = waiting.slice(done);
    if (this.#waiting.length > 0) this.#schedule();
  }
}
