import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, constants } from 'node:http2';
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Stream,
} from 'node:http2';
import { connect as connectSocket, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ServerCredentials } from '@grpc/grpc-js';
import type { Server } from '@grpc/grpc-js';
import type { CallStatus } from '../server/call.ts';
import { breakOff } from './break-off.ts';
import { trailersOf } from './native-call.ts';

/** Metadata with this prefix comes from the front alone: a client's own is dropped. */
export const FRONT_KEY_PREFIX = 'x-pact-front-';

type ConnectionInjector = ReturnType<Server['createConnectionInjector']>;

const UNAVAILABLE_HEADERS = {
  ':status': 200,
  'content-type': 'application/grpc+proto',
  'grpc-status': '14',
  'grpc-message': 'the connection to the service was lost: try again',
} as const;

/** For all forwarded streams together, where node:http2 would otherwise take 10. */
const MEMORY_MIB_MAX = 512;

function ignore(): void {
  // An error of a stream is followed by its close, and that is handled.
}

/** A stream in the hands of the grpc-js server. */
export class ForwardedCall {
  readonly #stream: ServerHttp2Stream;
  /** Trailers that take the place of the server's. */
  verdict: OutgoingHttpHeaders | undefined;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
  }

  /** Ends it over the server's head, which sees its client go. */
  expire(status: CallStatus): void {
    const stream = this.#stream;
    if (isOver(stream)) return;
    this.verdict = trailersOf(status);
    if (!stream.headersSent) {
      stream.respond({ ...UNAVAILABLE_HEADERS, ...this.verdict }, { endStream: true });
      stream.resume();
    } else if (stream.writableLength > 0) {
      // A client that does not read cannot be told.
      breakOff(stream, constants.NGHTTP2_CANCEL);
    } else {
      stream.end();
    }
    // Its request is over too, once it was told so: the close goes on to the server.
    const over = (): void => void setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    if (stream.sentTrailers === undefined && !stream.writableEnded) over();
    else stream.once('wantTrailers', over);
  }
}

/** Hands streams to a grpc-js server over one connection inside this process. */
export class Forwarder {
  readonly #injector: ConnectionInjector;
  readonly #open = new Set<ClientHttp2Stream>();
  #session: Promise<ClientHttp2Session> | undefined;
  #closed = false;

  constructor(server: Server) {
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  /** `extra`: metadata of the front's own, names with {@link FRONT_KEY_PREFIX}. */
  forward(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    extra: Readonly<Record<string, string>>,
  ): ForwardedCall {
    const call = new ForwardedCall(stream);
    this.#session ??= this.#connect();
    this.#session.then(
      (session) => this.#forward(session, stream, headers, extra, call),
      () => refuse(stream),
    );
    return call;
  }

  get openStreams(): number {
    return this.#open.size;
  }

  /** Lets open streams end for at most `graceMs`, then cancels them. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    const session = await this.#session?.catch(() => undefined);
    if (session !== undefined && !session.destroyed) {
      const timer = setTimeout(() => session.destroy(), graceMs);
      await new Promise<void>((resolve) => session.close(resolve));
      clearTimeout(timer);
    }
    this.#injector.destroy();
  }

  #forward(
    session: ClientHttp2Session,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    extra: Readonly<Record<string, string>>,
    call: ForwardedCall,
  ): void {
    if (isOver(stream) || stream.headersSent) return;
    if (session.closed || session.destroyed) return refuse(stream);
    let upstream: ClientHttp2Stream;
    try {
      upstream = session.request(upstreamHeaders(headers, extra), { endStream: stream.endAfterHeaders });
    } catch {
      // node:http2 takes in headers that it does not let out.
      stream.respond({ ':status': 400 }, { endStream: true });
      stream.resume();
      return;
    }
    this.#open.add(upstream);
    upstream.once('close', () => this.#open.delete(upstream));
    relayRequest(stream, upstream);
    relayResponse(upstream, stream, call);
  }

  async #connect(): Promise<ClientHttp2Session> {
    const socket = await injectSocket(this.#injector);
    const session = connect('http://front.invalid', {
      createConnection: () => socket,
      peerMaxConcurrentStreams: 0xffff_ffff,
      maxSessionMemory: MEMORY_MIB_MAX,
      settings: { initialWindowSize: 1024 * 1024, enablePush: false },
    });
    session.on('error', ignore);
    session.once('close', () => {
      if (!this.#closed) this.#session = undefined; // the next stream connects anew
    });
    session.unref();
    return session;
  }
}

function upstreamHeaders(
  headers: IncomingHttpHeaders,
  extra: Readonly<Record<string, string>>,
): IncomingHttpHeaders {
  const forwarded: IncomingHttpHeaders = { ...headers };
  for (const name of Object.keys(headers)) if (name.startsWith(FRONT_KEY_PREFIX)) delete forwarded[name];
  return Object.assign(forwarded, extra);
}

function relayRequest(stream: ServerHttp2Stream, upstream: ClientHttp2Stream): void {
  if (!stream.endAfterHeaders) {
    stream.on('data', (piece: Buffer) => {
      if (!upstream.write(piece)) stream.pause();
    });
    upstream.on('drain', () => stream.resume());
    stream.on('end', () => upstream.end());
  }
  stream.on('close', () => {
    if (!upstream.closed) upstream.close(stream.rstCode === 0 ? constants.NGHTTP2_CANCEL : stream.rstCode);
  });
}

function relayResponse(upstream: ClientHttp2Stream, stream: ServerHttp2Stream, call: ForwardedCall): void {
  let trailers: IncomingHttpHeaders = {};
  upstream.on('error', ignore);
  upstream.on('response', (headers, flags) => {
    if (isOver(stream) || stream.headersSent) return;
    const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    stream.respond(headers, endStream ? { endStream } : { waitForTrailers: true });
    if (!endStream) stream.once('wantTrailers', () => stream.sendTrailers(call.verdict ?? trailers));
  });
  upstream.on('trailers', (received: IncomingHttpHeaders) => {
    trailers = received;
  });
  upstream.on('data', (piece: Buffer) => {
    if (stream.writableEnded) return;
    if (!stream.write(piece)) upstream.pause();
  });
  stream.on('drain', () => upstream.resume());
  upstream.on('end', () => {
    if (stream.headersSent && !stream.writableEnded) stream.end();
  });
  upstream.on('close', () => {
    if (isOver(stream) || stream.writableEnded) return;
    if (!stream.headersSent) refuse(stream);
    else breakOff(stream, upstream.rstCode === 0 ? constants.NGHTTP2_INTERNAL_ERROR : upstream.rstCode);
  });
}

/** Nothing more can be sent on it; doing so would throw. */
function isOver(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.closed;
}

function refuse(stream: ServerHttp2Stream): void {
  if (isOver(stream) || stream.headersSent) return;
  stream.respond(UNAVAILABLE_HEADERS, { endStream: true });
  stream.resume();
}

/**
 * A pair of connected sockets, one end of which the injector gets. A real socket rather than a pair of JavaScript
 * streams, because node:http2 reads and writes it without a detour through JavaScript. Its path is in a directory of
 * our own and takes one connection.
 */
async function injectSocket(injector: ConnectionInjector): Promise<Socket> {
  const isWindows = process.platform === 'win32';
  const directory = isWindows ? undefined : await mkdtemp(join(tmpdir(), 'pact-front-'));
  const path = directory === undefined ? `\\\\.\\pipe\\pact-front-${randomUUID()}` : join(directory, 'grpc');
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
    const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
    const socket = connectSocket(path);
    await new Promise<void>((resolve, reject) => socket.once('error', reject).once('connect', resolve));
    injector.injectConnection(await accepted);
    return socket;
  } finally {
    server.close();
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}
