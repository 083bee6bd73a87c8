import { createSecureServer, createServer } from 'node:http2';
import type {
  Http2Server,
  IncomingHttpHeaders,
  SecureServerOptions,
  ServerHttp2Session,
  ServerHttp2Stream,
  ServerOptions,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { Server as GrpcServer } from '@grpc/grpc-js';
import { stream as wire } from '@pact-journal/journal-proto';
import { BootStreamError, isBootStreamError } from '../errors.ts';
import { MIN_SEQUENCE_KEY } from '../metadata.ts';
import type { BootServer } from '../server/boot-server.ts';
import { statusOf } from '../server/status.ts';
import { parseMinSequence } from '../server/validate.ts';
import { Deadlines } from './deadlines.ts';
import { Forwarder, FRONT_KEY_PREFIX } from './forwarder.ts';
import { KeepAlive } from './keepalive.ts';
import { NativeCall, parseTimeoutMs } from './native-call.ts';
import { readRequest } from './request.ts';
import { isPlain, serveUnary } from './unary.ts';
import type { UnaryMethod } from './unary.ts';

/** Metadata that forwarded calls carry: the client's address, as `host:port`. */
export const FRONT_PEER_KEY = `${FRONT_KEY_PREFIX}peer`;

const BOOT_PATH = wire.BootConfigServiceDefinition.streamBootConfig.path;
const SUBSCRIBE_PATH = wire.BootConfigServiceDefinition.subscribeConfigUpdates.path;

/** A boot or subscription before it is served, for whoever decides whether it may be. */
export interface FrontCall {
  readonly method: 'StreamBootConfig' | 'SubscribeConfigUpdates';
  readonly nodeId: string;
  readonly vclusterId: string;
  readonly headers: IncomingHttpHeaders;
  readonly socket: Socket;
}

/** A boot or subscription that is over. */
export interface FrontCallEnd {
  readonly method: FrontCall['method'];
  /** A gRPC status code; 1 (CANCELLED) where the client went away. */
  readonly statusCode: number;
  readonly durationMs: number;
}

export interface BootFrontOptions {
  /** Boots and subscriptions. */
  readonly bootServer: BootServer;
  /** Unary methods that are answered here too, by their path, for example `/pact.journal.ConfigService/GetEntry`. */
  readonly unaryMethods?: ReadonlyMap<string, UnaryMethod>;
  /** Everything else. Not bound to a port of its own. */
  readonly grpcServer: GrpcServer;
  /** Serve TLS (h2 by ALPN) instead of plain HTTP/2 with prior knowledge. */
  readonly tls?: Pick<
    SecureServerOptions,
    | 'key'
    | 'cert'
    | 'ca'
    | 'pfx'
    | 'passphrase'
    | 'requestCert'
    | 'rejectUnauthorized'
    | 'minVersion'
    | 'maxVersion'
    | 'ciphers'
    | 'SNICallback'
  >;
  /** Refuses a boot or subscription by throwing or rejecting with a BootStreamError. */
  readonly authorize?: (call: FrontCall) => void | Promise<void>;
  /** Metadata to add to forwarded calls, for example a client certificate's subject; names begin with `x-pact-front-`. */
  readonly peerMetadata?: (socket: Socket) => Readonly<Record<string, string>>;
  /** Told of every boot and subscription that ended. Must not throw. */
  readonly onCallEnd?: (end: FrontCallEnd) => void;
  /** Connections open at once. Default 32,768; the process needs as many file descriptors. */
  readonly connectionsMax?: number;
  /** Streams open at once on one connection. Default 1,000. */
  readonly streamsPerConnectionMax?: number;
  /** How often a connection is pinged, and how long an answer may take, in ms. Default 30,000 and 20,000. */
  readonly keepAliveIntervalMs?: number;
  readonly keepAliveTimeoutMs?: number;
}

export interface BootFrontStats {
  readonly connections: number;
  readonly forwardedStreams: number;
}

/**
 * Owns the listener of a journal server. Boots and subscriptions are answered here, from shared buffers and without a
 * framework in between; every other call is handed to the grpc-js server over a connection inside the process.
 */
export class BootFront {
  readonly #options: BootFrontOptions;
  readonly #server: Http2Server;
  readonly #forwarder: Forwarder;
  /** Open connections, and what forwarded calls are told of the peer. */
  readonly #sessions = new Map<ServerHttp2Session, Readonly<Record<string, string>>>();
  readonly #keepAlive: KeepAlive;
  readonly #deadlines = new Deadlines<NativeCall>((call) =>
    call.expire(statusOf(new BootStreamError('deadlineExceeded', 'the deadline has passed'))),
  );

  constructor(options: BootFrontOptions) {
    this.#options = options;
    this.#forwarder = new Forwarder(options.grpcServer);
    this.#keepAlive = new KeepAlive(
      options.keepAliveIntervalMs ?? 30_000,
      options.keepAliveTimeoutMs ?? 20_000,
    );
    const streamsMax = options.streamsPerConnectionMax ?? 1_000;
    const serverOptions: ServerOptions = {
      // node:http2 counts what is queued as if it were the session's own, and drops the connection at the limit. What a
      // boot queues is shared: one overlay message and a delta, less than 2 MiB.
      maxSessionMemory: 64 + 2 * streamsMax,
      settings: {
        maxConcurrentStreams: streamsMax,
        maxHeaderListSize: 16 * 1024,
      },
    };
    this.#server =
      options.tls === undefined
        ? createServer(serverOptions)
        : createSecureServer({ ...serverOptions, ...options.tls, allowHTTP1: false });
    this.#server.maxConnections = options.connectionsMax ?? 32_768;
    this.#server.on('session', (session: ServerHttp2Session) => this.#onSession(session));
    this.#server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) =>
      this.#onStream(stream, headers),
    );
    this.#server.on('sessionError', ignore);
  }

  /** Listens. Rejects where the address cannot be bound. */
  async listen(host: string, port: number): Promise<AddressInfo> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: 4_096 }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', ignore);
        resolve();
      });
    });
    const address = this.#server.address();
    if (address === null || typeof address === 'string')
      throw new Error('assertion failed: a TCP listener has an address');
    return address;
  }

  /**
   * Stops accepting, ends subscriptions with from where to resume, lets other calls finish for at most `graceMs`, then
   * drops what is left. Idempotent.
   */
  async close(graceMs = 5_000): Promise<void> {
    this.#options.bootServer.close();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions.keys()) session.close();
    const timer = setTimeout(() => {
      for (const session of this.#sessions.keys()) session.destroy();
    }, graceMs);
    await Promise.all([closed, this.#forwarder.close(graceMs)]);
    clearTimeout(timer);
  }

  stats(): BootFrontStats {
    return { connections: this.#sessions.size, forwardedStreams: this.#forwarder.openStreams };
  }

  #onSession(session: ServerHttp2Session): void {
    const socket = session.socket;
    const peer = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? ''}`;
    this.#sessions.set(session, { ...this.#options.peerMetadata?.(socket), [FRONT_PEER_KEY]: peer });
    this.#keepAlive.add(session);
    session.on('error', ignore);
    session.once('close', () => {
      this.#keepAlive.delete(session);
      this.#sessions.delete(session);
    });
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', ignore);
    const path = headers[':path'];
    if (path === BOOT_PATH) this.#serve('StreamBootConfig', stream, headers);
    else if (path === SUBSCRIBE_PATH) this.#serve('SubscribeConfigUpdates', stream, headers);
    else {
      const method = path === undefined ? undefined : this.#options.unaryMethods?.get(path);
      if (method !== undefined && isPlain(headers) && httpRefusal(headers) === undefined) {
        return serveUnary(stream, headers, method, this.#deadlines);
      }
      const session = stream.session as ServerHttp2Session | undefined;
      const peer = session === undefined ? undefined : this.#sessions.get(session);
      this.#forwarder.forward(stream, headers, peer ?? {});
    }
  }

  #serve(method: FrontCall['method'], stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const refusal = httpRefusal(headers);
    if (refusal !== undefined) {
      stream.respond({ ':status': refusal }, { endStream: true });
      stream.resume();
      return;
    }
    const { bootServer } = this.#options;
    const isBoot = method === 'StreamBootConfig';
    const call = new NativeCall(stream);
    let admitted = false;
    try {
      call.deadlineMs = call.startedMs + parseTimeoutMs(headers['grpc-timeout']);
      if (isBoot) {
        bootServer.admitBoot();
        admitted = true;
      }
    } catch (error) {
      call.end(statusOf(error));
    }
    this.#onceClosed(stream, method, call, admitted);
    if (call.statusCode !== undefined) return;

    const longest = isBoot ? call.startedMs + bootServer.limits.bootDurationMsMax : Infinity;
    this.#deadlines.set(call, Math.min(call.deadlineMs, longest));
    readRequest(
      stream,
      (message) => this.#answer(method, call, stream, headers, message),
      (error) => call.end(statusOf(error)),
    );
  }

  /** On its own, so that what is kept until the stream closes is not the request's headers too. */
  #onceClosed(
    stream: ServerHttp2Stream,
    method: FrontCall['method'],
    call: NativeCall,
    admitted: boolean,
  ): void {
    stream.once('close', () => {
      if (admitted) this.#options.bootServer.releaseBoot();
      this.#deadlines.delete(call);
      call.onClose?.();
      this.#options.onCallEnd?.({
        method,
        statusCode: call.statusCode ?? 1,
        durationMs: performance.now() - call.startedMs,
      });
    });
  }

  #answer(
    method: FrontCall['method'],
    call: NativeCall,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    message: Buffer,
  ): void {
    const { bootServer } = this.#options;
    const request =
      method === 'StreamBootConfig'
        ? { type: 'boot' as const, ...decode(() => wire.BootConfigRequest.decode(message)) }
        : { type: 'subscribe' as const, ...decode(() => wire.SubscribeRequest.decode(message)) };
    const serve = (): void => {
      if (request.type === 'subscribe') return bootServer.subscribe(call, request);
      bootServer.boot(call, request, parseMinSequence(singleValue(headers[MIN_SEQUENCE_KEY])));
    };
    const decision = this.#authorize(method, stream, headers, request);
    if (decision === undefined) return serve();
    call.sendHeaders();
    decision.then(serve).catch((error: unknown) => call.end(statusOf(error)));
  }

  #authorize(
    method: FrontCall['method'],
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    { nodeId, vclusterId }: { readonly nodeId: string; readonly vclusterId: string },
  ): void | Promise<void> {
    const { authorize } = this.#options;
    const session = stream.session as ServerHttp2Session | undefined;
    if (authorize === undefined || session === undefined) return;
    return authorize({ method, nodeId, vclusterId, headers, socket: session.socket });
  }
}

function ignore(): void {
  // Errors of sessions and streams are followed by their close, and that is handled.
}

/** The HTTP status for what is not a gRPC call at all (gRPC over HTTP/2, Requests); undefined for one that is. */
function httpRefusal(headers: IncomingHttpHeaders): number | undefined {
  if (headers[':method'] !== 'POST') return 405;
  const contentType = headers['content-type'] ?? '';
  return /^application\/grpc(\+proto)?\s*(;|$)/i.test(contentType) ? undefined : 415;
}

function decode<Message>(decodeMessage: () => Message): Message {
  try {
    return decodeMessage();
  } catch (error) {
    if (isBootStreamError(error)) throw error;
    throw new BootStreamError('invalidRequest', 'the request message is not valid protobuf', {
      cause: error,
    });
  }
}

function singleValue(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
