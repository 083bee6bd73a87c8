import { constants } from 'node:http2';
import type { OutgoingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { BootStreamError } from '../errors.ts';
import type { Frame } from '../wire/frames.ts';
import type { CallStatus, ServerCall } from '../server/call.ts';
import { breakOff } from './break-off.ts';

const RESPONSE_HEADERS: OutgoingHttpHeaders = {
  ':status': 200,
  'content-type': 'application/grpc+proto',
  'grpc-accept-encoding': 'identity',
};

/** Header lists of successful ends are alike. */
const OK_TRAILERS: OutgoingHttpHeaders = { 'grpc-status': '0' };

/** A gRPC call on a node:http2 stream, without a framework in between. */
export class NativeCall implements ServerCall {
  onDrain: (() => void) | undefined;
  onClose: (() => void) | undefined;
  /** Milliseconds (of performance.now) at which the client gives up. */
  deadlineMs = Infinity;
  readonly share: unknown;
  /** Milliseconds (of performance.now) at which the call began. */
  readonly startedMs = performance.now();
  /** How it ended: a gRPC status code; undefined before that and when the client went away first. */
  statusCode: number | undefined;
  readonly #stream: ServerHttp2Stream;
  #trailers: OutgoingHttpHeaders = OK_TRAILERS;
  #headersSent = false;
  #listensToDrain = false;

  constructor(stream: ServerHttp2Stream, share: unknown = stream.session) {
    this.#stream = stream;
    this.share = share;
  }

  get closed(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  sendHeaders(): void {
    if (this.#headersSent || this.closed) return;
    this.#headersSent = true;
    this.#stream.respond(RESPONSE_HEADERS, { waitForTrailers: true });
    this.#stream.once('wantTrailers', () => this.#stream.sendTrailers(this.#trailers));
  }

  write(frame: Frame): boolean {
    if (this.closed || this.statusCode !== undefined) return true;
    this.sendHeaders();
    let hasRoom = true;
    this.#stream.cork();
    for (const piece of frame) hasRoom = this.#stream.write(piece);
    this.#stream.uncork();
    if (!hasRoom && !this.#listensToDrain) {
      this.#listensToDrain = true;
      this.#stream.on('drain', () => this.onDrain?.());
    }
    return hasRoom;
  }

  end(status: CallStatus, closing: readonly Uint8Array[] = []): void {
    if (this.closed || this.statusCode !== undefined) return;
    this.statusCode = status.code;
    if (status.code !== 0) this.#trailers = trailersOf(status);
    if (!this.#headersSent && closing.length === 0) {
      this.#headersSent = true;
      this.#stream.respond({ ...RESPONSE_HEADERS, ...this.#trailers }, { endStream: true });
      this.#stream.resume(); // what is left of the request must not keep the stream
      return;
    }
    this.sendHeaders();
    this.#stream.cork(); // until `end`: all of it becomes one write
    for (let index = 0; index < closing.length - 1; index += 1) this.#stream.write(closing[index]);
    this.#stream.end(closing.at(-1));
  }

  abort(): void {
    breakOff(this.#stream, constants.NGHTTP2_CANCEL);
  }

  /** The deadline has passed: says so where nothing else was said yet, else gives the stream up. */
  expire(status: CallStatus): void {
    if (this.#stream.writableLength > 0 || this.statusCode !== undefined) this.abort();
    else this.end(status);
  }
}

/** How a status travels. */
export function trailersOf(status: CallStatus): OutgoingHttpHeaders {
  return {
    'grpc-status': String(status.code),
    'grpc-message': percentEncode(status.message),
    ...status.trailers,
  };
}

/**
 * Printable ASCII but `%` stays, the rest becomes %XX of its UTF-8 (gRPC over HTTP/2, Responses). So does a space
 * first or last: HTTP/2 has receivers drop such a field (RFC 9113, 8.2.1).
 */
export function percentEncode(message: string): string {
  if (!/[^ -~]|%|^ | $/.test(message)) return message;
  const bytes = Buffer.from(message);
  let encoded = '';
  for (const [index, byte] of bytes.entries()) {
    const inner = index > 0 && index < bytes.length - 1;
    const plain = byte > 0x20 && byte <= 0x7e && byte !== 0x25;
    encoded +=
      plain || (byte === 0x20 && inner)
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return encoded;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/** `grpc-timeout`: at most 8 digits and a unit. Infinity where there is none. */
export function parseTimeoutMs(header: string | string[] | undefined): number {
  if (header === undefined) return Infinity;
  const match = typeof header === 'string' ? /^(\d{1,8})([HMSmun])$/.exec(header) : null;
  const unitMs = UNIT_MS[match?.[2] ?? ''];
  if (match !== null && unitMs !== undefined) return Number(match[1]) * unitMs;
  throw new BootStreamError('internal', `the header grpc-timeout is malformed: ${JSON.stringify(header)}`);
}
