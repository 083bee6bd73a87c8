/** Linearizable reads on their way to a confirmed and applied index. */
import type { LogIndex } from '../core/types.ts';
import { OverloadedError, RaftError } from './errors.ts';
import type { Clock } from './interfaces.ts';

interface PendingRead {
  readonly askedAt: number;
  readonly resolve: (index: LogIndex) => void;
  readonly reject: (error: RaftError) => void;
}

/** Reads that are confirmed together. */
interface Round {
  reads: PendingRead[];
  readonly contexts: number[];
  lastAskedAt: number;
  index: LogIndex | undefined;
}

const CONTEXT_BYTES = 16;

/**
 * Reads that arrive within one turn share a round. Every time a round is asked for, it gets a context that was never
 * used before and never will be, on this node or by an earlier run of it: a late or repeated answer is then always
 * that of a question asked after its reads arrived, or of nobody.
 */
export class ReadTracker {
  readonly #clock: Clock;
  readonly #maxPending: number;
  readonly #timeoutMs: number;
  readonly #retryMs: number;
  readonly #incarnation: readonly [number, number];
  #counter = 0;
  /** Reads in `#waiting` and in all rounds. */
  #pending = 0;
  #waiting: PendingRead[] = [];
  readonly #rounds = new Set<Round>();
  readonly #byContext = new Map<number, Round>();

  /** `incarnation`: two random words that no other run of this node shares. */
  constructor(
    clock: Clock,
    limits: { readonly maxPending: number; readonly timeoutMs: number; readonly retryMs: number },
    incarnation: readonly [number, number],
  ) {
    this.#clock = clock;
    this.#maxPending = limits.maxPending;
    this.#timeoutMs = limits.timeoutMs;
    this.#retryMs = limits.retryMs;
    this.#incarnation = incarnation;
  }

  get pendingCount(): number {
    return this.#pending;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Rejects with `overloaded` at the limit. */
  submit(): Promise<LogIndex> {
    if (this.#pending >= this.#maxPending) {
      return Promise.reject(new OverloadedError('reading', this.#pending, this.#maxPending, 'reads'));
    }
    this.#pending++;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ askedAt: this.#clock.now(), resolve, reject });
    });
  }

  /** Starts a round for all that wait: `ask` is called with its context. */
  begin(ask: (context: Uint8Array) => void): void {
    if (this.#waiting.length === 0) return;
    const round: Round = { reads: this.#waiting, contexts: [], lastAskedAt: 0, index: undefined };
    this.#waiting = [];
    this.#rounds.add(round);
    this.#ask(round, ask);
  }

  /** A context was confirmed at `index`. */
  confirmed(context: Uint8Array, index: LogIndex): void {
    const counter = this.#decode(context);
    const round = counter === undefined ? undefined : this.#byContext.get(counter);
    if (round === undefined || round.index !== undefined) return;
    round.index = index;
    this.#forgetContexts(round);
  }

  /** Answers the reads whose index is applied. */
  applied(index: LogIndex): void {
    for (const round of this.#rounds) {
      if (round.index === undefined || round.index > index) continue;
      this.#rounds.delete(round);
      this.#pending -= round.reads.length;
      for (const read of round.reads) read.resolve(round.index);
    }
  }

  /** Asks again for what was not answered, gives up on what has waited too long. Called with every tick. */
  tick(ask: (context: Uint8Array) => void): void {
    const now = this.#clock.now();
    for (const round of this.#rounds) {
      const expired = round.reads.filter((read) => now - read.askedAt >= this.#timeoutMs);
      if (expired.length > 0) {
        round.reads = round.reads.filter((read) => now - read.askedAt < this.#timeoutMs);
        this.#pending -= expired.length;
        for (const read of expired) read.reject(this.#timedOut(round));
      }
      if (round.reads.length === 0) {
        this.#forgetContexts(round);
        this.#rounds.delete(round);
      } else if (round.index === undefined && now - round.lastAskedAt >= this.#retryMs) {
        this.#ask(round, ask);
      }
    }
  }

  failAll(error: RaftError): void {
    const reads = [...this.#waiting, ...[...this.#rounds].flatMap((round) => round.reads)];
    this.#waiting = [];
    this.#pending = 0;
    this.#rounds.clear();
    this.#byContext.clear();
    for (const read of reads) read.reject(error);
  }

  #ask(round: Round, ask: (context: Uint8Array) => void): void {
    const counter = ++this.#counter;
    round.contexts.push(counter);
    round.lastAskedAt = this.#clock.now();
    this.#byContext.set(counter, round);
    ask(this.#encode(counter));
  }

  #forgetContexts(round: Round): void {
    for (const counter of round.contexts) this.#byContext.delete(counter);
    round.contexts.length = 0;
  }

  #timedOut(round: Round): RaftError {
    return new RaftError(
      'readTimeout',
      round.index === undefined
        ? `reading: no leader confirmed the read within ${this.#timeoutMs} ms; is there a quorum?`
        : `reading: index ${round.index} is confirmed but was not applied here within ${this.#timeoutMs} ms`,
    );
  }

  #encode(counter: number): Uint8Array {
    const bytes = new Uint8Array(CONTEXT_BYTES);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, this.#incarnation[0]);
    view.setUint32(4, this.#incarnation[1]);
    view.setFloat64(8, counter);
    return bytes;
  }

  #decode(context: Uint8Array): number | undefined {
    if (context.length !== CONTEXT_BYTES) return undefined;
    const view = new DataView(context.buffer, context.byteOffset, CONTEXT_BYTES);
    const mine = view.getUint32(0) === this.#incarnation[0] && view.getUint32(4) === this.#incarnation[1];
    return mine ? view.getFloat64(8) : undefined;
  }
}
