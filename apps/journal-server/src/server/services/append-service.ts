/** JournalAppendService: many commands in flight on one stream. */
import { status, type handleBidiStreamingCall } from '@grpc/grpc-js';
import type { DuplexMethod } from '@pact-journal/boot-stream';
import { journal, newEntryFromWire, newOperationFromWire } from '@pact-journal/journal-proto';
import type { JournalCommand } from '@pact-journal/journal-state';
import type { NotLeaderError } from '@pact-journal/raft-core';
import { ENTRY_ROW, OPERATION_ROW, type Caller } from '../../auth/index.ts';
import type { LeaderForwarder } from '../forwarder.ts';
import { CallError, statusOf } from '../grpc-status.ts';
import { PASSED_ON_MESSAGE, type CallObserver } from '../rpc.ts';
import {
  appendsOfFront,
  openOnGrpcJs,
  type AppendCall,
  type AppendListener,
  type OpenAppends,
} from './append-call.ts';
import { ForwardedAppends } from './append-forward.ts';
import { failureOutcome } from './append-outcome.ts';
import { authored, invalid, type ServiceContext } from './context.ts';

const { appendStream } = journal.JournalAppendServiceDefinition;
const ITEMS_PER_MESSAGE_MAX = 1_024;
/** Above this many undecided items the client's stream is read no further, below half of it again. */
const IN_FLIGHT_MAX = 4_096;
const REQUEST_ID_LENGTH_MAX = 128;

export interface AppendServiceOptions {
  readonly forwarder: LeaderForwarder;
  /** Undefined while this node leads. */
  readonly whoLeads: () => NotLeaderError | undefined;
  readonly observer: CallObserver;
  /** Larger messages end a stream. */
  readonly messageSizeBytesMax: number;
}

/** The service, and the streams that are open on it. */
export class AppendService {
  readonly handlers: journal.JournalAppendServiceServer;
  /** The same for a front that answers the streams without going through grpc-js. */
  readonly frontMethods: ReadonlyMap<string, DuplexMethod>;
  readonly #sessions = new Set<AppendSession>();
  #draining = false;

  constructor(context: ServiceContext, options: AppendServiceOptions) {
    const open: OpenAppends = (call) => {
      const session = new AppendSession(call, context, options, () => this.#sessions.delete(session));
      this.#sessions.add(session);
      if (this.#draining) void session.drain();
      return session;
    };
    const handler: handleBidiStreamingCall<journal.AppendStreamRequest, journal.AppendStreamResponse> = (
      call,
    ) => {
      openOnGrpcJs(call, open);
    };
    this.handlers = { appendStream: handler };
    this.frontMethods = new Map([[appendStream.path, appendsOfFront(options.messageSizeBytesMax, open)]]);
  }

  /** Ends all streams, each after the outcomes of what it has in flight; clients go on at another member. */
  async drain(): Promise<void> {
    this.#draining = true;
    await Promise.all([...this.#sessions].map((session) => session.drain()));
  }
}

/** One client's stream. Outcomes that are known in the same turn of the event loop travel in one message. */
class AppendSession implements AppendListener {
  readonly #call: AppendCall;
  readonly #context: ServiceContext;
  readonly #options: AppendServiceOptions;
  readonly #forwarded: ForwardedAppends;
  readonly #startedMs = performance.now();
  #outcomes: journal.AppendOutcome[] = [];
  #caller: Caller | undefined;
  #flushing = false;
  #inFlight = 0;
  #paused = false;
  /** The leader takes no more for now. */
  #held = false;
  /** The client has not read the outcomes that were sent. */
  #unread = false;
  #ended = false;
  #closed = false;
  #draining = false;
  readonly #whenClosed: (() => void)[];

  constructor(
    call: AppendCall,
    context: ServiceContext,
    options: AppendServiceOptions,
    whenClosed: () => void,
  ) {
    this.#call = call;
    this.#whenClosed = [whenClosed];
    this.#context = context;
    this.#options = options;
    this.#forwarded = new ForwardedAppends(
      options.forwarder,
      call.header,
      (outcomes) => {
        this.#decided(outcomes);
      },
      (held) => {
        this.#held = held;
        this.#regulate();
      },
    );
  }

  halfClosed(): void {
    this.#ended = true;
    this.#finishIfDone();
  }

  drained(): void {
    this.#unread = false;
    this.#regulate();
  }

  unreadable(error: unknown): void {
    if (!this.#closed) this.#fail(error);
  }

  over(code: status): void {
    this.#close(code);
  }

  /** Takes nothing more, and ends the stream as unavailable once everything in flight is decided. */
  drain(): Promise<void> {
    this.#draining = true;
    const closed = new Promise<void>((resolve) => {
      if (this.#closed) resolve();
      else this.#whenClosed.push(resolve);
    });
    this.#finishIfDone();
    return closed;
  }

  receive(message: journal.AppendStreamRequest): void {
    // What comes in after the drain began is unanswered when the stream ends: its sender repeats it elsewhere.
    if (this.#closed || this.#draining) return;
    if (message.items.length > ITEMS_PER_MESSAGE_MAX) {
      const count = `${String(message.items.length)} items in one message`;
      this.#fail(invalid(`items: ${count}; at most ${String(ITEMS_PER_MESSAGE_MAX)} are allowed`));
      return;
    }
    this.#inFlight += message.items.length;
    this.#regulate();
    const elsewhere = this.#options.whoLeads();
    if (elsewhere !== undefined) this.#passOn(message, elsewhere);
    else for (const item of message.items) void this.#append(item);
  }

  #passOn(message: journal.AppendStreamRequest, leader: NotLeaderError): void {
    const { log } = this.#context;
    if (log.isLevelEnabled('debug')) {
      for (const item of message.items) {
        const call = { request_id: item.requestId, method: appendStream.path, leader_id: leader.leaderId };
        log.debug(call, PASSED_ON_MESSAGE);
      }
    }
    this.#forwarded.send(message, leader);
  }

  async #append(item: journal.AppendItem): Promise<void> {
    try {
      const command = this.#commandOf(item);
      const value = await this.#context.writer.submit(command, requestIdOf(item));
      this.#decided([{ correlationId: item.correlationId, outcome: { $case: 'appended', value } }]);
    } catch (error) {
      const known = statusOf(error) ?? this.#context.rpc.failure(appendStream.path, error);
      this.#decided([failureOutcome(item.correlationId, known)]);
    }
  }

  /** Each item is allowed or refused on its own. Keys are in canonical order, which saves sorting them. */
  #commandOf(item: journal.AppendItem): JournalCommand {
    const { access } = this.#context;
    const caller = (this.#caller ??= access.callerOf(this.#call.header));
    switch (item.command?.$case) {
      case 'entry': {
        const { author } = access.authorizeBy(ENTRY_ROW, caller, item.command.value);
        return { entry: newEntryFromWire(item.command.value, authored(author)), type: 'AppendEntry' };
      }
      case 'operation': {
        const { author } = access.authorizeBy(OPERATION_ROW, caller, { operation: item.command.value });
        return {
          operation: newOperationFromWire(item.command.value, authored(author)),
          type: 'RecordOperation',
        };
      }
      case undefined:
        throw invalid('command: an item has an entry or an operation');
    }
  }

  #decided(outcomes: readonly journal.AppendOutcome[]): void {
    if (this.#closed) return;
    for (const outcome of outcomes) this.#outcomes.push(outcome);
    this.#inFlight -= outcomes.length;
    if (this.#flushing) return;
    this.#flushing = true;
    // After the promises of this turn: the others that it decided travel along.
    process.nextTick(() => {
      this.#flush();
    });
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#closed) return;
    const outcomes = this.#outcomes;
    this.#outcomes = [];
    if (outcomes.length > 0 && !this.#call.write({ outcomes })) this.#unread = true;
    this.#regulate();
    this.#finishIfDone();
  }

  /**
   * Reads the client's stream only while there is room: not while too much is undecided, while the leader takes no
   * more, or while the client does not read its outcomes.
   */
  #regulate(): void {
    if (this.#closed) return;
    const limit = this.#paused ? IN_FLIGHT_MAX / 2 : IN_FLIGHT_MAX;
    const pause = this.#held || this.#unread || this.#inFlight > limit;
    if (pause === this.#paused) return;
    this.#paused = pause;
    if (pause) this.#call.pause();
    else this.#call.resume();
  }

  #finishIfDone(): void {
    if (this.#closed || this.#inFlight > 0 || this.#outcomes.length > 0) return;
    if (this.#draining) {
      this.#fail(new CallError(status.UNAVAILABLE, 'this node is stopping; go on at another one'));
      return;
    }
    if (!this.#ended) return;
    this.#close(status.OK);
    this.#call.end();
  }

  #fail(error: unknown): void {
    const failure = this.#context.rpc.failure(appendStream.path, error);
    this.#close(failure.code);
    this.#call.end(failure);
  }

  #close(code: status): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#forwarded.close();
    for (const listener of this.#whenClosed.splice(0)) listener();
    this.#options.observer(appendStream.path, code, performance.now() - this.#startedMs);
  }
}

function requestIdOf(item: journal.AppendItem): string | undefined {
  if (item.requestId.length > REQUEST_ID_LENGTH_MAX) {
    throw invalid(`request_id: must have at most ${String(REQUEST_ID_LENGTH_MAX)} characters`);
  }
  return item.requestId === '' ? undefined : item.requestId;
}
