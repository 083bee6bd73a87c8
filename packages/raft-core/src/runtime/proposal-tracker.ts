/** Knows for each proposal of this node what became of it. */
import type { Entry, LogIndex, Term } from '../core/types.ts';
import { OverloadedError, RaftError } from './errors.ts';
import type { Clock } from './interfaces.ts';

/** A proposal that was committed and applied. */
export interface Committed<Result> {
  /** Its place in the log. */
  readonly index: LogIndex;
  /** Term of the leader that appended it. */
  readonly term: Term;
  /** What the state machine answered. */
  readonly result: Result;
}

/** A proposal without an outcome. */
export interface PendingProposal<Result> {
  readonly data: Uint8Array;
  readonly proposedAt: number;
  readonly resolve: (outcome: Committed<Result>) => void;
  readonly reject: (error: RaftError) => void;
  term: Term;
  /** Its place in the log once it has one, 0 before, -1 once it has an outcome. */
  index: number;
  unlisten: (() => void) | undefined;
}

const DONE = -1;

/**
 * What a proposal holds beside its data until it has an outcome: its record here, its promise and the caller's
 * continuation, its place in the map, and the entry in the core's log and on the way to the disk. Without it a limit in
 * bytes would let through millions of proposals of a few bytes each.
 */
export const PROPOSAL_OVERHEAD_BYTES = 512;

/**
 * So much waits no longer for what else there is to read: followers begin with it meanwhile. Each batch has its own cost
 * on every node, so it is not less.
 */
const MANY_BYTES = 96 * 1024;

/**
 * A proposal waits until the loop takes it, then is in the log, and is decided by what is applied at its index: the
 * same term means it was committed, another term means it never will be (an index and a term name one entry only).
 * That holds across changes of leader, so losing leadership alone decides nothing.
 */
export class ProposalTracker<Result> {
  readonly #clock: Clock;
  readonly #maxBytes: number;
  readonly #timeoutMs: number;
  readonly #onApplied: ((durationMs: number) => void) | undefined;
  #waiting: PendingProposal<Result>[] = [];
  #waitingBytes = 0;
  /** By index. One node's proposals of one term are inserted in ascending order, so the oldest come first. */
  readonly #inLog = new Map<number, PendingProposal<Result>>();
  #pendingBytes = 0;

  constructor(
    clock: Clock,
    limits: { readonly maxBytes: number; readonly timeoutMs: number },
    onApplied?: (durationMs: number) => void,
  ) {
    this.#clock = clock;
    this.#maxBytes = limits.maxBytes;
    this.#timeoutMs = limits.timeoutMs;
    this.#onApplied = onApplied;
  }

  /** All proposals without an outcome: data, and {@link PROPOSAL_OVERHEAD_BYTES} for each. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get pendingCount(): number {
    return this.#waiting.length + this.#inLog.size;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** True where it pays to propose those that wait at once. */
  get manyWait(): boolean {
    return this.#waitingBytes >= MANY_BYTES;
  }

  /** Rejects with `overloaded` at the limit. */
  submit(data: Uint8Array, signal: AbortSignal | undefined): Promise<Committed<Result>> {
    const bytes = data.length + PROPOSAL_OVERHEAD_BYTES;
    if (this.#pendingBytes + bytes > this.#maxBytes && this.#pendingBytes > 0) {
      return Promise.reject(new OverloadedError('proposing', this.#pendingBytes, this.#maxBytes, 'bytes'));
    }
    if (signal?.aborted === true) return Promise.reject(aborted(signal));
    this.#pendingBytes += bytes;
    return new Promise((resolve, reject) => {
      const proposal: PendingProposal<Result> = {
        data,
        proposedAt: this.#clock.now(),
        resolve,
        reject,
        term: 0 as Term,
        index: 0,
        unlisten: undefined,
      };
      this.#waiting.push(proposal);
      this.#waitingBytes += data.length;
      if (signal !== undefined) this.#listen(proposal, signal);
    });
  }

  /** Takes all that wait, to be proposed now. */
  takeWaiting(): readonly PendingProposal<Result>[] {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    return batch.some((proposal) => proposal.index === DONE)
      ? batch.filter((proposal) => proposal.index !== DONE)
      : batch;
  }

  /** The batch is in the log from `firstIndex` on. */
  appended(batch: readonly PendingProposal<Result>[], firstIndex: number, term: Term): void {
    let index = firstIndex;
    for (const proposal of batch) {
      proposal.index = index;
      proposal.term = term;
      const former = this.#inLog.get(index);
      // An entry of an older term at this index has been replaced in our own log, but another node may still hold it.
      if (former !== undefined) this.#fail(former, unknown('another entry took its place in the local log'));
      this.#inLog.set(index, proposal);
      index++;
    }
  }

  /** The batch went nowhere, or nobody can tell: `error` says which. */
  refused(batch: readonly PendingProposal<Result>[], error: RaftError): void {
    for (const proposal of batch) this.#fail(proposal, error);
  }

  applied(entries: readonly Entry[], results: readonly Result[]): void {
    if (this.#inLog.size === 0) return;
    for (let at = 0; at < entries.length; at++) {
      const entry = entries[at];
      if (entry === undefined) continue;
      const proposal = this.#inLog.get(entry.index);
      if (proposal === undefined) continue;
      if (proposal.term !== entry.term) {
        this.#fail(proposal, neverCommitted(proposal, entry));
        continue;
      }
      this.#finish(proposal);
      this.#onApplied?.(this.#clock.now() - proposal.proposedAt);
      // There is one result for each entry: the apply worker has checked it.
      proposal.resolve({ index: entry.index, term: entry.term, result: results[at] as Result });
    }
  }

  /** An entry that is no proposal was applied: whatever was proposed at its index lost its place. */
  appliedOther(entry: Entry): void {
    const proposal = this.#inLog.get(entry.index);
    if (proposal !== undefined) this.#fail(proposal, neverCommitted(proposal, entry));
  }

  /** A snapshot took the place of all entries up to `index`: what they were is not known here. */
  coveredBySnapshot(index: LogIndex): void {
    for (const proposal of [...this.#inLog.values()]) {
      if (proposal.index <= index)
        this.#fail(proposal, unknown('a snapshot of the leader covers its place in the log'));
    }
  }

  /**
   * This node is no member any more, and nobody tells it what becomes of entries after `commitIndex`. Those up to there
   * are still applied here.
   */
  leftBehind(commitIndex: LogIndex): void {
    for (const proposal of [...this.#inLog.values()]) {
      if (proposal.index > commitIndex)
        this.#fail(proposal, unknown('this node was removed from the group before it was decided'));
    }
  }

  /** Gives up on what has waited too long. Called with every tick. */
  expire(): void {
    if (this.#timeoutMs === 0) return;
    const deadline = this.#clock.now() - this.#timeoutMs;
    for (const proposal of this.#inLog.values()) {
      if (proposal.proposedAt > deadline) break;
      this.#fail(proposal, unknown(`there was no outcome within ${this.#timeoutMs} ms`));
    }
  }

  /** The node stops. What is not in the log fails with `error`. */
  failAll(error: RaftError): void {
    this.refused(this.takeWaiting(), error);
    for (const proposal of [...this.#inLog.values()]) {
      this.#fail(proposal, unknown('the node stopped before it was decided', error));
    }
  }

  #listen(proposal: PendingProposal<Result>, signal: AbortSignal): void {
    const onAbort = (): void => {
      this.#fail(
        proposal,
        proposal.index > 0 ? unknown('the caller gave up on it', signal.reason) : aborted(signal),
      );
    };
    signal.addEventListener('abort', onAbort, { once: true });
    proposal.unlisten = () => signal.removeEventListener('abort', onAbort);
  }

  #fail(proposal: PendingProposal<Result>, error: RaftError): void {
    if (proposal.index === DONE) return;
    this.#finish(proposal);
    proposal.reject(error);
  }

  #finish(proposal: PendingProposal<Result>): void {
    if (proposal.index > 0 && this.#inLog.get(proposal.index) === proposal)
      this.#inLog.delete(proposal.index);
    proposal.index = DONE;
    this.#pendingBytes -= proposal.data.length + PROPOSAL_OVERHEAD_BYTES;
    proposal.unlisten?.();
  }
}

function neverCommitted<Result>(proposal: PendingProposal<Result>, entry: Entry): RaftError {
  return new RaftError(
    'notCommitted',
    `proposing: entry ${entry.index} of term ${entry.term} was committed in place of this one of term ${proposal.term}; propose it again`,
  );
}

function unknown(why: string, cause?: unknown): RaftError {
  return new RaftError('outcomeUnknown', `proposing: ${why}; it may or may not be committed`, cause);
}

function aborted(signal: AbortSignal): RaftError {
  return new RaftError(
    'notCommitted',
    'proposing: the caller gave up before it was in the log',
    signal.reason,
  );
}
