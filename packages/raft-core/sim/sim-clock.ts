import type { Clock } from '../src/runtime/interfaces.ts';

interface Event {
  readonly at: number;
  readonly order: number;
  callback: (() => void) | undefined;
}

/** Lets all pending promise reactions run. */
function drain(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** The time of a simulated world: a queue of events, of which the order depends on nothing but the calls made. */
export class SimClock {
  #now = 0;
  #order = 0;
  /** A binary heap by time, then order. */
  readonly #heap: Event[] = [];

  /** Milliseconds since the beginning of the world. */
  get now(): number {
    return this.#now;
  }

  /** Calls back in `delayMs`, rounded up to whole milliseconds. Returns how to cancel it. */
  schedule(delayMs: number, callback: () => void): () => void {
    const event: Event = { at: this.#now + Math.max(0, Math.ceil(delayMs)), order: this.#order, callback };
    this.#order += 1;
    this.#push(event);
    return () => {
      event.callback = undefined;
    };
  }

  /**
   * Runs what falls due within `durationMs`, or until `done` holds. Events of one moment run in rounds: what a round
   * causes for the same moment is the next round; promise reactions run in between. `observe` is called after each.
   */
  async run(durationMs: number, observe: () => void, done: () => boolean = () => false): Promise<void> {
    const end = this.#now + durationMs;
    for (let next = this.#heap[0]; next !== undefined && next.at <= end && !done(); next = this.#heap[0]) {
      this.#now = next.at;
      const last = this.#order;
      for (
        let due = this.#heap[0];
        due !== undefined && due.at <= this.#now && due.order < last;
        due = this.#heap[0]
      ) {
        this.#pop();
        due.callback?.();
      }
      await drain();
      observe();
    }
    if (!done()) this.#now = end;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, event)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let smaller = heap[child];
      if (smaller === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, smaller)) {
        child += 1;
        smaller = right;
      }
      if (isBefore(last, smaller)) break;
      heap[at] = smaller;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/**
 * The clock of one run of one node. It runs a little fast or slow; it can stand still (the process is stopped while
 * time goes on) and it dies with the process: then nothing of that run ever happens again.
 */
export class NodeClock implements Clock {
  readonly #world: SimClock;
  /** Node time per world time. */
  readonly #rate: number;
  #held: (() => void)[] | undefined;
  #dead = false;

  constructor(world: SimClock, rate: number) {
    this.#world = world;
    this.#rate = rate;
  }

  now(): number {
    return this.#world.now * this.#rate;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    let cancelled = false;
    const cancel = this.#world.schedule(delayMs / this.#rate, () => {
      this.run(() => {
        if (!cancelled) callback();
      });
    });
    return () => {
      cancelled = true;
      cancel();
    };
  }

  defer(callback: () => void): void {
    this.#world.schedule(0, () => this.run(callback));
  }

  /** Runs something in this process: now, when it goes on, or never. */
  run(callback: () => void): void {
    if (this.#dead) return;
    if (this.#held === undefined) callback();
    else this.#held.push(callback);
  }

  /** Resolves after `delayMs` in this process; never if it dies before. */
  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.setTimer(delayMs, resolve);
    });
  }

  pause(): void {
    this.#held ??= [];
  }

  resume(): void {
    const held = this.#held;
    this.#held = undefined;
    for (const callback of held ?? []) this.run(callback);
  }

  kill(): void {
    this.#dead = true;
    this.#held = undefined;
  }
}
