import { constants } from 'node:http2';
import type { IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import type { CallStatus } from '../server/call.ts';
import { statusOf } from '../server/status.ts';
import { framed } from '../wire/frames.ts';
import type { Admitted } from './admission.ts';
import type { Deadlines, Expiring } from './deadlines.ts';
import { MessageReader } from './message-reader.ts';
import { NativeCall, parseTimeoutMs } from './native-call.ts';
import { noRoom } from './request.ts';
import type { SessionMemory } from './session-memory.ts';

/** A call with a stream of messages in either direction that the front answers itself. */
export interface DuplexCall {
  readonly headers: IncomingHttpHeaders;
  /** What the front knows of the caller; see `Admitted`. Its names in `headers` are the client's own words. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Sends an encoded message. False: enough is queued, wait for `onDrain`. Nothing happens on a call that is over. */
  write(message: Uint8Array): boolean;
  /** Ends the call. No listener is told of anything after it. */
  end(status: CallStatus): void;
  /** Has nothing more read from the client, so that it must wait, until {@link resume}. */
  pause(): void;
  resume(): void;
}

/** Whoever answers a call. None of these may throw. */
export interface DuplexListener {
  /** An encoded message of the client's. It shares memory with others that were received with it. */
  onMessage(message: Buffer): void;
  /** The client sends no more. */
  onEnd(): void;
  /** There is room again. */
  onDrain(): void;
  /** The call is over without {@link DuplexCall.end}; `statusCode` is 1 (CANCELLED) where the client went away. Once. */
  onOver(statusCode: number): void;
}

/** A method with streams in both directions that the front answers itself. */
export interface DuplexMethod {
  /** Larger messages end the call with RESOURCE_EXHAUSTED. */
  readonly messageSizeBytesMax: number;
  /** Bytes that a client may have on the way on one connection: 64 KiB, HTTP/2's first window, where it is not given. */
  readonly windowSizeBytes?: number;
  /** Must not throw. */
  open(call: DuplexCall): DuplexListener;
}

/** What all calls of a front share. */
export interface DuplexHost {
  readonly deadlines: Deadlines<Expiring>;
  readonly memory: SessionMemory;
}

const CANCELLED = 1;

/** Begins the call; what it returns can end it before its time. */
export function serveDuplex(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { metadata, share }: Admitted,
  method: DuplexMethod,
  { deadlines, memory }: DuplexHost,
): Expiring {
  const native = new NativeCall(stream, share);
  try {
    native.deadlineMs = native.startedMs + parseTimeoutMs(headers['grpc-timeout']);
  } catch (error) {
    native.end(statusOf(error));
    return native;
  }
  const call = new ServedDuplex(stream, headers, metadata, native, memory, method.messageSizeBytesMax);
  stream.once('close', () => deadlines.delete(call));
  deadlines.set(call, native.deadlineMs);
  call.open(method);
  return call;
}

/** A larger message halts on its way each time that a window is full, until the client has been told to go on. */
function widen(session: ServerHttp2Session | undefined, sizeBytes = 0): void {
  if (session === undefined || session.destroyed) return;
  if (sizeBytes <= (session.state.effectiveLocalWindowSize ?? 0)) return;
  session.setLocalWindowSize(sizeBytes);
  session.settings({ initialWindowSize: sizeBytes });
}

class ServedDuplex implements DuplexCall, Expiring {
  readonly headers: IncomingHttpHeaders;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #stream: ServerHttp2Stream;
  readonly #native: NativeCall;
  readonly #memory: SessionMemory;
  readonly #reader: MessageReader;
  #listener: DuplexListener | undefined;
  /** What this call counts for in the connection's memory. */
  #countedBytes = 0;
  #paused = false;
  #delivering = false;
  #halfClosed = false;
  #endTold = false;
  #over = false;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    metadata: Readonly<Record<string, string>>,
    native: NativeCall,
    memory: SessionMemory,
    messageSizeBytesMax: number,
  ) {
    this.headers = headers;
    this.metadata = metadata;
    this.#stream = stream;
    this.#native = native;
    this.#memory = memory;
    this.#reader = new MessageReader(messageSizeBytesMax);
  }

  open(method: DuplexMethod): void {
    const stream = this.#stream;
    widen(stream.session as ServerHttp2Session | undefined, method.windowSizeBytes);
    this.#listener = method.open(this);
    this.#native.onDrain = () => {
      this.#count();
      if (!this.#over) this.#listener?.onDrain();
    };
    stream.on('data', (piece: Buffer) => {
      if (this.#over) return;
      this.#reader.push(piece);
      this.#deliver();
    });
    stream.on('end', () => {
      this.#halfClosed = true;
      this.#deliver();
    });
    // A stream with something unread does not close before it is read: `aborted` comes at once.
    const gone = (): void => this.#overWith(CANCELLED);
    stream.once('aborted', gone);
    stream.once('close', gone);
  }

  write(message: Uint8Array): boolean {
    if (this.#over) return true;
    const hasRoom = this.#native.write([framed(message)]);
    // Its client does not read, and so cannot be told.
    if (!this.#count()) this.expire(statusOf(noRoom()));
    return hasRoom;
  }

  end(status: CallStatus): void {
    if (this.#over) return;
    this.#over = true;
    this.#finish(() => this.#native.end(status));
  }

  pause(): void {
    if (this.#over) return; // what is left of the request is thrown away
    this.#paused = true;
    this.#stream.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#deliver();
    if (!this.#paused) this.#stream.resume();
  }

  expire(status: CallStatus): void {
    const isOver = this.#over;
    this.#over = true;
    this.#finish(() => this.#native.expire(status));
    if (!isOver) this.#listener?.onOver(status.code);
  }

  /** Hands on what is whole, as long as it is wanted. */
  #deliver(): void {
    if (this.#delivering) return;
    this.#delivering = true;
    while (!this.#paused && !this.#over) {
      const message = this.#next();
      if (message === undefined) break;
      this.#listener?.onMessage(message);
    }
    this.#delivering = false;
    if (this.#over) return;
    if (!this.#count()) return this.#fail(noRoom());
    if (this.#paused || !this.#halfClosed || this.#endTold) return;
    this.#endTold = true;
    this.#listener?.onEnd();
  }

  #next(): Buffer | undefined {
    try {
      const message = this.#reader.next();
      if (message === undefined && this.#halfClosed) this.#reader.end();
      return message;
    } catch (error) {
      this.#fail(error);
      return undefined;
    }
  }

  /** Counts what waits for being whole and for being sent. False: there is no room for it. */
  #count(): boolean {
    const bytes = this.#reader.sizeBytes + this.#stream.writableLength;
    if (bytes === this.#countedBytes) return true;
    if (!this.#memory.take(this.#stream, bytes - this.#countedBytes)) return false;
    this.#countedBytes = bytes;
    return true;
  }

  #fail(error: unknown): void {
    const known = statusOf(error);
    this.end(known);
    this.#listener?.onOver(known.code);
  }

  #overWith(statusCode: number): void {
    this.#stream.resume(); // what is left of the request must not keep the stream
    if (this.#over) return;
    this.#over = true;
    this.#listener?.onOver(statusCode);
  }

  /** Ends the answer, and after it the request: a client that still sends must not go on with it. */
  #finish(endAnswer: () => void): void {
    const stream = this.#stream;
    const over = (): void =>
      void setImmediate(() => {
        if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
      });
    const hasHeaders = stream.headersSent;
    if (hasHeaders) stream.once('wantTrailers', over);
    endAnswer();
    stream.resume();
    if (!hasHeaders) over();
  }
}
