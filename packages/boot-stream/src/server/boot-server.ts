import type { stream } from '@pact-journal/journal-proto';
import { BootStreamError } from '../errors.ts';
import { DEFAULT_BOOT_LIMITS } from '../limits.ts';
import type { BootLimits } from '../limits.ts';
import type { BootSource } from '../source.ts';
import { Boots } from './boots.ts';
import type { ServerCall } from './call.ts';
import { statusOf } from './status.ts';
import { Subscriptions } from './subscriptions.ts';
import type { SubscriptionStats } from './subscriptions.ts';

export interface BootServerOptions {
  readonly source: BootSource;
  readonly limits?: Partial<BootLimits>;
}

export interface BootServerStats extends SubscriptionStats {
  readonly bootsActive: number;
  readonly bootsAdmitted: number;
  readonly bootsRefused: number;
}

/**
 * Boots and subscriptions of one replica, behind one count of what is open: shared by the front and the grpc-js
 * service, where an application uses both.
 */
export class BootServer {
  readonly limits: BootLimits;
  readonly #boots: Boots;
  readonly #subscriptions: Subscriptions;
  #bootsActive = 0;
  #bootsAdmitted = 0;
  #bootsRefused = 0;
  #closed = false;
  readonly #whenIdle: (() => void)[] = [];

  constructor(options: BootServerOptions) {
    this.limits = { ...DEFAULT_BOOT_LIMITS, ...options.limits };
    this.#boots = new Boots(options.source, this.limits);
    this.#subscriptions = new Subscriptions(options.source, this.limits);
  }

  /** Takes a place for a boot; the caller calls `releaseBoot` when the stream is over. Throws where there is none. */
  admitBoot(): void {
    if (this.#closed) throw this.#shuttingDown();
    if (this.#bootsActive >= this.limits.bootStreamsMax) {
      this.#bootsRefused += 1;
      throw new BootStreamError(
        'overloaded',
        `this replica serves ${this.#bootsActive} boots already: try again later`,
        { retryAfterMs: this.#retryAfterMs() },
      );
    }
    this.#bootsActive += 1;
    this.#bootsAdmitted += 1;
  }

  releaseBoot(): void {
    this.#bootsActive -= 1;
    if (this.#bootsActive > 0) return;
    for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Serves an admitted boot. */
  boot(call: ServerCall, request: stream.BootConfigRequest, minSequence: number | undefined): void {
    this.#boots.serve(call, request, minSequence);
  }

  subscribe(call: ServerCall, request: stream.SubscribeRequest): void {
    if (this.#closed) call.end(statusOf(this.#shuttingDown()));
    else this.#subscriptions.serve(call, request);
  }

  stats(): BootServerStats {
    return {
      bootsActive: this.#bootsActive,
      bootsAdmitted: this.#bootsAdmitted,
      bootsRefused: this.#bootsRefused,
      ...this.#subscriptions.stats(),
    };
  }

  /** Ends subscriptions (their clients resume elsewhere) and refuses new calls; boots under way go on. Idempotent. */
  close(): void {
    this.#closed = true;
    this.#subscriptions.close();
  }

  /** Closes, and resolves once no boot is under way any more. */
  drain(): Promise<void> {
    this.close();
    return this.#bootsActive === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  #shuttingDown(): BootStreamError {
    const message = 'this replica is shutting down: try another';
    return new BootStreamError('unavailable', message, { retryAfterMs: this.#retryAfterMs() });
  }

  #retryAfterMs(): number {
    return Math.round(this.limits.retryAfterMs * (0.5 + Math.random()));
  }
}
