/** Turns the clock's time into the core's ticks. */
import type { Clock } from './interfaces.ts';

/** A node that was held up catches up by at most so many ticks at a time; the rest of the lost time is forgotten. */
const CATCH_UP_MAX_TICKS = 2;

/** Ticks to give to the core. */
export interface DueTicks {
  readonly ticks: number;
  /** More time had passed than the ticks say: the process was paused, or the event loop blocked. */
  readonly paused: boolean;
}

const NONE: DueTicks = { ticks: 0, paused: false };

/**
 * Fires `onDue` about once a tick. A process that was stopped for a while must not run through all its missed ticks at
 * once: it would start an election before it had a chance to read what its leader sent meanwhile.
 */
export class Ticker {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #onDue: () => void;
  #lastAt: number;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock, intervalMs: number, onDue: () => void) {
    this.#clock = clock;
    this.#intervalMs = intervalMs;
    this.#onDue = onDue;
    this.#lastAt = clock.now();
    this.#arm();
  }

  /** The ticks that have fallen due since the last call. */
  take(): DueTicks {
    const due = Math.floor((this.#clock.now() - this.#lastAt) / this.#intervalMs);
    if (due <= 0) return NONE;
    const paused = due > CATCH_UP_MAX_TICKS;
    this.#lastAt = paused ? this.#clock.now() : this.#lastAt + due * this.#intervalMs;
    return { ticks: Math.min(due, CATCH_UP_MAX_TICKS), paused };
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #arm(): void {
    const late = (this.#clock.now() - this.#lastAt) % this.#intervalMs;
    const delay = Math.max(1, this.#intervalMs - late);
    this.#cancel = this.#clock.setTimer(delay, () => {
      this.#onDue();
      if (this.#cancel !== undefined) this.#arm();
    });
  }
}
