import type { ChannelCredentials, ChannelOptions, ServerCredentials } from '@grpc/grpc-js';
import type { Member, NodeId } from '@pact-journal/raft-core';
import type { DecodeLimits } from './codec/decode.ts';
import { RaftGrpcError } from './errors.ts';
import type { TransportEvent } from './events.ts';
import { compareVersions, type SoftwareRelease } from './inbound/version-rule.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const HTTP2_WINDOW_MAX_BYTES = 2 ** 31 - 1;

/** Bounds on what the transport holds and accepts. All are inclusive. */
export interface TransportLimits extends DecodeLimits {
  /**
   * Bytes of one gRPC message, received or sent. Must hold the largest entry with its message around it. 24 MiB by
   * default.
   */
  readonly maxFrameBytes: number;
  /** Writes are filled up to this size before the next one is begun (a larger message goes alone). 1 MiB by default. */
  readonly batchBytes: number;
  /** Appends, proposals and snapshots that wait for one peer, in bytes; what comes on top is dropped. 32 MiB by default. */
  readonly maxQueuedBulkBytes: number;
  /** Heartbeats, votes and reads that wait for one peer, in bytes; the oldest are dropped. 1 MiB by default. */
  readonly maxQueuedControlBytes: number;
  /** Bytes handed to gRPC that the network has not taken yet; beyond them messages stay queued. 4 MiB by default. */
  readonly maxUnsentBytes: number;
  /** Bytes that a peer may have on the way to this node on one connection (HTTP/2's window). 4 MiB by default. */
  readonly windowBytes: number;
  /** Snapshot reads served to peers at a time. 16 by default. */
  readonly maxSnapshotReads: number;
  /** HTTP/2 session memory of one incoming connection, in MiB. 64 by default. */
  readonly maxSessionMemoryMib: number;
}

/** How long things may take, in milliseconds. */
export interface TransportTimings {
  /** For a connection including its handshake. 2,000 ms by default. */
  readonly connectTimeoutMs: number;
  /** Pause after the first failed connection; doubles up to the maximum, with jitter. 50 ms by default. */
  readonly backoffMinMs: number;
  /** 1,000 ms by default: a peer that comes back is also noticed by its own connection, at once. */
  readonly backoffMaxMs: number;
  /** Between pings on an idle or stuck connection. 3,000 ms by default. */
  readonly keepaliveMs: number;
  /** For a ping's answer, before the connection is given up. 3,000 ms by default. */
  readonly keepaliveTimeoutMs: number;
  /** For one answer of a snapshot call. 10,000 ms by default. */
  readonly snapshotTimeoutMs: number;
  /** For what is queued when the transport stops or a peer is taken out. 500 ms by default. */
  readonly drainMs: number;
}

/** The certificate's facts that a verifier needs, as Node's TLS reports them. */
export interface PeerIdentity {
  /** Who the caller says it is. */
  readonly nodeId: NodeId;
  /** The certificate's subject alternative names, as in `DNS:node-1, URI:...`; undefined without a certificate. */
  readonly subjectAltName: string | undefined;
  /** The certificate's common name. */
  readonly commonName: string | undefined;
}

/** Who this node is, where it listens, and what it allows its peers. */
export interface GrpcTransportOptions {
  /** This node's id. */
  readonly id: NodeId;
  /** The group's identity, 1 to 128 characters. Nodes of another one are refused. */
  readonly clusterId: string;
  /** Where to listen, `host:port`. Port 0 picks a free one. */
  readonly listen: string;
  /** Where peers reach this node, `host:port`. The address that is bound, by default. */
  readonly advertise?: string;
  /** What the server presents and demands. Without: no encryption and no authentication. */
  readonly serverCredentials?: ServerCredentials;
  /** How to connect to a peer. Called for each connection, so that renewed certificates are used. Without: plain text. */
  readonly channelCredentials?: (peer: Pick<Member, 'id' | 'address'>) => ChannelCredentials;
  /** Channel options for each connection, for example a TLS name override. */
  readonly channelOptions?: ChannelOptions;
  /** Says why a caller is not who it claims to be; undefined lets it in. Called at each handshake and snapshot call. */
  readonly verifyPeer?: (peer: PeerIdentity) => string | undefined;
  /** What this program is, for the rule of which versions can be mixed. Without: any program is taken. */
  readonly release?: SoftwareRelease;
  /** The time of day that peers are told at each handshake, in milliseconds since 1970. Without: none. */
  readonly timeOfDayMs?: () => number;
  /** What may be queued, received and held; {@link defaultLimits} for what is not given. */
  readonly limits?: Partial<TransportLimits>;
  /** How long things may take; {@link defaultTimings} for what is not given. */
  readonly timings?: Partial<TransportTimings>;
  /** Told about connections and refusals, for logs. Must not throw. */
  readonly onEvent?: (event: TransportEvent) => void;
}

/** What {@link GrpcTransportOptions.limits} is where it is not given. */
export const defaultLimits: TransportLimits = {
  maxMessages: 65_536,
  maxEntries: 262_144,
  maxEntryBytes: 16 * MIB,
  maxContextBytes: 64 * KIB,
  maxFrameBytes: 24 * MIB,
  batchBytes: MIB,
  maxQueuedBulkBytes: 32 * MIB,
  maxQueuedControlBytes: MIB,
  maxUnsentBytes: 4 * MIB,
  windowBytes: 4 * MIB,
  maxSnapshotReads: 16,
  maxSessionMemoryMib: 64,
};

/** What {@link GrpcTransportOptions.timings} is where it is not given. */
export const defaultTimings: TransportTimings = {
  connectTimeoutMs: 2_000,
  backoffMinMs: 50,
  backoffMaxMs: 1_000,
  keepaliveMs: 3_000,
  keepaliveTimeoutMs: 3_000,
  snapshotTimeoutMs: 10_000,
  drainMs: 500,
};

/** Options with every default filled in and checked. */
export interface ResolvedOptions extends Omit<GrpcTransportOptions, 'limits' | 'timings'> {
  readonly limits: TransportLimits;
  readonly timings: TransportTimings;
}

/** Fails with `invalidOption`. */
export function resolveOptions(options: GrpcTransportOptions): ResolvedOptions {
  if (!Number.isSafeInteger(options.id) || options.id < 1) {
    throw new RaftGrpcError(
      'invalidOption',
      `id must be a node id, a safe integer from 1; got ${options.id}`,
    );
  }
  if (options.clusterId.length < 1 || options.clusterId.length > 128) {
    throw new RaftGrpcError('invalidOption', 'clusterId must have 1 to 128 characters');
  }
  if (!/^.+:\d{1,5}$/.test(options.listen)) {
    throw new RaftGrpcError(
      'invalidOption',
      `listen must be host:port, for example 127.0.0.1:9444; got ${JSON.stringify(options.listen)}`,
    );
  }
  const limits = { ...defaultLimits, ...options.limits };
  const timings = { ...defaultTimings, ...options.timings };
  for (const [name, value] of [...Object.entries(limits), ...Object.entries(timings)]) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new RaftGrpcError('invalidOption', `${name} must be a whole number from 1; got ${value}`);
    }
  }
  const { release } = options;
  if (release !== undefined && compareVersions(release.oldestPeer, release.version) === undefined) {
    const given = `${JSON.stringify(release.version)} and ${JSON.stringify(release.oldestPeer)}`;
    throw new RaftGrpcError('invalidOption', `release must have versions like 1.4.2; got ${given}`);
  }
  if (limits.windowBytes > HTTP2_WINDOW_MAX_BYTES) {
    throw new RaftGrpcError('invalidOption', `windowBytes must be at most ${HTTP2_WINDOW_MAX_BYTES}`);
  }
  if (limits.maxFrameBytes < limits.maxEntryBytes + limits.maxContextBytes + KIB) {
    throw new RaftGrpcError(
      'invalidOption',
      'maxFrameBytes must hold an entry of maxEntryBytes and its message',
    );
  }
  return { ...options, limits, timings };
}
