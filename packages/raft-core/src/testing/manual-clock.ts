/** Time that stands still until a test moves it. */
import type { Clock } from '../runtime/interfaces.ts';

interface Timer {
  readonly dueAt: number;
  readonly order: number;
  /** Undefined once cancelled. */
  callback: (() => void) | undefined;
}

/** Lets all pending promise reactions run. */
function drainMicrotasks(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/**
 * A {@link Clock} under a test's control. Callbacks run only inside `advance` and `settle`, in an order that depends
 * on nothing but the calls made: timers by due time, then by creation; deferred work before the next timer; promise
 * reactions after each round of deferred work. One clock may drive many nodes.
 */
export class ManualClock implements Clock {
  #now: number;
  #order = 0;
  /** A binary heap by `dueAt`, then `order`. */
  readonly #timers: Timer[] = [];
  #deferred: (() => void)[] = [];
  #running = false;

  constructor(startMs = 0) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { dueAt: this.#now + Math.max(0, delayMs), order: ++this.#order, callback };
    this.#push(timer);
    return () => {
      timer.callback = undefined;
    };
  }

  defer(callback: () => void): void {
    this.#deferred.push(callback);
  }

  /** Runs what is deferred, and what that defers, without moving time. */
  async settle(): Promise<void> {
    await this.#exclusive(() => this.#settle());
  }

  /** Moves time on by `ms`, firing timers where they fall. Resolves when all work due by then is done. */
  async advance(ms: number): Promise<void> {
    await this.#exclusive(async () => {
      const target = this.#now + ms;
      await this.#settle();
      for (let next = this.#peek(); next !== undefined && next.dueAt <= target; next = this.#peek()) {
        this.#now = Math.max(this.#now, next.dueAt);
        this.#fireDue();
        await this.#settle();
      }
      this.#now = target;
    });
  }

  /**
   * Moves time by `ms` in one leap: nothing fires on the way, all that fell due fires late. What a stopped process or
   * a suspended machine sees.
   */
  async leap(ms: number): Promise<void> {
    await this.#exclusive(async () => {
      this.#now += ms;
      this.#fireDue();
      await this.#settle();
    });
  }

  /** Advances in steps until `condition` holds; fails after `limitMs` of this clock's time. */
  async until(condition: () => boolean, limitMs = 60_000, stepMs = 10): Promise<void> {
    const deadline = this.#now + limitMs;
    await this.settle();
    while (!condition()) {
      if (this.#now >= deadline)
        throw new Error(`ManualClock.until: the condition did not come true in ${limitMs} ms`);
      await this.advance(stepMs);
    }
  }

  /** Advances in steps until `promise` settles, and returns its value; fails after `limitMs` of this clock's time. */
  async resolve<Value>(promise: Promise<Value>, limitMs = 60_000, stepMs = 10): Promise<Value> {
    let settled = false;
    const watched = promise.finally(() => {
      settled = true;
    });
    watched.catch(() => undefined);
    await this.until(() => settled, limitMs, stepMs);
    return await watched;
  }

  async #exclusive(work: () => Promise<void>): Promise<void> {
    if (this.#running)
      throw new Error('ManualClock: advance and settle must not overlap; await the call before');
    this.#running = true;
    try {
      await work();
    } finally {
      this.#running = false;
    }
  }

  async #settle(): Promise<void> {
    await drainMicrotasks();
    while (this.#deferred.length > 0) {
      const round = this.#deferred;
      this.#deferred = [];
      for (const callback of round) callback();
      await drainMicrotasks();
    }
  }

  #fireDue(): void {
    for (let next = this.#peek(); next !== undefined && next.dueAt <= this.#now; next = this.#peek()) {
      this.#pop();
      next.callback?.();
    }
  }

  #peek(): Timer | undefined {
    for (;;) {
      const top = this.#timers[0];
      if (top === undefined || top.callback !== undefined) return top;
      this.#pop();
    }
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    heap.push(timer);
    let at = heap.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || before(above, timer)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = timer;
  }

  #pop(): void {
    const heap = this.#timers;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let smaller = heap[child];
      if (smaller === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && before(right, smaller)) {
        child++;
        smaller = right;
      }
      if (before(last, smaller)) break;
      heap[at] = smaller;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.order < b.order);
}
