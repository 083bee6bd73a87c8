/**
 * Raft for Node.js: a promise-based node over storage, network, state and time of your own.
 * The pure core underneath is `@pact-journal/raft-core/core`; in-memory parts and suites are in `./testing`.
 */
export type { RaftEvent, RaftEventSink } from './core/events.ts';
export { isStorageError, StorageError } from './core/errors.ts';
export { toLogIndex, toNodeId, toTerm } from './core/ids.ts';
export { createMessage } from './core/message.ts';
export { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NO_NODE } from './core/types.ts';
export type {
  ConfState,
  Entry,
  EntryType,
  HardState,
  LogIndex,
  Message,
  MessageType,
  NodeId,
  Role,
  Snapshot,
  SnapshotMetadata,
  StorageErrorCode,
  Term,
} from './core/types.ts';
export {
  isNotLeaderError,
  isOverloadedError,
  isRaftError,
  NotLeaderError,
  OverloadedError,
  RaftError,
} from './runtime/errors.ts';
export type { RaftErrorCode } from './runtime/errors.ts';
export type {
  MemberRole,
  MembershipRole,
  RaftEventListener,
  RaftEventName,
  RaftEvents,
} from './runtime/events.ts';
export type {
  CommittedEntries,
  Clock,
  LogAppend,
  LogStore,
  LogStoreState,
  Member,
  SnapshotChunkRef,
  SnapshotContent,
  SnapshotMeta,
  SnapshotSection,
  SnapshotSource,
  SnapshotStore,
  StateMachine,
  StoredSnapshot,
  Transport,
  TransportHandler,
  TransportPeerStats,
} from './runtime/interfaces.ts';
export type { MembershipChange } from './runtime/membership-rules.ts';
export { entriesSizeBytes, entrySizeBytes, messageSizeBytes } from './runtime/message-size.ts';
export type { RaftNodeOptions, ReadOnlyOption } from './runtime/options.ts';
export type { Committed } from './runtime/proposal-tracker.ts';
export { RaftNode } from './runtime/raft-node.ts';
export type { MemberStatus, QueueSizes, RaftStatus } from './runtime/status.ts';
export { systemClock } from './runtime/system-clock.ts';
