import type { Logger } from '../server/log.ts';
import type { AuthReason } from './errors.ts';

/** So many lines in an interval; what comes on top is told of in one line at its end. */
const LINES_MAX = 20;
const INTERVAL_MS = 10_000;

/** Counts refusals by reason, and logs them without letting whoever is refused write the log full. */
export class RefusalLog {
  readonly #log: Logger;
  readonly #counts = new Map<string, number>();
  #lines = 0;
  #unlogged = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  add(reason: AuthReason, path: string): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
    this.#timer ??= setTimeout(() => this.#intervalEnded(), INTERVAL_MS).unref();
    this.#lines += 1;
    if (this.#lines <= LINES_MAX) this.#log.warn({ reason, method: path.slice(0, 128) }, 'refused a call');
    else this.#unlogged += 1;
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #intervalEnded(): void {
    this.#timer = undefined;
    this.#lines = 0;
    if (this.#unlogged > 0)
      this.#log.warn({ calls: this.#unlogged }, 'refused more calls than are logged one by one');
    this.#unlogged = 0;
  }
}
