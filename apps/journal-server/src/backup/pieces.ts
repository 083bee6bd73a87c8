/** Snapshots between a backup and a node's own snapshot store: both keep the same content-addressed pieces. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toLogIndex, toTerm, type SnapshotSource, type StoredSnapshot } from '@pact-journal/raft-core';
import { DirectorySnapshotStore, DiskFileSystem, isWalStorageError } from '@pact-journal/wal-storage';
import { BackupError, damagedObject, isBackupError } from './errors.ts';
import { chunkKey, snapshotKey } from './format/keys.ts';
import type { Repository } from './format/repository.ts';
import type { SnapshotRecord } from './format/snapshot-record.ts';

const NO_MEMBERS = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false };

/** A snapshot store in a directory of its own, of which the directory goes when it is disposed of. */
export class TemporarySnapshots {
  readonly #directory: string;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /** Rejects with `unusable` where there is no place for it. */
  static async create(): Promise<TemporarySnapshots> {
    try {
      return new TemporarySnapshots(await mkdtemp(join(tmpdir(), 'pact-journal-verify-')));
    } catch (error) {
      const why = error instanceof Error && 'code' in error ? String(error.code) : 'for an unknown reason';
      throw new BackupError(
        'unusable',
        `no temporary directory can be made in ${tmpdir()} (${why}); name another place in TMPDIR`,
        { cause: error },
      );
    }
  }

  async open(clusterId: string): Promise<DirectorySnapshotStore> {
    return openSnapshots(this.#directory, clusterId, undefined);
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
  }
}

export async function openSnapshots(
  dataDir: string,
  clusterId: string,
  sourceClusterId: string | undefined,
): Promise<DirectorySnapshotStore> {
  const fileSystem = new DiskFileSystem();
  await fileSystem.makeDirectory(dataDir);
  await fileSystem.makeDirectory(join(dataDir, 'raft'));
  await fileSystem.makeDirectory(join(dataDir, 'raft', 'snapshots'));
  const store = new DirectorySnapshotStore({
    dataDir,
    clusterId,
    ...(sourceClusterId === undefined || sourceClusterId === clusterId ? {} : { sourceClusterId }),
    fileSystem,
    // Whatever is wrong with what was fetched is told when it is fetched.
    onWarning: () => undefined,
    payload: 'json',
  });
  await store.open();
  return store;
}

/**
 * Fetches a snapshot of a backup, every piece verified, and makes it the store's newest. Rejects with `damaged`, which
 * names the object, or as the store does.
 */
export async function fetchSnapshot(
  repository: Repository,
  record: SnapshotRecord,
  into: DirectorySnapshotStore,
  onPiece: (sizeBytes: number) => void,
): Promise<StoredSnapshot> {
  const stored = storedOf(record);
  const sizes = new Map([record.manifest, ...record.chunks].map((ref) => [ref.sha256, ref.sizeBytes]));
  const source: SnapshotSource = {
    read: async (sha256, offset, maxBytes) => {
      const key = chunkKey(sha256);
      const bytes = await repository.store.read(key, offset, maxBytes).catch((error: unknown) => {
        if (isBackupError(error, 'notFound')) throw damagedObject(key, 'is missing', error);
        throw error;
      });
      const short = bytes.length < Math.min(maxBytes, (sizes.get(sha256) ?? 0) - offset);
      if (short) throw damagedObject(key, `ends after ${String(offset + bytes.length)} bytes`);
      onPiece(bytes.length);
      return bytes;
    },
  };
  try {
    await into.receive(stored, source, new AbortController().signal);
    await into.install(stored);
  } catch (error) {
    throw asDamage(error, snapshotKey(record.index, record.term));
  }
  return into.latest() ?? stored;
}

function storedOf({ index, term, manifest, chunks }: SnapshotRecord): StoredSnapshot {
  const meta = { index: toLogIndex(index), term: toTerm(term), confState: NO_MEMBERS, members: [] };
  return { meta, manifest, chunks };
}

/** wal-storage names the piece in its message, by its hash, which is its name in the backup. */
export function asDamage(error: unknown, key: string): unknown {
  if (!isWalStorageError(error)) return error;
  const { code, message } = error;
  const damaged = code === 'corrupt' || code === 'checksumMismatch' || code === 'foreignDirectory';
  if (!damaged) return error;
  const piece = /[0-9a-f]{64}/u.exec(message)?.[0];
  return damagedObject(piece === undefined ? key : chunkKey(piece), message, error);
}
