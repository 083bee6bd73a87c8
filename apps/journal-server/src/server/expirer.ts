/** The leader's duty towards what runs out: a ttl is ended by a Rollback of what it set, a pending approval by saying so. */
import type { JournalCommand, JournalState } from '@pact-journal/journal-state';
import type { Logger } from './log.ts';
import type { JournalWriter } from './writer.ts';

const CHECK_INTERVAL_MS = 1_000;

export class Expirer {
  readonly #journal: () => JournalState;
  readonly #writer: JournalWriter;
  readonly #log: Logger;
  readonly #now: () => string;
  #timer: NodeJS.Timeout | undefined;
  #busy = false;

  constructor(options: {
    readonly journal: () => JournalState;
    readonly writer: JournalWriter;
    readonly log: Logger;
    readonly now: () => string;
  }) {
    this.#journal = options.journal;
    this.#writer = options.writer;
    this.#log = options.log;
    this.#now = options.now;
  }

  /** This node leads. Idempotent. */
  start(): void {
    this.#timer ??= setInterval(() => void this.#check(), CHECK_INTERVAL_MS).unref();
  }

  /** It leads no more. Idempotent. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #check(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (const command of this.#journal().dueExpirations(this.#now())) {
        if (this.#timer === undefined) break;
        await this.#expire(command);
      }
    } catch (error) {
      this.#log.warn({ err: error }, 'what has run out could not be ended yet; it is tried again');
    } finally {
      this.#busy = false;
    }
  }

  /** Applying it twice has an effect once, whichever leaders try. */
  async #expire(command: JournalCommand): Promise<void> {
    const { sequence } = await this.#writer.submit(command, undefined);
    const what =
      command.type === 'DecideApproval'
        ? 'nobody approved a change in time: it is off'
        : 'a ttl ran out: what it kept is rolled back';
    this.#log.info({ sequence }, what);
  }
}
