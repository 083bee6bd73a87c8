import { createSecureServer, createServer } from 'node:http2';
import type {
  Http2SecureServer,
  Http2Server,
  IncomingHttpHeaders,
  ServerHttp2Session,
  ServerHttp2Stream,
  ServerOptions,
} from 'node:http2';
import type { AddressInfo, ServerOpts } from 'node:net';
import { stream as wire } from '@pact-journal/journal-proto';
import { BootStreamError, isBootStreamError } from '../errors.ts';
import { MIN_SEQUENCE_KEY } from '../metadata.ts';
import { statusOf } from '../server/status.ts';
import { parseMinSequence } from '../server/validate.ts';
import { Slices } from '../slices.ts';
import { EVERYBODY } from './admission.ts';
import type { Admission, Admitted } from './admission.ts';
import { Deadlines } from './deadlines.ts';
import type { Expiring } from './deadlines.ts';
import { serveDuplex } from './duplex.ts';
import { FloodWatch } from './flood-watch.ts';
import { Forwarder, FRONT_KEY_PREFIX } from './forwarder.ts';
import { KeepAlive } from './keepalive.ts';
import { NativeCall, parseTimeoutMs } from './native-call.ts';
import type { BootFrontOptions, BootFrontStats, FrontCall, FrontTls } from './options.ts';
import { nameOf, Reception } from './reception.ts';
import { readRequest } from './request.ts';
import { SessionMemory } from './session-memory.ts';
import { StallWatch } from './stall-watch.ts';
import { Turns } from './turns.ts';
import { isPlain, serveUnary } from './unary.ts';
import type { UnaryHost } from './unary.ts';

/** Metadata that forwarded calls carry: the client's address, as `host:port`. */
export const FRONT_PEER_KEY = `${FRONT_KEY_PREFIX}peer`;

const BOOT_PATH = wire.BootConfigServiceDefinition.streamBootConfig.path;
const SUBSCRIBE_PATH = wire.BootConfigServiceDefinition.subscribeConfigUpdates.path;

const MIB = 1024 * 1024;
const EXPIRED = 'the credentials that this call was begun with have expired: call again with new ones';
/** How late it may be noticed that credentials have run out. */
const EXPIRY_SWEEP_MS = 500;
/** How many streams a client may reset in the long run. */
const RESETS_PER_SECOND = 33;
/** More than anybody sends. */
const RESETS_UNCOUNTED = 2 ** 31;
/** A call costs little after it was begun, other than a boot; so more may begin. */
const CALLS_SLICE_MS = 1;
/** Boots of one caller that are sent at once. A node has one or two; who reads none of them keeps no more busy. */
const BOOTS_UNDER_WAY_MAX = 512;

/**
 * Owns the listener of a journal server. Boots and subscriptions are answered here, from shared buffers and without a
 * framework in between; every other call is handed to the grpc-js server over a connection inside the process.
 */
export class BootFront {
  readonly #options: BootFrontOptions;
  readonly #server: Http2Server | Http2SecureServer;
  readonly #forwarder: Forwarder;
  /** Open connections, and what forwarded calls are told of the peer. */
  readonly #sessions = new Map<ServerHttp2Session, Readonly<Record<string, string>>>();
  readonly #keepAlive: KeepAlive;
  readonly #reception: Reception;
  readonly #floodWatch: FloodWatch;
  readonly #stallWatch: StallWatch;
  /** Calls that are neither boots nor subscriptions: those that are answered here, and those that are not. */
  readonly #unary: UnaryHost;
  /** Boots begin in slices of their own; here those of a caller wait that has many open, read or not. */
  readonly #boots = new Turns({ sliceMs: Infinity }, BOOTS_UNDER_WAY_MAX);
  readonly #forwarding = new Slices({ sliceMs: CALLS_SLICE_MS });
  #floods = 0;
  #stalls = 0;
  readonly #deadlines = new Deadlines<Expiring>((call) =>
    call.expire(statusOf(new BootStreamError('deadlineExceeded', 'the deadline has passed'))),
  );
  readonly #expiries = new Deadlines<Expiring>(
    (call) => call.expire(statusOf(new BootStreamError('unauthenticated', EXPIRED))),
    EXPIRY_SWEEP_MS,
  );

  constructor(options: BootFrontOptions) {
    this.#options = options;
    this.#forwarder = new Forwarder(options.grpcServer);
    const sessionMemoryBytesMax = options.sessionMemoryBytesMax ?? 64 * MIB;
    this.#unary = {
      deadlines: this.#deadlines,
      turns: new Turns({ sliceMs: CALLS_SLICE_MS }),
      memory: new SessionMemory(sessionMemoryBytesMax),
    };
    const handshakeTimeoutMs = options.handshakeTimeoutMs ?? 10_000;
    const timings = {
      intervalMs: options.keepAliveIntervalMs ?? 30_000,
      timeoutMs: options.keepAliveTimeoutMs ?? 20_000,
      greetingMs: handshakeTimeoutMs,
      idleMs: options.idleTimeoutMs ?? 900_000,
    };
    this.#keepAlive = new KeepAlive(timings, (session) => this.#reception.drop(this.#nameOf(session)));
    const streamsMax = options.streamsPerConnectionMax ?? 256;
    // Whoever has all streams open that it may and gives up on them does no harm.
    const resets = { streamsMax, resetsBurst: streamsMax, resetsPerSecond: RESETS_PER_SECOND };
    this.#floodWatch = new FloodWatch(resets, (session) => this.#onFlood(session));
    this.#stallWatch = new StallWatch(options.stallTimeoutMs ?? 30_000, (session) => {
      this.#stalls += 1;
      options.onFlood?.(session.socket.remoteAddress ?? '', 'stalled');
    });
    const connectionsMax = options.connectionsMax ?? 32_768;
    this.#reception = new Reception({
      isTls: options.tls !== undefined,
      connectionsMax,
      handshakeTimeoutMs,
      perAddress: options.perAddress,
      onFlood: (address) => options.onFlood?.(address, 'flood'),
    });
    const serverOptions: ServerOptions & Pick<ServerOpts, 'blockList'> = {
      blockList: this.#reception.blockList,
      // node:http2 counts what is queued as if it were the session's own, and takes no streams beyond the limit. What a
      // boot queues is shared: one overlay message and a delta, less than 2 MiB.
      maxSessionMemory: sessionMemoryBytesMax / MIB + 2 * streamsMax,
      // Counted by the flood watch, which holds them against an address: node:http2 would only end the connection.
      streamResetBurst: RESETS_UNCOUNTED,
      streamResetRate: RESETS_UNCOUNTED,
      settings: {
        maxConcurrentStreams: streamsMax,
        maxHeaderListSize: options.headerSizeBytesMax ?? 16 * 1024,
      },
    };
    this.#server =
      options.tls === undefined
        ? createServer(serverOptions)
        : createSecureServer({
            ...serverOptions,
            ...options.tls,
            allowHTTP1: false,
            handshakeTimeout: handshakeTimeoutMs,
          });
    this.#reception.receive(this.#server);
    this.#server.on('tlsClientError', (error: Error) => options.onHandshakeFailure?.(error));
    this.#server.maxConnections = connectionsMax;
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
    this.#reception.close();
    for (const session of this.#sessions.keys()) session.close();
    const timer = setTimeout(() => {
      for (const session of this.#sessions.keys()) session.destroy();
      this.#reception.drop();
    }, graceMs);
    await Promise.all([closed, this.#forwarder.close(graceMs)]);
    clearTimeout(timer);
  }

  /** New connections get these certificates; those that are open keep theirs. Only where `tls` was given. */
  renewTls(tls: Pick<FrontTls, 'key' | 'cert' | 'ca' | 'minVersion'>): void {
    if ('setSecureContext' in this.#server) this.#server.setSecureContext(tls);
  }

  stats(): BootFrontStats {
    return {
      connections: this.#sessions.size,
      connectionsRefused: this.#reception.refused,
      floods: this.#floods,
      stalls: this.#stalls,
      forwardedStreams: this.#forwarder.openStreams,
    };
  }

  #onSession(session: ServerHttp2Session): void {
    const socket = session.socket;
    const peerMetadata = this.#options.peerMetadata?.(socket);
    this.#sessions.set(session, { ...peerMetadata, [FRONT_PEER_KEY]: nameOf(socket) });
    this.#keepAlive.add(session);
    this.#floodWatch.add(session);
    session.on('error', ignore);
    session.once('close', () => {
      this.#keepAlive.delete(session);
      this.#floodWatch.delete(session);
      this.#stallWatch.delete(session);
      this.#sessions.delete(session);
    });
  }

  /** Of its connection, of which a session that is closed knows nothing any more. */
  #nameOf(session: ServerHttp2Session): string {
    return this.#sessions.get(session)?.[FRONT_PEER_KEY] ?? '';
  }

  #onFlood(session: ServerHttp2Session): void {
    this.#floods += 1;
    this.#reception.flooded(session.socket.remoteAddress);
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on('error', ignore);
    const session = stream.session as ServerHttp2Session | undefined;
    if (session === undefined) return;
    this.#floodWatch.opened(session, stream, () => this.#begin(session, stream, headers));
  }

  #begin(session: ServerHttp2Session, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const { admit } = this.#options;
    this.#keepAlive.opened(session);
    this.#stallWatch.opened(session, stream);
    this.#reception.called(this.#nameOf(session));
    stream.once('close', () => {
      this.#stallWatch.closed(session, stream);
      this.#keepAlive.closed(session);
      this.#floodWatch.closed(session, stream);
    });
    const refusal = httpRefusal(headers);
    // What is no call of the front's own is the grpc-js server's to refuse, if it gets there.
    if (refusal !== undefined && (admit !== undefined || this.#isOwn(headers[':path'])))
      return refuseHttp(stream, refusal);
    if (admit === undefined) return this.#dispatch(stream, headers, EVERYBODY);
    const admission = admit({ path: headers[':path'] ?? '', headers, socket: session.socket });
    if (!(admission instanceof Promise)) return this.#decided(stream, headers, admission);
    admission.then(
      (decision) => this.#decided(stream, headers, decision),
      (error: unknown) => new NativeCall(stream).end(statusOf(error)),
    );
  }

  #isOwn(path: string | undefined): boolean {
    if (path === BOOT_PATH || path === SUBSCRIBE_PATH) return true;
    if (path === undefined) return false;
    const { unaryMethods, duplexMethods } = this.#options;
    return unaryMethods?.has(path) === true || duplexMethods?.has(path) === true;
  }

  #decided(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, admission: Admission): void {
    if (admission.type === 'refused') return new NativeCall(stream).end(admission.status);
    const { release } = admission;
    if (stream.closed || stream.destroyed) return release?.();
    if (release !== undefined) stream.once('close', release);
    this.#dispatch(stream, headers, admission);
  }

  #dispatch(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, admitted: Admitted): void {
    const path = headers[':path'];
    if (path === BOOT_PATH) this.#serve('StreamBootConfig', stream, headers, admitted);
    else if (path === SUBSCRIBE_PATH) this.#serve('SubscribeConfigUpdates', stream, headers, admitted);
    else if (path === undefined || !this.#serveHere(path, stream, headers, admitted)) {
      this.#forwarding.run(admitted.share ?? stream.session, () => this.#forward(stream, headers, admitted));
    }
  }

  /** False: it is none of the methods that are answered here, or comes in a way that grpc-js alone can read. */
  #serveHere(
    path: string,
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    admitted: Admitted,
  ): boolean {
    if (!isPlain(headers)) return false;
    const unary = this.#options.unaryMethods?.get(path);
    const duplex = this.#options.duplexMethods?.get(path);
    if (unary !== undefined) serveUnary(stream, headers, admitted, unary, this.#unary);
    else if (duplex !== undefined) {
      const call = serveDuplex(stream, headers, admitted, duplex, this.#unary);
      this.#expireWith(admitted, call, stream);
    }
    return unary !== undefined || duplex !== undefined;
  }

  #forward(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, admitted: Admitted): void {
    const session = stream.session as ServerHttp2Session | undefined;
    if (session === undefined || stream.destroyed) return;
    const peer = this.#sessions.get(session);
    const call = this.#forwarder.forward(stream, headers, { ...peer, ...admitted.metadata });
    this.#expireWith(admitted, call, stream);
  }

  /** A credential that runs out ends the calls that were begun with it. */
  #expireWith({ expiresAtMs }: Admitted, call: Expiring, stream: ServerHttp2Stream): void {
    if (expiresAtMs === Infinity) return;
    this.#expiries.set(call, performance.now() + expiresAtMs - Date.now());
    stream.once('close', () => this.#expiries.delete(call));
  }

  #serve(
    method: FrontCall['method'],
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    admitted: Admitted,
  ): void {
    const { bootServer } = this.#options;
    const isBoot = method === 'StreamBootConfig';
    const call = new NativeCall(stream, admitted.share);
    let holdsPlace = false;
    try {
      call.deadlineMs = call.startedMs + parseTimeoutMs(headers['grpc-timeout']);
      if (isBoot) {
        bootServer.admitBoot();
        holdsPlace = true;
      }
    } catch (error) {
      call.end(statusOf(error));
    }
    this.#onceClosed(stream, method, call, holdsPlace);
    if (call.statusCode !== undefined) return;
    const longestMs = isBoot ? bootServer.limits.bootDurationMsMax : Infinity;
    // What cannot last until then needs no watching: so it is for nearly every boot.
    if (admitted.expiresAtMs < Date.now() + longestMs) this.#expireWith(admitted, call, stream);
    this.#deadlines.set(call, Math.min(call.deadlineMs, call.startedMs + longestMs));
    readRequest(
      stream,
      (message) => this.#answer(method, call, stream, headers, admitted.metadata, message),
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
    metadata: Admitted['metadata'],
    message: Buffer,
  ): void {
    const { bootServer } = this.#options;
    const request =
      method === 'StreamBootConfig'
        ? { type: 'boot' as const, ...decode(() => wire.BootConfigRequest.decode(message)) }
        : { type: 'subscribe' as const, ...decode(() => wire.SubscribeRequest.decode(message)) };
    const serve = (): void => {
      if (request.type === 'subscribe') return bootServer.subscribe(call, request);
      const minSequence = parseMinSequence(singleValue(headers[MIN_SEQUENCE_KEY]));
      this.#boots.run(call.share, () => {
        if (call.closed) return Promise.resolve();
        const over = new Promise<void>((resolve) => stream.once('close', resolve));
        bootServer.boot(call, request, minSequence);
        return over;
      });
    };
    const decision = this.#authorize({ method, headers, metadata }, stream, request);
    if (decision === undefined) return serve();
    call.sendHeaders();
    decision.then(serve).catch((error: unknown) => call.end(statusOf(error)));
  }

  #authorize(
    call: Pick<FrontCall, 'method' | 'headers' | 'metadata'>,
    stream: ServerHttp2Stream,
    { nodeId, vclusterId }: { readonly nodeId: string; readonly vclusterId: string },
  ): void | Promise<void> {
    const { authorize } = this.#options;
    const session = stream.session as ServerHttp2Session | undefined;
    if (authorize === undefined || session === undefined) return;
    return authorize({ ...call, nodeId, vclusterId, socket: session.socket });
  }
}

function refuseHttp(stream: ServerHttp2Stream, status: number): void {
  stream.respond({ ':status': status }, { endStream: true });
  stream.resume();
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
