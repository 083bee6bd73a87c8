/** A look at a directory, offline or not: what it says about itself. */
import { isWalStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { DiskFileSystem } from '../fs/disk.ts';
import { layoutOf, parseSnapshotFileName } from '../layout.ts';
import { sortOutListing } from '../log/recover.ts';
import { readBounds, readCommitHint, readIdentity, readVote } from '../meta/metadata.ts';
import type { Identity, Vote } from '../meta/metadata.ts';
import type { OfflineOptions } from './verify.ts';

export interface WalInspection {
  /** The directory that was looked at. */
  readonly path: string;
  /** What could not be read is undefined; `verifyWal` says why. */
  readonly identity: (Identity & { readonly format: number }) | undefined;
  readonly vote: Vote | undefined;
  readonly compactedIndex: number | undefined;
  readonly compactedTerm: number | undefined;
  readonly commitHint: number | undefined;
  readonly logFiles: number;
  /** Indexes that the names of the first and the last log file say; undefined without any. */
  readonly firstFile: number | undefined;
  readonly lastFile: number | undefined;
  /** Newest first. */
  readonly snapshots: readonly {
    readonly term: number;
    readonly index: number;
    readonly sizeBytes: number;
  }[];
  readonly chunkFiles: number;
}

/**
 * Reads the small files and lists the others; takes no lock and no time, so it may be used beside a running node. Tells
 * nothing about damage. Fails with `permission` or `io`.
 */
export async function inspectWal(dataDir: string, options: OfflineOptions = {}): Promise<WalInspection> {
  const fileSystem = options.fileSystem ?? new DiskFileSystem();
  const layout = layoutOf(dataDir);
  const bounds = await orUndefined(() => readBounds(fileSystem, layout.raft));
  const hint = await orUndefined(() => readCommitHint(fileSystem, layout.raft));
  const { files } = sortOutListing(await namesIn(fileSystem, layout.wal));
  const snapshots = [];
  for (const { name } of await namesIn(fileSystem, layout.snapshots)) {
    const id = parseSnapshotFileName(name);
    if (id === undefined) continue;
    snapshots.push({ ...id, sizeBytes: (await fileSystem.size(`${layout.snapshots}/${name}`)) ?? 0 });
  }
  return {
    path: layout.raft,
    identity: await orUndefined(() => readIdentity(fileSystem, layout.raft)),
    vote: await orUndefined(() => readVote(fileSystem, layout.raft)),
    compactedIndex: bounds?.compactedIndex,
    compactedTerm: bounds?.compactedTerm,
    commitHint: typeof hint === 'number' ? hint : undefined,
    logFiles: files.length,
    firstFile: files[0],
    lastFile: files.at(-1),
    snapshots: snapshots.toSorted((a, b) => b.index - a.index || b.term - a.term),
    chunkFiles: (await namesIn(fileSystem, layout.chunks)).length,
  };
}

async function orUndefined<Result>(read: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!isWalStorageError(error) || error.code === 'io' || error.code === 'permission') throw error;
    return undefined;
  }
}

async function namesIn(fileSystem: FileSystem, directory: string): ReturnType<FileSystem['list']> {
  try {
    return await fileSystem.list(directory);
  } catch {
    return [];
  }
}
