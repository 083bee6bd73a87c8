/** What every call has in common: errors become statuses, calls are counted and timed, writes reach the leader. */
import {
  Metadata,
  status,
  type handleServerStreamingCall,
  type handleUnaryCall,
  type MethodDefinition,
  type ServerWritableStream,
} from '@grpc/grpc-js';
import { REQUEST_ID_KEY } from '@pact-journal/journal-proto';
import type { Identity } from '@pact-journal/journal-state';
import { isNotLeaderError } from '@pact-journal/raft-core';
import type { UnaryMethod } from '@pact-journal/boot-stream';
import type { Access, Caller, Grant } from '../auth/index.ts';
import { cutLongWords } from '../long-words.ts';
import type { LeaderForwarder } from './forwarder.ts';
import { CallError, frontStatus, statusOf, type Status } from './grpc-status.ts';
import { headersOf, incomingOf, incomingOfFront, type IncomingCall } from './incoming.ts';
import type { Logger } from './log.ts';
import type { Tracing } from './tracing.ts';

/** What a handler knows about its call. */
export interface CallContext {
  readonly incoming: IncomingCall;
  /** The client's idempotency key; undefined where it gave none. */
  readonly requestId: string | undefined;
  /** Who calls. */
  readonly caller: Caller;
  /** Who is the author of what is written; undefined where nobody is authenticated and the request's claim counts. */
  readonly author: Identity | undefined;
}

/** Told once a call has ended. */
export type CallObserver = (method: string, code: status, durationMs: number) => void;

export interface RpcHostOptions {
  readonly log: Logger;
  readonly forwarder: LeaderForwarder;
  readonly observer: CallObserver;
  readonly access: Access;
  /** Told of every call that ends. */
  readonly tracing?: Tracing | undefined;
  /** Larger requests are refused. */
  readonly requestSizeBytesMax: number;
}

export type UnaryHandler<Request, Response> = (
  request: Request,
  context: CallContext,
) => Promise<Response> | Response;

/** Logged where a write goes on to the leader. */
export const PASSED_ON_MESSAGE = 'passed on to the leader';

/** How many stream messages are written before other work gets a turn. */
const MESSAGES_PER_TURN = 64;
const REQUEST_ID_LENGTH_MAX = 128;

/** Makes grpc-js handlers of plain functions. */
export class RpcHost {
  readonly #log: Logger;
  readonly #tracing: Tracing | undefined;
  readonly #forwarder: LeaderForwarder;
  readonly #observer: CallObserver;
  readonly #access: Access;
  readonly #requestSizeBytesMax: number;
  readonly #frontMethods = new Map<string, UnaryMethod>();

  constructor(options: RpcHostOptions) {
    this.#log = options.log;
    this.#tracing = options.tracing;
    this.#forwarder = options.forwarder;
    this.#observer = options.observer;
    this.#access = options.access;
    this.#requestSizeBytesMax = options.requestSizeBytesMax;
  }

  /** A call that this node answers itself. */
  unary<Request, Response>(
    method: MethodDefinition<Request, Response>,
    handler: UnaryHandler<Request, Response>,
  ): handleUnaryCall<Request, Response> {
    const answer = this.#observed(method.path, handler);
    this.#frontMethods.set(method.path, {
      requestSizeBytesMax: this.#requestSizeBytesMax,
      handle: async (message, call) => {
        const response = await answer(() => decoded(method, message), incomingOfFront(call));
        return method.responseSerialize(response);
      },
      failure: (error) => frontStatus(this.failure(method.path, error)),
    });
    return (call, callback) => {
      answer(() => call.request, incomingOf(call)).then(
        (response) => {
          callback(null, response);
        },
        (error: unknown) => {
          callback(this.failure(method.path, error));
        },
      );
    };
  }

  /** A call that only the leader can answer: any other node passes it on, once. */
  leader<Request, Response>(
    method: MethodDefinition<Request, Response>,
    handler: UnaryHandler<Request, Response>,
  ): handleUnaryCall<Request, Response> {
    return this.unary(method, async (request, context) => {
      try {
        return await handler(request, context);
      } catch (error) {
        if (!isNotLeaderError(error)) throw error;
        const { requestId: request_id } = context;
        this.#log.debug({ request_id, method: method.path, leader_id: error.leaderId }, PASSED_ON_MESSAGE);
        return await this.#forwarder.unary(method, request, context.incoming, error);
      }
    });
  }

  /** Every unary method that was made here, for a front that answers them without going through grpc-js. */
  get frontMethods(): ReadonlyMap<string, UnaryMethod> {
    return this.#frontMethods;
  }

  /** A call that is answered by a sequence of messages, no faster than the client reads them. */
  stream<Request, Response>(
    method: MethodDefinition<Request, Response>,
    handler: (request: Request) => Iterable<Response>,
  ): handleServerStreamingCall<Request, Response> {
    return (call) => {
      const startedMs = performance.now();
      const messages = (): Iterable<Response> => {
        const caller = this.#access.callerOf(headersOf(call.metadata));
        this.#access.authorize(caller, method.path, call.request);
        return handler(call.request);
      };
      run(() => writeAll(call, messages())).then(
        (complete) => {
          this.#observer(method.path, complete ? status.OK : status.CANCELLED, performance.now() - startedMs);
          call.end();
        },
        (error: unknown) => {
          const failure = this.failure(method.path, error);
          this.#observer(method.path, failure.code, performance.now() - startedMs);
          call.emit('error', failure);
        },
      );
    };
  }

  /** The handler, counted and timed. What it throws at once is a rejection too. */
  #observed<Request, Response>(
    path: string,
    handler: UnaryHandler<Request, Response>,
  ): (request: () => Request, incoming: IncomingCall) => Promise<Response> {
    return async (request, incoming) => {
      const startedMs = performance.now();
      try {
        const message = request();
        const grant = this.#access.authorize(this.#access.callerOf(incoming.header), path, message);
        const response = await handler(message, contextOf(incoming, grant));
        this.#ended(path, status.OK, performance.now() - startedMs, incoming);
        return response;
      } catch (error) {
        const code = statusOf(error)?.code ?? status.INTERNAL;
        this.#ended(path, code, performance.now() - startedMs, incoming);
        throw error;
      }
    };
  }

  #ended(method: string, code: status, durationMs: number, { header }: IncomingCall): void {
    this.#observer(method, code, durationMs);
    if (this.#tracing === undefined && !this.#log.isLevelEnabled('debug')) return;
    const requestId = header(REQUEST_ID_KEY);
    const call = { request_id: requestId, method, code: status[code], duration_ms: durationMs };
    this.#log.debug(call, 'call answered');
    this.#tracing?.ended('call', durationMs, requestId, { 'rpc.method': method, code: status[code] });
  }

  /** The status to end a call with. What is no designed failure is logged whole and answered in general words. */
  failure(method: string, error: unknown): Status & Error {
    const known = statusOf(error);
    if (known !== undefined) {
      // It travels in trailers, which have no room for whatever a request may carry.
      const details = cutLongWords(known.details);
      return Object.assign(new Error(details), known, { details });
    }
    this.#log.error({ err: error, method }, 'a call failed by a defect of this program');
    const details = 'internal error; the log of this node has the details';
    return Object.assign(new Error(details), { code: status.INTERNAL, details, metadata: new Metadata() });
  }
}

/** Starts the work, so that what it throws at once is a rejection too. */
async function run<Result>(work: () => Promise<Result>): Promise<Result> {
  return work();
}

function contextOf(incoming: IncomingCall, { caller, author }: Grant): CallContext {
  const requestId = incoming.header(REQUEST_ID_KEY);
  if (requestId !== undefined && (requestId.length === 0 || requestId.length > REQUEST_ID_LENGTH_MAX)) {
    throw new CallError(
      status.INVALID_ARGUMENT,
      `metadata ${REQUEST_ID_KEY} must have 1 to ${String(REQUEST_ID_LENGTH_MAX)} characters`,
    );
  }
  return { incoming, requestId, caller, author };
}

/** Throws a `CallError` for what is no message of the method. */
export function decoded<Request, Response>(
  method: Pick<MethodDefinition<Request, Response>, 'path' | 'requestDeserialize'>,
  message: Buffer,
): Request {
  try {
    return method.requestDeserialize(message);
  } catch (error) {
    const why = error instanceof Error ? error.message : 'unreadable';
    throw new CallError(
      status.INVALID_ARGUMENT,
      `the request is not a valid message of ${method.path}: ${why}`,
    );
  }
}

/** Resolves to false where the client went away. */
async function writeAll<Response>(
  call: ServerWritableStream<unknown, Response>,
  messages: Iterable<Response>,
): Promise<boolean> {
  let sinceTurn = 0;
  for (const message of messages) {
    if (call.cancelled) return false;
    sinceTurn += 1;
    if (!call.write(message)) await drained(call);
    else if (sinceTurn % MESSAGES_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return !call.cancelled;
}

function drained(call: ServerWritableStream<unknown, unknown>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      call.off('cancelled', done);
      call.off('close', done);
      resolve();
    };
    call.on('drain', done);
    call.on('cancelled', done);
    call.on('close', done);
  });
}
