/** Both stores on one directory. */
import { WalStorageError } from './errors.ts';
import type { WarningHandler } from './errors.ts';
import { DiskFileSystem } from './fs/disk.ts';
import type { FileSystem } from './fs/file-system.ts';
import type { PayloadFormat } from './log/line.ts';
import { WalLogStore } from './log/wal-log-store.ts';
import { DirectorySnapshotStore } from './snapshot/directory-snapshot-store.ts';

const ENTRIES_PER_FILE = 4096;
const TAIL_CACHE_SIZE_BYTES = 16 * 1024 * 1024;

export interface WalStorageOptions {
  /** Everything is in `<dataDir>/raft`; created if need be. */
  readonly dataDir: string;
  /** Whose log it is, 1 to 256 characters. A directory of another cluster is refused. */
  readonly clusterId: string;
  /** The Raft node's id, a safe integer from 1. A directory of another node is refused. */
  readonly nodeId: number;
  /** At most this many entries a log file, from 1; 4096 by default. 1 gives each entry a file, and each file costs two syncs. */
  readonly entriesPerFile?: number;
  /** Newest log entries kept in memory, in bytes; 16 MiB by default. */
  readonly tailCacheSizeBytes?: number;
  /** How data is stored in lines: `auto` (default) is safe for any bytes; `json` spares a parse where data is known to be JSON. */
  readonly payload?: PayloadFormat;
  /** The local disk by default. */
  readonly fileSystem?: FileSystem;
  /** Called for what an operator should know although it needs no decision. Silent by default. */
  readonly onWarning?: WarningHandler;
}

export interface WalStorage {
  readonly log: WalLogStore;
  readonly snapshots: DirectorySnapshotStore;
}

/**
 * A LogStore and a SnapshotStore for one RaftNode on `<dataDir>/raft`. Nothing is touched before `log.open()`, which
 * takes the directory's lock and must come before `snapshots.open()`. Fails with `invalidArgument`.
 */
export function openWalStorage(options: WalStorageOptions): WalStorage {
  const { dataDir, clusterId, nodeId } = options;
  if (clusterId.length < 1 || clusterId.length > 256) {
    throw new WalStorageError(
      'invalidArgument',
      'opening a log: the cluster id must have 1 to 256 characters',
    );
  }
  if (!Number.isSafeInteger(nodeId) || nodeId < 1) {
    throw new WalStorageError('invalidArgument', `opening a log: node id ${nodeId} is not an integer from 1`);
  }
  const fileSystem = options.fileSystem ?? new DiskFileSystem();
  const onWarning = options.onWarning ?? ((): void => undefined);
  const payload = options.payload ?? 'auto';
  const snapshots = new DirectorySnapshotStore({ dataDir, clusterId, fileSystem, onWarning, payload });
  const log = new WalLogStore({
    dataDir,
    identity: { clusterId, nodeId },
    fileSystem,
    onWarning,
    payload,
    entriesPerFile: options.entriesPerFile ?? ENTRIES_PER_FILE,
    tailCacheSizeBytes: options.tailCacheSizeBytes ?? TAIL_CACHE_SIZE_BYTES,
    newestSnapshot: () => snapshots.newest(),
  });
  return { log, snapshots };
}
