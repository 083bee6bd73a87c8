/** What happens between the lock and the first append. The labels R1, R2, ... are those of RECOVERY.md. */
import { dirname, join } from 'node:path';
import { WalStorageError, ioError, systemErrorCode } from '../errors.ts';
import type { WarningHandler } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { BOUNDS_FILE, COMMITTED_FILE, IDENTITY_FILE, VOTE_FILE, walFileName } from '../layout.ts';
import type { Layout } from '../layout.ts';
import {
  REJOIN_REPAIR,
  readBounds,
  readCommitHint,
  readIdentity,
  readVote,
  writeBounds,
  writeIdentity,
  writeVote,
} from '../meta/metadata.ts';
import type { Bounds, Identity, Vote } from '../meta/metadata.ts';
import { TEMPORARY_SUFFIX, replaceFile } from '../meta/replace-file.ts';
import type { PayloadFormat } from './line.ts';
import { LogIndex } from './log-index.ts';
import { LOG_REPAIR } from './reader.ts';
import { FileBuffer, dropTornTail, leftoversBelow, scanLog, sortOutListing } from './recover.ts';
import type { RecoveredLog } from './recover.ts';
import { removeLogFiles } from './remover.ts';
import { finishTruncation } from './truncation.ts';

/** Verifies the snapshots and says which is the newest usable one. */
export type NewestSnapshot = () => Promise<{ readonly index: number; readonly term: number } | undefined>;

export interface OpenLogOptions {
  readonly identity: Identity;
  readonly onWarning: WarningHandler;
  readonly payload: PayloadFormat;
  readonly newestSnapshot?: NewestSnapshot;
}

export interface OpenedLog {
  readonly index: LogIndex;
  readonly lastChecksum: number;
  readonly vote: Vote;
  readonly bounds: Bounds;
  readonly commit: number;
}

export async function openLog(
  fileSystem: FileSystem,
  layout: Layout,
  options: OpenLogOptions,
): Promise<OpenedLog> {
  await claim(fileSystem, layout, options.identity);
  const vote = await readVote(fileSystem, layout.raft);
  let bounds = await readBounds(fileSystem, layout.raft);
  const snapshot = await options.newestSnapshot?.();
  if (options.newestSnapshot !== undefined) checkSnapshotCovers(layout, bounds, snapshot);

  const listing = sortOutListing(await listDirectory(fileSystem, layout.wal));
  for (const name of listing.foreign) {
    const path = join(layout.wal, name);
    options.onWarning({ code: 'foreignFile', message: `${path} is not a log file; it is left alone`, path });
  }
  let files = listing.files;
  if (bounds.truncateFrom !== undefined) {
    files = await finishTruncation(fileSystem, layout.wal, files, bounds.truncateFrom, options.payload);
    bounds = { ...bounds, truncateFrom: undefined };
    await writeBounds(fileSystem, layout.raft, bounds);
  }
  const leftovers = new Set(leftoversBelow(files, bounds.compactedIndex));
  const recovered = await scanLog(
    fileSystem,
    layout.wal,
    files.filter((file) => !leftovers.has(file)),
    bounds,
  );
  const beyond = snapshot !== undefined && isBeyond(recovered, snapshot) ? snapshot : undefined;
  const commit = await checkCommitHint(fileSystem, layout, recovered, beyond?.index ?? 0, options.onWarning);

  // Everything has been judged; only from here on is anything changed.
  await removeAll(fileSystem, layout.raft, await temporariesIn(fileSystem, layout.raft), options.onWarning);
  await removeAll(fileSystem, layout.wal, listing.temporaries, options.onWarning);
  await removeLeftovers(fileSystem, layout.wal, [...leftovers]);
  if (beyond !== undefined)
    return startAfterSnapshot(fileSystem, layout, files, vote, beyond, options.onWarning);
  if (recovered.tornTail === undefined) await rewriteLastFile(fileSystem, layout.wal, files.at(-1));
  const lastChecksum = await dropTornTail(
    fileSystem,
    layout.wal,
    recovered,
    options.payload,
    options.onWarning,
  );
  const { index } = recovered;
  if (index.lastIndex < bounds.compactedIndex || index.firstIndex > index.lastIndex) {
    // All that is left are files whose entries are compacted.
    await removeQuietly(fileSystem, layout.wal, index.reset(bounds.compactedIndex, bounds.compactedTerm));
    return { index, lastChecksum: bounds.compactedChecksum, vote, bounds, commit };
  }
  return { index, lastChecksum, vote, bounds, commit };
}

/** Creates what is missing, and makes all names durable that a predecessor may have been killed before syncing. */
async function makeDirectories(fileSystem: FileSystem, layout: Layout): Promise<void> {
  const { wal, chunks, partial, snapshots, raft } = layout;
  try {
    for (const path of [wal, chunks, partial]) await fileSystem.makeDirectory(path);
    for (const path of [wal, chunks, partial, snapshots, raft]) await fileSystem.syncDirectory(path);
  } catch (error) {
    throw ioError(error, 'creating the directories of the log', raft);
  }
}

/** Makes the names of the directories above the log durable, which may have been created with it. */
async function syncAncestors(fileSystem: FileSystem, layout: Layout): Promise<void> {
  for (const path of [layout.dataDir, dirname(layout.dataDir)]) {
    try {
      await fileSystem.syncDirectory(path);
    } catch (error) {
      // A directory that may not be read was not created by us, so its entry is older than this log.
      const failure = ioError(error, 'creating the directories of the log', path);
      if (failure.code !== 'permission') throw failure;
    }
  }
}

/** Sets the directory up for this node, or checks that it is this node's and complete. */
async function claim(fileSystem: FileSystem, layout: Layout, identity: Identity): Promise<void> {
  const found = await readIdentity(fileSystem, layout.raft);
  if (found === undefined) {
    await makeDirectories(fileSystem, layout);
    await syncAncestors(fileSystem, layout);
    return setUp(fileSystem, layout, identity);
  }
  if (found.clusterId !== identity.clusterId || found.nodeId !== identity.nodeId) {
    const [theirs, ours] = [found, identity].map(
      ({ nodeId, clusterId }) => `node ${nodeId} of cluster ${clusterId}`,
    );
    throw new WalStorageError(
      'foreignDirectory',
      `${layout.raft} belongs to ${theirs}, and this is ${ours}: point this node to its own data directory`,
      { path: layout.raft },
    );
  }
  for (const path of [layout.wal, layout.snapshots]) await listDirectory(fileSystem, path);
  return makeDirectories(fileSystem, layout);
}

/** The identity is written last, so a crash on the way leaves a directory that is set up again from the start. */
async function setUp(fileSystem: FileSystem, layout: Layout, identity: Identity): Promise<void> {
  const used =
    sortOutListing(await listDirectory(fileSystem, layout.wal)).files.length > 0 ||
    (await listDirectory(fileSystem, layout.snapshots)).some((item) => item.kind === 'file') ||
    (await hasHistory(fileSystem, layout));
  if (used) {
    const path = join(layout.raft, IDENTITY_FILE);
    throw new WalStorageError(
      'metadataMissing',
      `${path} is missing, but ${layout.raft} is in use: it says whose directory this is`,
      {
        path,
        repair: REJOIN_REPAIR,
      },
    );
  }
  await writeVote(fileSystem, layout.raft, { term: 0, vote: 0 });
  await writeBounds(fileSystem, layout.raft, {
    compactedIndex: 0,
    compactedTerm: 0,
    compactedChecksum: 0,
    truncateFrom: undefined,
  });
  await writeIdentity(fileSystem, layout.raft, identity);
}

/** Whether vote or bounds are other than what a set-up that was cut short leaves behind. */
async function hasHistory(fileSystem: FileSystem, layout: Layout): Promise<boolean> {
  const names = new Set((await listDirectory(fileSystem, layout.raft)).map((item) => item.name));
  if (names.has(VOTE_FILE) && (await readVote(fileSystem, layout.raft)).term > 0) return true;
  return names.has(BOUNDS_FILE) && (await readBounds(fileSystem, layout.raft)).compactedIndex > 0;
}

async function listDirectory(fileSystem: FileSystem, path: string): ReturnType<FileSystem['list']> {
  try {
    return await fileSystem.list(path);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') {
      throw new WalStorageError('metadataMissing', `the directory ${path} is missing`, {
        path,
        repair: REJOIN_REPAIR,
      });
    }
    throw ioError(error, 'listing a directory', path);
  }
}

function checkSnapshotCovers(
  layout: Layout,
  bounds: Bounds,
  snapshot: { readonly index: number } | undefined,
): void {
  if (bounds.compactedIndex <= (snapshot?.index ?? 0)) return;
  const newest =
    snapshot === undefined
      ? 'there is no usable snapshot'
      : `the newest usable snapshot ends with entry ${snapshot.index}`;
  throw new WalStorageError(
    'logWithoutSnapshot',
    `${layout.raft}: the log begins with entry ${bounds.compactedIndex + 1}, but ${newest}`,
    { path: layout.snapshots, index: bounds.compactedIndex, repair: LOG_REPAIR },
  );
}

/** Whether the snapshot was installed and a crash kept the log from being reset after it. */
function isBeyond(
  recovered: RecoveredLog,
  snapshot: { readonly index: number; readonly term: number },
): boolean {
  const term = recovered.index.term(snapshot.index);
  if (snapshot.index < recovered.index.firstIndex - 1) return false;
  return term === undefined ? snapshot.index > recovered.index.lastIndex : term !== snapshot.term;
}

async function checkCommitHint(
  fileSystem: FileSystem,
  layout: Layout,
  recovered: RecoveredLog,
  snapshotIndex: number,
  warn: WarningHandler,
): Promise<number> {
  const path = join(layout.raft, COMMITTED_FILE);
  const hint = await readCommitHint(fileSystem, layout.raft);
  const { index, tornTail } = recovered;
  const floor = Math.max(index.firstIndex - 1, snapshotIndex);
  if (hint === 'unreadable') {
    warn({
      code: 'commitHintIgnored',
      message: `${path} was torn and is ignored: the peers know what is committed`,
      path,
    });
    return floor;
  }
  const last = Math.max(
    index.lastIndex + (tornTail?.entries.length ?? 0),
    snapshotIndex,
    index.firstIndex - 1,
  );
  if (hint !== undefined && hint > last) {
    const torn = tornTail === undefined ? '' : ` (${walFileName(tornTail.file)} ${tornTail.reason})`;
    throw new WalStorageError(
      'committedBeyondLog',
      `${layout.wal} ends with entry ${last}${torn}, but entry ${hint} was known to be committed: entries ${last + 1} to ${hint} are lost`,
      { path: layout.wal, index: last + 1, repair: LOG_REPAIR },
    );
  }
  return Math.max(hint ?? 0, floor);
}

async function temporariesIn(fileSystem: FileSystem, directory: string): Promise<readonly string[]> {
  const items = await listDirectory(fileSystem, directory);
  return items
    .filter((item) => item.kind === 'file' && item.name.endsWith(TEMPORARY_SUFFIX))
    .map((item) => item.name);
}

async function removeAll(
  fileSystem: FileSystem,
  directory: string,
  names: readonly string[],
  warn: WarningHandler,
): Promise<void> {
  for (const name of names) {
    const path = join(directory, name);
    try {
      await fileSystem.remove(path);
    } catch (error) {
      throw ioError(error, 'removing a leftover', path);
    }
    warn({
      code: 'temporaryRemoved',
      message: `${path} was left over when its process ended; it is removed`,
      path,
    });
  }
}

/**
 * One that was emptied to be used again is told from one that was damaged by the file after it, so it must be gone before
 * that one may be.
 */
async function removeLeftovers(
  fileSystem: FileSystem,
  directory: string,
  files: readonly number[],
): Promise<void> {
  if (files.length === 0) return;
  await removeQuietly(fileSystem, directory, files);
  try {
    await fileSystem.syncDirectory(directory);
  } catch (error) {
    throw ioError(error, 'removing files of compacted entries', directory);
  }
}

async function removeQuietly(
  fileSystem: FileSystem,
  directory: string,
  files: readonly number[],
): Promise<void> {
  try {
    await removeLogFiles(fileSystem, directory, files);
  } catch (error) {
    throw ioError(error, 'removing files of compacted entries', directory);
  }
}

/**
 * Makes the last append durable. Its process may have been killed, or told of an I/O error, before its sync was through;
 * then the entries can be seen without being on the disk, and after a sync that failed another one does not help
 * (the kernel takes the data for clean). So they are written anew.
 */
async function rewriteLastFile(
  fileSystem: FileSystem,
  directory: string,
  file: number | undefined,
): Promise<void> {
  if (file === undefined) return;
  const name = walFileName(file);
  const path = join(directory, name);
  try {
    await replaceFile(fileSystem, directory, name, [new FileBuffer().read(fileSystem, path)]);
  } catch (error) {
    const failure = ioError(error, 'making the last append durable', path);
    if (failure.code !== 'diskFull') throw failure;
    // A full disk must not keep a node from starting: syncing in place takes no space.
    await fileSystem.remove(path + TEMPORARY_SUFFIX);
    await syncInPlace(fileSystem, path);
  }
}

async function syncInPlace(fileSystem: FileSystem, path: string): Promise<void> {
  try {
    const file = await fileSystem.open(path, 'read');
    try {
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw ioError(error, 'making the last append durable', path);
  }
}

/** Finishes an installation: the snapshot holds everything up to its index, so the log starts over after it. */
async function startAfterSnapshot(
  fileSystem: FileSystem,
  layout: Layout,
  files: readonly number[],
  vote: Vote,
  snapshot: { readonly index: number; readonly term: number },
  warn: WarningHandler,
): Promise<OpenedLog> {
  // A vote of the snapshot's term cannot have been answered from here: it would have been durable before.
  const raised = vote.term < snapshot.term ? { term: snapshot.term, vote: 0 } : vote;
  if (raised !== vote) await writeVote(fileSystem, layout.raft, raised);
  const bounds = { compactedIndex: snapshot.index, compactedTerm: snapshot.term, compactedChecksum: 0 };
  await writeBounds(fileSystem, layout.raft, { ...bounds, truncateFrom: snapshot.index + 1 });
  await removeQuietly(fileSystem, layout.wal, files);
  await fileSystem.syncDirectory(layout.wal);
  await writeBounds(fileSystem, layout.raft, { ...bounds, truncateFrom: undefined });
  warn({
    code: 'snapshotBeyondLog',
    message: `the snapshot up to entry ${snapshot.index} had been installed and the log not yet been reset after it; that is done now`,
    path: layout.wal,
    index: snapshot.index,
  });
  const index = new LogIndex(snapshot.index, snapshot.term);
  return {
    index,
    lastChecksum: 0,
    vote: raised,
    bounds: { ...bounds, truncateFrom: undefined },
    commit: snapshot.index,
  };
}
