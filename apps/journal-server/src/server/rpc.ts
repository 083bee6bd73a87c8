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
import { isNotLeaderError } from '@pact-journal/raft-core';
import type { LeaderForwarder } from './forwarder.ts';
import { CallError, statusOf, type Status } from './grpc-status.ts';
import type { Logger } from './log.ts';

/** What a handler knows about its call. */
export interface CallContext {
  readonly metadata: Metadata;
  /** The client's idempotency key; undefined where it gave none. */
  readonly requestId: string | undefined;
}

/** Told once a call has ended. */
export type CallObserver = (method: string, code: status, durationMs: number) => void;

export interface RpcHostOptions {
  readonly log: Logger;
  readonly forwarder: LeaderForwarder;
  readonly observer: CallObserver;
}

/** How many stream messages are written before other work gets a turn. */
const MESSAGES_PER_TURN = 64;
const REQUEST_ID_LENGTH_MAX = 128;

/** Makes grpc-js handlers of plain functions. */
export class RpcHost {
  readonly #log: Logger;
  readonly #forwarder: LeaderForwarder;
  readonly #observer: CallObserver;

  constructor(options: RpcHostOptions) {
    this.#log = options.log;
    this.#forwarder = options.forwarder;
    this.#observer = options.observer;
  }

  /** A call that this node answers itself. */
  unary<Request, Response>(
    method: MethodDefinition<Request, Response>,
    handler: (request: Request, context: CallContext) => Promise<Response> | Response,
  ): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      const startedMs = performance.now();
      run(async () => handler(call.request, contextOf(call.metadata))).then(
        (response) => {
          this.#observer(method.path, status.OK, performance.now() - startedMs);
          callback(null, response);
        },
        (error: unknown) => {
          const failure = this.failure(method.path, error);
          this.#observer(method.path, failure.code, performance.now() - startedMs);
          callback(failure);
        },
      );
    };
  }

  /** A call that only the leader can answer: any other node passes it on, once. */
  leader<Request, Response>(
    method: MethodDefinition<Request, Response>,
    handler: (request: Request, context: CallContext) => Promise<Response> | Response,
  ): handleUnaryCall<Request, Response> {
    return (call, callback) => {
      const withForwarding = async (request: Request, context: CallContext): Promise<Response> => {
        try {
          return await handler(request, context);
        } catch (error) {
          if (!isNotLeaderError(error)) throw error;
          return await this.#forwarder.unary(method, request, call, error);
        }
      };
      this.unary(method, withForwarding)(call, callback);
    };
  }

  /** A call that is answered by a sequence of messages, no faster than the client reads them. */
  stream<Request, Response>(
    method: MethodDefinition<Request, Response>,
    handler: (request: Request, context: CallContext) => Iterable<Response> | Promise<Iterable<Response>>,
  ): handleServerStreamingCall<Request, Response> {
    return (call) => {
      const startedMs = performance.now();
      run(async () => writeAll(call, await handler(call.request, contextOf(call.metadata)))).then(
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

  /** The status to end a call with. What is no designed failure is logged whole and answered in general words. */
  failure(method: string, error: unknown): Status & Error {
    const known = statusOf(error);
    if (known !== undefined) return Object.assign(new Error(known.details), known);
    this.#log.error({ err: error, method }, 'a call failed by a defect of this program');
    const details = 'internal error; the log of this node has the details';
    return Object.assign(new Error(details), { code: status.INTERNAL, details, metadata: new Metadata() });
  }
}

/** Starts the work, so that what it throws at once is a rejection too. */
function run<Result>(work: () => Promise<Result>): Promise<Result> {
  return work();
}

function contextOf(metadata: Metadata): CallContext {
  const [key] = metadata.get(REQUEST_ID_KEY);
  const requestId = key === undefined ? undefined : String(key);
  if (requestId !== undefined && (requestId.length === 0 || requestId.length > REQUEST_ID_LENGTH_MAX)) {
    throw new CallError(
      status.INVALID_ARGUMENT,
      `metadata ${REQUEST_ID_KEY} must have 1 to ${String(REQUEST_ID_LENGTH_MAX)} characters`,
    );
  }
  return { metadata, requestId };
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
