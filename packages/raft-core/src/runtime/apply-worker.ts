/** Hands committed entries to the state machine, in order and in bounded slices. */
import type { Entry, LogIndex, Message, Term } from '../core/types.ts';
import { describeError, RaftError } from './errors.ts';
import type { StateMachine } from './interfaces.ts';
import { entriesSizeBytes } from './message-size.ts';

/** Committed entries, and what to tell the core once they are applied. */
export interface ApplyRequest {
  readonly entries: readonly Entry[];
  readonly responses: readonly Message[];
}

/** What the worker tells its node, in the order of the entries. */
export interface ApplyWorkerHooks<Result> {
  /** Entries are in the state machine; `results` are theirs, one each. */
  onResults(entries: readonly Entry[], results: readonly Result[]): void;
  /** A leader's empty entry, or a proposal that the core replaced by one. */
  onEmpty(entry: Entry): void;
  /** A membership change is committed: to be applied to the core now. */
  onConfChange(entry: Entry): void;
  /** Everything in `[from, to]` is applied. */
  onApplied(from: LogIndex, to: LogIndex, bytes: number): void;
  onDone(responses: readonly Message[]): void;
}

/**
 * The local apply thread. It applies a bounded number of entries a turn, so that a long backlog does not keep
 * heartbeats waiting. A batch ends at a membership change, because what follows it is decided under the new one.
 */
export class ApplyWorker<Result> {
  readonly #stateMachine: StateMachine<Result>;
  readonly #hooks: ApplyWorkerHooks<Result>;
  readonly #queue: ApplyRequest[] = [];
  /** Entries of the first request that are applied already. */
  #progress = 0;
  #queuedBytes = 0;
  #appliedIndex: LogIndex;
  #appliedTerm: Term;
  #whenIdle: (() => void)[] = [];

  constructor(
    stateMachine: StateMachine<Result>,
    applied: { readonly index: LogIndex; readonly term: Term },
    hooks: ApplyWorkerHooks<Result>,
  ) {
    this.#stateMachine = stateMachine;
    this.#appliedIndex = applied.index;
    this.#appliedTerm = applied.term;
    this.#hooks = hooks;
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  /** Term of the last applied entry. */
  get appliedTerm(): Term {
    return this.#appliedTerm;
  }

  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  get idle(): boolean {
    return this.#queue.length === 0;
  }

  enqueue(request: ApplyRequest): void {
    this.#queue.push(request);
    this.#queuedBytes += entriesSizeBytes(request.entries);
  }

  /** Applies up to `maxEntries`; returns how many of them are unused. Throws `stateMachineFailed`. */
  run(maxEntries: number): number {
    let room = maxEntries;
    for (let request = this.#queue[0]; request !== undefined && room > 0; request = this.#queue[0]) {
      const { entries } = request;
      const from = this.#progress;
      const to = Math.min(entries.length, from + room);
      this.#applyRange(entries, from, to);
      room -= to - from;
      if (to < entries.length) {
        this.#progress = to;
        break;
      }
      this.#queue.shift();
      this.#progress = 0;
      this.#queuedBytes -= entriesSizeBytes(entries);
      this.#hooks.onDone(request.responses);
    }
    if (this.#queue.length === 0 && this.#whenIdle.length > 0) {
      const waiting = this.#whenIdle;
      this.#whenIdle = [];
      for (const resolve of waiting) resolve();
    }
    return room;
  }

  /** Resolves once nothing is queued; never if the node fails before. */
  untilIdle(): Promise<void> {
    if (this.idle) return Promise.resolve();
    return new Promise((resolve) => {
      this.#whenIdle.push(resolve);
    });
  }

  /** The state machine was replaced by a snapshot. */
  restored(index: LogIndex, term: Term): void {
    this.#appliedIndex = index;
    this.#appliedTerm = term;
  }

  #applyRange(entries: readonly Entry[], from: number, to: number): void {
    let start = from;
    for (let at = from; at < to; at++) {
      const entry = entries[at];
      if (entry === undefined || (entry.type === 'normal' && entry.data.length > 0)) continue;
      this.#applyNormal(entries, start, at);
      if (entry.type === 'normal') this.#hooks.onEmpty(entry);
      else this.#hooks.onConfChange(entry);
      this.#advance([entry]);
      start = at + 1;
    }
    this.#applyNormal(entries, start, to);
  }

  #applyNormal(entries: readonly Entry[], from: number, to: number): void {
    if (from >= to) return;
    const batch = from === 0 && to === entries.length ? entries : entries.slice(from, to);
    const results = this.#callStateMachine(batch);
    this.#advance(batch);
    this.#hooks.onResults(batch, results);
  }

  #callStateMachine(batch: readonly Entry[]): readonly Result[] {
    const first = batch[0]?.index ?? 0;
    let results: readonly Result[];
    try {
      results = this.#stateMachine.apply(batch);
    } catch (error) {
      throw new RaftError(
        'stateMachineFailed',
        `applying ${batch.length} entries from ${first} on: ${describeError(error)}`,
        error,
      );
    }
    if (results.length !== batch.length) {
      throw new RaftError(
        'stateMachineFailed',
        `applying ${batch.length} entries from ${first} on: the state machine gave ${results.length} results, it must give one for each`,
      );
    }
    return results;
  }

  #advance(batch: readonly Entry[]): void {
    const [first, last] = [batch[0], batch[batch.length - 1]];
    if (first === undefined || last === undefined) return;
    if (first.index !== this.#appliedIndex + 1) {
      throw new Error(`applying entry ${first.index}: ${this.#appliedIndex + 1} was due`);
    }
    this.#appliedIndex = last.index;
    this.#appliedTerm = last.term;
    this.#hooks.onApplied(first.index, last.index, entriesSizeBytes(batch));
  }
}
