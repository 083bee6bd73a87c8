export * from './types.ts';
export { resolveConfig } from './config.ts';
export type { RawNodeConfig, ReadOnlyOption, ResolvedConfig } from './config.ts';
export * from './confchange/index.ts';
export {
  isRaftAssertionError,
  isRaftCoreError,
  isStorageError,
  RaftAssertionError,
  RaftCoreError,
  StorageError,
} from './errors.ts';
export type {
  ConfChangeRejectReason,
  ProposalDropReason,
  RaftCoreErrorCode,
  RaftCoreErrorReason,
} from './errors.ts';
export type { ConfChangeIgnoreReason, EntryId, LogPosition, RaftEvent, RaftEventSink } from './events.ts';
export {
  maxIndex,
  minIndex,
  NO_INDEX,
  NO_TERM,
  shiftIndex,
  toLogIndex,
  toNodeId,
  toTerm,
  UNBOUNDED_INDEX,
} from './ids.ts';
export { entriesSize, entrySize, NO_LIMIT, payloadSize } from './log/index.ts';
export { EMPTY_SNAPSHOT, MemoryStorage } from './memory-storage.ts';
export { createMessage, isLocalMessage, isLocalTarget, isResponseMessage, NO_BYTES } from './message.ts';
export * from './quorum/index.ts';
export { SeededRandom } from './random.ts';
export type { Random } from './random.ts';
export { RawNode } from './rawnode.ts';
export type { BootstrapPeer } from './raft/bootstrap.ts';
export type { ConfChangeOptions, ProposalPosition } from './rawnode.ts';
export type { BasicStatus, Ready, Status } from './ready.ts';
export * from './render/index.ts';
export * from './tracker/index.ts';
