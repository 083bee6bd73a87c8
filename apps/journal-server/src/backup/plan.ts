/** What a restore to a point would take, before anything is fetched. */
import type { BackupError } from './errors.ts';
import type { Repository } from './format/repository.ts';
import { piecesOf, type SnapshotRecord } from './format/snapshot-record.ts';
import type { Target } from './replay.ts';
import {
  batchesAfter,
  lastBatch,
  lastCommandTime,
  noSuchPoint,
  readTimeline,
  type Timeline,
} from './timeline.ts';
import type { ListedBatch } from './format/repository.ts';

export interface RestorePlan {
  readonly clusterId: string;
  readonly target: Target;
  readonly snapshot: SnapshotRecord;
  readonly batches: readonly ListedBatch[];
  /** Bytes to fetch. */
  readonly sizeBytes: number;
  /** Bytes to read in all: those of the snapshot a second time, when the state is made of what was fetched. */
  readonly readBytes: number;
  readonly reach: Reach;
}

/** How far a backup reaches. */
export interface Reach {
  /** The last log entry in it. */
  readonly index: number;
  /** Number of journal entries up to there; undefined where the last log object does not say. */
  readonly entries: number | undefined;
  /** Time of the last command in it. */
  readonly time: string;
  readonly headHash: string | undefined;
}

/** Rejects with `notFound` (no backup), `noSuchPoint`, `damaged`, or as the store does. */
export async function planRestore(repository: Repository, target: Target): Promise<RestorePlan> {
  const timeline = await readTimeline(repository);
  const newest = timeline.snapshots.at(-1);
  if (newest === undefined)
    throw noSuchPoint(
      `${repository.url}: the backup has no snapshot yet, so there is nothing to restore from`,
    );
  const { clusterId } = timeline.identity;
  const newestRecord = await repository.snapshot(newest.key, clusterId);
  const reach = await reachOf(repository, timeline, newestRecord);
  if (target.kind === 'sequence' && reach.entries !== undefined && target.sequence >= reach.entries) {
    throw noSuchPoint(
      reach.entries === 0
        ? `there is no sequence ${String(target.sequence)} in the backup: it holds no entry`
        : `there is no sequence ${String(target.sequence)} in the backup: the last one is ${String(reach.entries - 1)}`,
    );
  }
  const snapshot = await chooseSnapshot(repository, timeline, target);
  const batches = batchesAfter(timeline, snapshot.index);
  const piecesBytes = piecesOf(snapshot).reduce((sum, piece) => sum + piece.sizeBytes, 0);
  const sizeBytes = piecesBytes + batches.reduce((sum, batch) => sum + batch.sizeBytes, 0);
  return { clusterId, target, snapshot, batches, sizeBytes, readBytes: sizeBytes + piecesBytes, reach };
}

/** Rejects with `damaged`, or as the store does. */
export async function reachOf(
  repository: Repository,
  timeline: Timeline,
  newest: SnapshotRecord,
): Promise<Reach> {
  const last = await lastBatch(repository, timeline);
  if (last === undefined || last.lastIndex <= newest.index)
    return { index: newest.index, entries: newest.entries, time: newest.clock, headHash: undefined };
  const lastTime = last.lastTime ?? (await lastCommandTime(repository, timeline, newest.index));
  return {
    index: last.lastIndex,
    entries: last.checkpoint?.entries,
    time: lastTime ?? newest.clock,
    headHash: last.checkpoint?.headHash,
  };
}

/** The newest snapshot from which the log leads to the target. */
async function chooseSnapshot(
  repository: Repository,
  timeline: Timeline,
  target: Target,
): Promise<SnapshotRecord> {
  const { snapshots, identity } = timeline;
  let oldest: SnapshotRecord | undefined;
  for (const { key } of snapshots.toReversed()) {
    const record = await repository.snapshot(key, identity.clusterId);
    if (isBefore(record, target)) return record;
    oldest = record;
  }
  // A snapshot that ends with the entry asked for may hold later changes that are no entries; it is better than nothing.
  if (oldest !== undefined && target.kind === 'sequence' && oldest.entries === target.sequence + 1)
    return oldest;
  throw tooEarly(target, oldest);
}

function isBefore(record: SnapshotRecord, target: Target): boolean {
  switch (target.kind) {
    case 'end':
      return true;
    case 'sequence':
      return record.entries <= target.sequence;
    case 'time':
      return record.clock <= target.time;
  }
}

function tooEarly(target: Target, oldest: SnapshotRecord | undefined): BackupError {
  const asked = target.kind === 'sequence' ? `sequence ${String(target.sequence)}` : 'that time';
  const earliest =
    oldest === undefined
      ? 'it has no snapshot'
      : `the oldest point it keeps is sequence ${String(oldest.entries - 1)} of ${oldest.clock}`;
  return noSuchPoint(`the backup does not go back to ${asked}: ${earliest}`);
}
