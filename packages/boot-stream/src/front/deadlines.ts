import type { CallStatus } from '../server/call.ts';

/** A call that may have to end before it is done. */
export interface Expiring {
  /** Ends it with the status, where its client can still be told. */
  expire(status: CallStatus): void;
}

/** How late a deadline may be noticed. Clients keep theirs themselves; this frees what they left behind. */
const SWEEP_MS = 50;

/**
 * Deadlines of many short calls, swept together: a timer each would cost more than most of the calls live. Runs only
 * while there are any.
 */
export class Deadlines<Call> {
  readonly #deadlines = new Map<Call, number>();
  readonly #expire: (call: Call) => void;
  readonly #sweepMs: number;
  #timer: NodeJS.Timeout | undefined;

  /** `sweepMs`: how late a deadline may be noticed. */
  constructor(expire: (call: Call) => void, sweepMs: number = SWEEP_MS) {
    this.#expire = expire;
    this.#sweepMs = sweepMs;
  }

  /** `deadlineMs` by performance.now; Infinity for none. */
  set(call: Call, deadlineMs: number): void {
    if (deadlineMs === Infinity) return;
    this.#deadlines.set(call, deadlineMs);
    this.#timer ??= setInterval(() => this.#sweep(), this.#sweepMs).unref();
  }

  delete(call: Call): void {
    this.#deadlines.delete(call);
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const [call, deadlineMs] of this.#deadlines) {
      if (deadlineMs > nowMs) continue;
      this.#deadlines.delete(call);
      this.#expire(call);
    }
    if (this.#deadlines.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
