/**
 * One booting node's connection. It speaks gRPC on node:http2 itself, because a storm has to cost its own machine as
 * little as possible: what it measures is the server.
 */
import { connect, constants, type ClientHttp2Session } from 'node:http2';
import type { SecureContextOptions } from 'node:tls';
import { status } from '@grpc/grpc-js';
import { stream } from '@pact-journal/journal-proto';
import type { BodyCollector } from './verification.ts';

const PATH = '/pact.stream.BootConfigService/StreamBootConfig';

/** Room for a whole overlay in flight, in bytes: a boot shall not wait for window updates. */
const WINDOW_BYTES = 4 * 1024 * 1024;

/** No boot's answer is larger, in bytes. */
const MAX_BODY_BYTES = 24 * 1024 * 1024;

/** How a call ended: a gRPC status by name. */
export interface BootAnswer {
  readonly code: string;
  readonly message: string;
}

export class StormConnection {
  readonly #authority: string;
  readonly #tls: SecureContextOptions;
  readonly #headers: Readonly<Record<string, string>>;
  #session: ClientHttp2Session | undefined;

  /** `endpoint`: host:port. Connects with the first boot, as a booting node does; in plain text without `tls`. */
  constructor(endpoint: string, token: string | undefined, tls: SecureContextOptions | undefined) {
    this.#authority = `${tls === undefined ? 'http' : 'https'}://${endpoint}`;
    this.#tls = tls ?? {};
    this.#headers = {
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: PATH,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      te: 'trailers',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
  }

  /** Boots one node and hands over what comes. Never rejects: whatever happens is an answer with a code. */
  boot(nodeId: string, vclusterId: string, timeoutMs: number, body: BodyCollector): Promise<BootAnswer> {
    return new Promise((resolve) => {
      const session = this.#connected();
      let answer: BootAnswer | undefined;
      const request = session.request({ ...this.#headers, 'grpc-timeout': `${String(timeoutMs)}m` });
      const timer = setTimeout(() => {
        answer ??= { code: 'DEADLINE_EXCEEDED', message: `no answer within ${String(timeoutMs)} ms` };
        request.close(constants.NGHTTP2_CANCEL);
      }, timeoutMs);
      const trailers = (headers: Readonly<Record<string, unknown>>) => {
        const grpcStatus = headers['grpc-status'];
        if (grpcStatus !== undefined) answer ??= toAnswer(grpcStatus, headers['grpc-message']);
      };
      request.on('response', trailers);
      request.on('trailers', trailers);
      request.on('data', (chunk: Buffer) => {
        body.take(chunk);
        if (body.sizeBytes <= MAX_BODY_BYTES) return;
        answer ??= { code: 'CORRUPT', message: `more than ${String(MAX_BODY_BYTES)} bytes came` };
        request.close(constants.NGHTTP2_CANCEL);
      });
      request.on('error', (error: Error) => {
        answer ??= { code: 'UNAVAILABLE', message: error.message };
      });
      request.on('close', () => {
        clearTimeout(timer);
        resolve(answer ?? { code: 'UNAVAILABLE', message: 'the connection ended before the answer' });
      });
      request.end(requestFrame(nodeId, vclusterId));
    });
  }

  close(): void {
    this.#session?.destroy();
  }

  #connected(): ClientHttp2Session {
    const known = this.#session;
    if (known !== undefined && !known.closed && !known.destroyed) return known;
    const session = connect(this.#authority, {
      ...this.#tls,
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
    });
    session.once('connect', () => {
      session.setLocalWindowSize(WINDOW_BYTES);
    });
    // The requests on it report the failure.
    session.on('error', () => undefined);
    this.#session = session;
    return session;
  }
}

function toAnswer(grpcStatus: unknown, message: unknown): BootAnswer {
  return { code: status[Number(grpcStatus)] ?? 'UNKNOWN', message: decodeMessage(message) };
}

/** Status messages are percent-encoded. */
function decodeMessage(message: unknown): string {
  if (typeof message !== 'string') return '';
  try {
    return decodeURIComponent(message);
  } catch {
    return message;
  }
}

function requestFrame(nodeId: string, vclusterId: string): Buffer {
  const message = stream.BootConfigRequest.encode({ nodeId, vclusterId }).finish();
  const frame = Buffer.alloc(5 + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, 5);
  return frame;
}
