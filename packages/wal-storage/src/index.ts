/** raft-core's LogStore and SnapshotStore on a directory. */
export { WalStorageError, isWalStorageError } from './errors.ts';
export type {
  DamageLocation,
  StorageWarning,
  WalStorageErrorCode,
  WalStorageErrorDetails,
  WarningHandler,
} from './errors.ts';
export { WalLogStore } from './log/wal-log-store.ts';
export type { WalLogStoreOptions } from './log/wal-log-store.ts';
export type { PayloadFormat } from './log/line.ts';
export type { NewestSnapshot } from './log/open-log.ts';
export { DiskFileSystem } from './fs/disk.ts';
export type { DirectoryItem, DirectoryLock, FileSystem, OpenFile } from './fs/file-system.ts';
export type { Identity } from './meta/metadata.ts';
export { DirectorySnapshotStore } from './snapshot/directory-snapshot-store.ts';
export type { DirectorySnapshotStoreOptions } from './snapshot/directory-snapshot-store.ts';
export { openWalStorage } from './wal-storage.ts';
export type { WalStorage, WalStorageOptions } from './wal-storage.ts';
export { openDirectoryPeers } from './offline/directory-peers.ts';
export type { DirectoryPeers } from './offline/directory-peers.ts';
export { inspectWal } from './offline/inspect.ts';
export type { WalInspection } from './offline/inspect.ts';
export type { WalFinding } from './offline/judge.ts';
export { repairWal } from './offline/repair.ts';
export type { PeerEntries, RepairOptions, RepairPeers, WalRepair } from './offline/repair.ts';
export type { IndexRange } from './offline/survey.ts';
export { verifyWal } from './offline/verify.ts';
export type { OfflineOptions, WalVerification } from './offline/verify.ts';
