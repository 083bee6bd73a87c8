/** raft-core's Transport over gRPC. */
export { isRaftGrpcError, RaftGrpcError } from './errors.ts';
export type { RaftGrpcErrorCode } from './errors.ts';
export type { LaneName, TransportEvent } from './events.ts';
export type { DecodeLimits, RefusalReason } from './codec/decode.ts';
export { defaultLimits, defaultTimings } from './options.ts';
export type { GrpcTransportOptions, PeerIdentity, TransportLimits, TransportTimings } from './options.ts';
export { PeerLogs } from './outbound/peer-logs.ts';
export type { PeerLog, PeerLogsOptions } from './outbound/peer-logs.ts';
export { GrpcTransport } from './transport.ts';
export type { CallerRefusal } from './inbound/caller-refusal.ts';
export type { SoftwareRelease } from './inbound/version-rule.ts';
export type { CallerRefusalCounts, GrpcPeerStats, RefusalCounts } from './stats.ts';
