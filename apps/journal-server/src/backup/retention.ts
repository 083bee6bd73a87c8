/** Which restore points are kept, and what can go without breaking one of them. */
import type { ListedBatch, ListedSnapshot, Repository } from './format/repository.ts';
import { FOLDERS, parseChunkKey, parseWriterKey, WRITERS } from './format/keys.ts';
import { piecesOf } from './format/snapshot-record.ts';
import { listAll } from './store/object-store.ts';
import { readTimeline } from './timeline.ts';

export interface Retention {
  /** So many of the newest snapshots are kept; at least 1. */
  readonly keepCount: number;
  /** And all that are younger than this. */
  readonly keepAgeMs: number;
}

export interface PruneReport {
  readonly snapshots: number;
  readonly logObjects: number;
  readonly chunks: number;
  readonly freedBytes: number;
  /** What is kept: the earliest index from which every later point can be restored. */
  readonly oldestIndex: number | undefined;
}

/** A piece that nobody refers to may belong to a snapshot that is being uploaded: it is left alone this long. */
const UPLOAD_GRACE_MS = 24 * 60 * 60 * 1_000;
const KEPT_WRITERS = 10;

/**
 * Removes what the retention does not ask for: snapshots first, so that nothing that is left refers to anything that
 * is gone, wherever it is interrupted. Log is kept from the oldest kept snapshot on. Rejects with `damaged` (and
 * removes nothing) where a kept snapshot cannot be read, or as the store does.
 */
export async function prune(
  repository: Repository,
  retention: Retention,
  nowMs: number,
  options: { readonly dryRun?: boolean } = {},
): Promise<PruneReport> {
  const { snapshots, batches, identity } = await readTimeline(repository);
  const { kept, dropped } = divide(snapshots, retention, nowMs);
  const needed = new Set<string>();
  for (const { key } of kept) {
    const record = await repository.snapshot(key, identity.clusterId);
    for (const { sha256 } of piecesOf(record)) needed.add(sha256);
  }
  const oldestIndex = kept[0]?.index;
  const log = oldestIndex === undefined ? [] : coveredBy(batches, oldestIndex);
  const chunks = await unneededChunks(repository, needed, nowMs - UPLOAD_GRACE_MS);
  const going = [dropped, log, chunks, await oldWriters(repository)];
  if (options.dryRun !== true) {
    for (const objects of going) await repository.store.remove(objects.map(({ key }) => key));
    for (const folder of FOLDERS) await repository.store.removeUnfinished(folder, nowMs - UPLOAD_GRACE_MS);
  }
  return {
    snapshots: dropped.length,
    logObjects: log.length,
    chunks: chunks.length,
    freedBytes: going.flat().reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    oldestIndex,
  };
}

function divide(
  snapshots: readonly ListedSnapshot[],
  { keepCount, keepAgeMs }: Retention,
  nowMs: number,
): { readonly kept: readonly ListedSnapshot[]; readonly dropped: readonly ListedSnapshot[] } {
  const byCount = Math.max(0, snapshots.length - Math.max(1, keepCount));
  // By age: all from the first that is young enough on, so that the log between kept snapshots has no holes.
  const young = snapshots.findIndex(({ modifiedMs }) => modifiedMs >= nowMs - keepAgeMs);
  const from = young < 0 ? byCount : Math.min(byCount, young);
  return { kept: snapshots.slice(from), dropped: snapshots.slice(0, from) };
}

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
