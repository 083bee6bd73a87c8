import type {
  CommandEnvelope,
  CommandResult,
  EntrySeq,
  JournalCommand,
  Timestamp,
} from '@pact-journal/journal-state';
import { isNotLeaderError, isRaftError } from '@pact-journal/raft-core';
import type { Logger } from './log.ts';
import { validationError } from './grpc-status.ts';
import type { Tracing } from './tracing.ts';

/** A committed and applied command. */
export interface Receipt {
  /** Position in the journal; undefined for commands that append no entry. */
  readonly sequence: EntrySeq | undefined;
  /** The entry waits for a second person. */
  readonly pendingApproval: boolean;
  /** Position in the Raft log, and its term. */
  readonly index: number;
  readonly term: number;
}

/** What the writer needs of a Raft node. */
export interface Proposer {
  propose(
    data: Uint8Array,
  ): Promise<{ readonly index: number; readonly term: number; readonly result: CommandResult }>;
}

/** Told of proposals that have a request id: the log at level debug, tracing as spans. */
export interface ToldOfProposals {
  readonly log?: Logger;
  readonly tracing?: Tracing | undefined;
}

/** Puts commands through Raft. Only the leader can: others fail with raft-core's `NotLeaderError`. */
export class JournalWriter {
  readonly #proposer: Proposer;
  readonly #encode: (envelope: CommandEnvelope) => Uint8Array;
  readonly #now: () => Timestamp;
  readonly #told: ToldOfProposals;
  #proposedMs = -Infinity;
  /** Tells whoever waits for the next proposal that it is made. */
  #accompany: (() => void) | undefined;

  constructor(
    proposer: Proposer,
    encode: (envelope: CommandEnvelope) => Uint8Array,
    now: () => Timestamp,
    told: ToldOfProposals = {},
  ) {
    this.#proposer = proposer;
    this.#encode = encode;
    this.#now = now;
    this.#told = told;
  }

  /** The same as `submit`, with the state machine's refusals as results. */
  propose(command: JournalCommand, requestId: string | undefined): ReturnType<Proposer['propose']> {
    const outcome = this.#put(command, requestId);
    this.#proposedMs = performance.now();
    this.#accompany?.();
    if (requestId !== undefined && this.#isTold()) this.#tell(command.type, requestId, outcome);
    return outcome;
  }

  /**
   * Like `propose`, for what can wait for `ms`: where proposals follow one another so closely it goes with the next one,
   * instead of costing every node a message and a write of its own. Two that wait are enough: they go together.
   */
  async proposeWithNext(command: JournalCommand, ms: number): ReturnType<Proposer['propose']> {
    if (this.#accompany !== undefined) this.#accompany();
    else if (performance.now() - this.#proposedMs < ms) await this.#nextProposal(ms);
    return this.#put(command, undefined);
  }

  #put(command: JournalCommand, requestId: string | undefined): ReturnType<Proposer['propose']> {
    const envelope: CommandEnvelope = {
      command,
      ...(requestId === undefined ? {} : { request_id: requestId }),
      time: this.#now(),
    };
    return this.#proposer.propose(this.#encode(envelope));
  }

  /** Resolves with the next proposal, or after `ms`. */
  #nextProposal(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#accompany = undefined;
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.#accompany = end;
    });
  }

  #isTold(): boolean {
    const { log, tracing } = this.#told;
    return tracing !== undefined || log?.isLevelEnabled('debug') === true;
  }

  #tell(command: string, requestId: string, outcome: ReturnType<Proposer['propose']>): void {
    const { log, tracing } = this.#told;
    const startedMs = performance.now();
    const what = { request_id: requestId, command };
    outcome.then(
      ({ index, term }) => {
        const durationMs = performance.now() - startedMs;
        log?.debug({ ...what, index, term, duration_ms: durationMs }, 'committed');
        tracing?.ended('propose', durationMs, requestId, { command, index, term });
      },
      (error: unknown) => {
        // Then it goes on to the leader, which is told of elsewhere.
        if (isNotLeaderError(error)) return;
        const durationMs = performance.now() - startedMs;
        log?.debug({ ...what, err: error, duration_ms: durationMs }, 'not committed');
        tracing?.ended('propose', durationMs, requestId, { command, 'error.type': codeOf(error) });
      },
    );
  }

  /**
   * Resolves once the command is durable on a quorum and applied here. Rejects with a `CallError` where the state
   * machine refused it, and with raft-core's errors where it was not committed or nobody knows.
   */
  async submit(command: JournalCommand, requestId: string | undefined): Promise<Receipt> {
    const { index, term, result } = await this.propose(command, requestId);
    if (result.type === 'ValidationError') throw validationError(result);
    const { sequence, pending } = result.type === 'EntryAppended' ? result : { sequence: undefined };
    return { sequence, pendingApproval: pending === true, index, term };
  }

  /** The same for a command that appends an entry. */
  async append(
    command: Extract<JournalCommand, { type: 'AppendEntry' | 'SetPolicy' | 'DecideApproval' }>,
    requestId: string | undefined,
  ): Promise<Receipt & { readonly sequence: EntrySeq }> {
    const receipt = await this.submit(command, requestId);
    if (receipt.sequence === undefined) throw new Error(`assertion failed: ${command.type} appends an entry`);
    return { ...receipt, sequence: receipt.sequence };
  }
}

function codeOf(error: unknown): string {
  return isRaftError(error) ? error.code : 'other';
}
