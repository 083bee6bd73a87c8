/** What a front is made with, and what it tells of itself. */
import type { IncomingHttpHeaders, SecureServerOptions } from 'node:http2';
import type { Socket } from 'node:net';
import type { Server as GrpcServer } from '@grpc/grpc-js';
import type { BootServer } from '../server/boot-server.ts';
import type { Admit } from './admission.ts';
import type { AddressLimits } from './doorkeeper.ts';
import type { DuplexMethod } from './duplex.ts';
import type { UnaryMethod } from './unary.ts';

/** A boot or subscription before it is served, for whoever decides whether it may be. */
export interface FrontCall {
  readonly method: 'StreamBootConfig' | 'SubscribeConfigUpdates';
  readonly nodeId: string;
  readonly vclusterId: string;
  readonly headers: IncomingHttpHeaders;
  /** What the front knows of the caller; see `Admitted`. */
  readonly metadata: Readonly<Record<string, string>>;
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
  /** Methods with streams in both directions that are answered here too, by their path. */
  readonly duplexMethods?: ReadonlyMap<string, DuplexMethod>;
  /** Everything else. Not bound to a port of its own. */
  readonly grpcServer: GrpcServer;
  /** Serve TLS (h2 by ALPN) instead of plain HTTP/2 with prior knowledge. */
  readonly tls?: FrontTls;
  /** Decides about every call, those included that are handed to the grpc-js server. Default: all may go on. */
  readonly admit?: Admit;
  /** Refuses a boot or subscription by throwing or rejecting with a BootStreamError. */
  readonly authorize?: (call: FrontCall) => void | Promise<void>;
  /** Metadata to add to forwarded calls, for example a client certificate's subject; names begin with `x-pact-front-`. */
  readonly peerMetadata?: (socket: Socket) => Readonly<Record<string, string>>;
  /** Told of every boot and subscription that ended. Must not throw. */
  readonly onCallEnd?: (end: FrontCallEnd) => void;
  /** Connections open at once. Default 32,768; the process needs as many file descriptors. */
  readonly connectionsMax?: number;
  /** What one address may do. Default: no bounds but those of all connections together. */
  readonly perAddress?: AddressLimits;
  /** Streams open at once on one connection. Default 256. */
  readonly streamsPerConnectionMax?: number;
  /** How often a connection is pinged, and how long an answer may take, in ms. Default 30,000 and 20,000. */
  readonly keepAliveIntervalMs?: number;
  readonly keepAliveTimeoutMs?: number;
  /**
   * What one connection may have waiting for itself, in bytes: requests that are not whole, answers that are not sent; those
   * of boots are shared and come on top. Default 64 MiB.
   */
  readonly sessionMemoryBytesMax?: number;
  /** The headers of one call together, in bytes. Default 16 KiB. */
  readonly headerSizeBytesMax?: number;
  /** How long a connection may take to say anything, for its TLS handshake, and for its first frames, each in ms. Default 10,000. */
  readonly handshakeTimeoutMs?: number;
  /** A connection without streams is closed after this, in ms. Default 900,000. */
  readonly idleTimeoutMs?: number;
  /**
   * A client that takes less than 16 KiB of each answer that waits for it in this time loses its connection, in ms.
   * Default 30,000.
   */
  readonly stallTimeoutMs?: number;
  /** Told of the address of somebody who lost a connection by flooding it or by not reading. Must not throw. */
  readonly onFlood?: (address: string, reason: 'flood' | 'stalled') => void;
  /** Told of connections that did not get through their TLS handshake. Must not throw. */
  readonly onHandshakeFailure?: (error: Error) => void;
}

/** Certificates, keys, and what is asked of clients. */
export type FrontTls = Pick<
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

export interface BootFrontStats {
  readonly connections: number;
  /** Connections that were turned away because of their address. */
  readonly connectionsRefused: number;
  /** Connections that were ended because they flooded. */
  readonly floods: number;
  /** Connections that were ended because their client did not read. */
  readonly stalls: number;
  readonly forwardedStreams: number;
}
