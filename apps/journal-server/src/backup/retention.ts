/** Which restore points are kept, and what can go without breaking one of them. */
import { timestampToMs } from '@pact-journal/journal-state';
import type { ListedBatch, ListedSnapshot, Repository } from './format/repository.ts';
import { FOLDERS, parseChunkKey, parseWriterKey, WRITERS } from './format/keys.ts';
import { piecesOf, type SnapshotRecord } from './format/snapshot-record.ts';
import { listAll } from './store/object-store.ts';
import { readTimeline } from './timeline.ts';

export interface Retention {
  /** So many of the newest snapshots are kept; at least 1. */
  readonly keepCount: number;
  /** And all that it takes to restore any point that is younger than this. */
  readonly keepAgeMs: number;
}

export interface PruneReport {
  readonly snapshots: number;
  readonly logObjects: number;
  readonly chunks: number;
  readonly freedBytes: number;
  /** From this index on every point can be restored; undefined where there is no snapshot. */
  readonly oldestIndex: number | undefined;
}

/** A piece that nobody refers to may belong to a snapshot that is being uploaded: it is left alone this long. */
const UPLOAD_GRACE_MS = 24 * 60 * 60 * 1_000;
const KEPT_WRITERS = 10;

/**
 * Removes what the retention does not ask for: snapshots first, so that nothing that is left refers to anything that
 * is gone, wherever it is interrupted. Log is kept from the oldest kept snapshot on. Rejects with `damaged` (and
 * removes nothing) where a kept snapshot cannot be read, or as the store does.
 *
 * `nowMs` is the time here, in milliseconds since 1970. Ages do not depend on it alone: see {@link soundNow}.
 */
export async function prune(
  repository: Repository,
  retention: Retention,
  nowMs: number,
  options: { readonly dryRun?: boolean } = {},
): Promise<PruneReport> {
  const { snapshots, batches, identity } = await readTimeline(repository);
  const newest = snapshots.at(-1);
  // Without a restore point there is no telling what the next one will need.
  if (newest === undefined)
    return { snapshots: 0, logObjects: 0, chunks: 0, freedBytes: 0, oldestIndex: undefined };
  const newestRecord = await repository.snapshot(newest.key, identity.clusterId);
  const soundMs = soundNow(nowMs, newest, newestRecord);
  const needed = new Set<string>();
  let oldest = newest;
  let kept = 0;
  for (const listed of snapshots.toReversed()) {
    const record =
      listed === newest ? newestRecord : await repository.snapshot(listed.key, identity.clusterId);
    for (const { sha256 } of piecesOf(record)) needed.add(sha256);
    oldest = listed;
    kept += 1;
    // From the first one at or before that moment every point after it is reached.
    if (kept >= retention.keepCount && clockMs(record) <= soundMs - retention.keepAgeMs) break;
  }
  const dropped = snapshots.slice(0, snapshots.length - kept);
  const log = coveredBy(batches, oldest.index);
  const chunks = await unneededChunks(repository, needed, soundMs - UPLOAD_GRACE_MS);
  const going = [dropped, log, chunks, await oldWriters(repository)];
  if (options.dryRun !== true) {
    for (const objects of going) await repository.store.remove(objects.map(({ key }) => key));
    for (const folder of FOLDERS) await repository.store.removeUnfinished(folder, soundMs - UPLOAD_GRACE_MS);
  }
  return {
    snapshots: dropped.length,
    logObjects: log.length,
    chunks: chunks.length,
    freedBytes: going.flat().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    oldestIndex: oldest.index,
  };
}

/**
 * The time that ages are measured to: the smallest of what this machine's clock says, what the journal's own time was at
 * the newest snapshot, and what the store's clock was when it took that. A clock that is ahead then makes nothing look
 * older than it is as long as one of the three is right; one that is behind only has more kept.
 */
function soundNow(nowMs: number, newest: ListedSnapshot, record: SnapshotRecord): number {
  return Math.min(nowMs, newest.modifiedMs, clockMs(record));
}

/** Of a snapshot without a command in it, the beginning of time. */
const clockMs = ({ clock }: SnapshotRecord): number => timestampToMs(clock) ?? 0;

/** Log objects all of whose entries are in the snapshot: those that end before the next one begins at or below it. */
function coveredBy(batches: readonly ListedBatch[], index: number): readonly ListedBatch[] {
  return batches.filter((_batch, at) => {
    const next = batches[at + 1];
    return next !== undefined && next.firstIndex <= index + 1;
  });
}

async function unneededChunks(
  repository: Repository,
  needed: ReadonlySet<string>,
  beforeMs: number,
): Promise<readonly { readonly key: string; readonly sizeBytes: number }[]> {
  const found = [];
  for await (const info of repository.chunks()) {
    const sha256 = parseChunkKey(info.key);
    if (sha256 !== undefined && !needed.has(sha256) && info.modifiedMs < beforeMs) found.push(info);
  }
  return found;
}

async function oldWriters(
  repository: Repository,
): Promise<readonly { readonly key: string; readonly sizeBytes: number }[]> {
  const writers = (await listAll(repository.store, WRITERS)).filter(
    ({ key }) => parseWriterKey(key) !== undefined,
  );
  return writers.slice(0, Math.max(0, writers.length - KEPT_WRITERS));
}
