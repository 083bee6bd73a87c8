import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { CallStatus } from '../server/call.ts';
import { OK } from '../server/call.ts';
import { statusOf } from '../server/status.ts';
import { framed } from '../wire/frames.ts';
import type { Admitted } from './admission.ts';
import type { Deadlines, Expiring } from './deadlines.ts';
import { NativeCall, parseTimeoutMs } from './native-call.ts';
import { noRoom, readRequest } from './request.ts';
import type { SessionMemory } from './session-memory.ts';
import type { Turns } from './turns.ts';

/** A unary call that the front answers itself. */
export interface UnaryCall {
  readonly headers: IncomingHttpHeaders;
  /** What the front knows of the caller; see `Admitted`. Its names in `headers` are the client's own words. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds (of performance.now) at which the client gives up; Infinity where it never does. */
  readonly deadlineMs: number;
  /** Calls back once, where the client gives up or goes away before the answer. */
  onCancel(this: void, listener: () => void): void;
}

/** A unary method that the front answers itself, several times as fast as through the grpc-js server. */
export interface UnaryMethod {
  /** Larger requests are refused with RESOURCE_EXHAUSTED. */
  readonly requestSizeBytesMax: number;
  /** From the request's encoded message to the answer's. */
  handle(message: Buffer, call: UnaryCall): Promise<Uint8Array>;
  /** What a client is told of what `handle` rejected with. Must not throw. */
  failure(error: unknown): CallStatus;
}

/** The front takes no compressed requests: who sends them is served by grpc-js. */
export function isPlain(headers: IncomingHttpHeaders): boolean {
  const encoding = headers['grpc-encoding'];
  return encoding === undefined || encoding === 'identity';
}

/** What all calls of a front share. */
export interface UnaryHost {
  readonly deadlines: Deadlines<Expiring>;
  readonly turns: Turns;
  readonly memory: SessionMemory;
}

export function serveUnary(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { metadata, share }: Admitted,
  method: UnaryMethod,
  { deadlines, turns, memory }: UnaryHost,
): void {
  const call = new NativeCall(stream, share);
  const cancelled: (() => void)[] = [];
  try {
    call.deadlineMs = call.startedMs + parseTimeoutMs(headers['grpc-timeout']);
  } catch (error) {
    call.end(statusOf(error));
    return;
  }
  stream.once('close', () => {
    deadlines.delete(call);
    if (call.statusCode === undefined || call.statusCode === DEADLINE_EXCEEDED)
      for (const listener of cancelled) listener();
  });
  deadlines.set(call, call.deadlineMs);
  const onCancel = (listener: () => void): void => {
    cancelled.push(listener);
  };
  const answer = async (message: Buffer): Promise<void> => {
    // Its client may have gone while it waited for its turn.
    if (call.closed || call.statusCode !== undefined) return;
    try {
      const response = await method.handle(message, {
        headers,
        metadata,
        deadlineMs: call.deadlineMs,
        onCancel,
      });
      // Its request is done with.
      memory.release(stream);
      if (!memory.take(stream, response.byteLength)) call.end(statusOf(noRoom()));
      else call.end(OK, [framed(response)]);
    } catch (error) {
      call.end(method.failure(error));
    }
  };
  const inTurn = (message: Buffer): void => turns.run(call.share, () => answer(message));
  readRequest(stream, inTurn, (error) => call.end(statusOf(error)), {
    sizeBytesMax: method.requestSizeBytesMax,
    memory,
  });
}

const DEADLINE_EXCEEDED = 4;
