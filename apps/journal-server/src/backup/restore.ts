/**
 * Restores a backup into a data directory: fetches and replays beside the target, verifies on the way, and gives the
 * result its name only when it is whole and durable. The result is the first snapshot of a group, as if its members had
 * received it; what they then agree on follows it.
 */
import { randomBytes } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  NO_NODE,
  toLogIndex,
  toTerm,
  type Member,
  type NodeId,
  type SnapshotMeta,
} from '@pact-journal/raft-core';
import { openWalStorage, type DirectorySnapshotStore } from '@pact-journal/wal-storage';
import { fetchBatches } from './batches.ts';
import type { BackupError } from './errors.ts';
import type { LogBatch } from './format/log-batch.ts';
import type { Repository } from './format/repository.ts';
import { fetchSnapshot, openSnapshots, TemporarySnapshots } from './pieces.ts';
import { inWords, makeStaging, publish, removeStaging, requirePlace } from './place.ts';
import type { RestorePlan } from './plan.ts';
import { Replay, type Target } from './replay.ts';
import { checkSuccession, noSuchPoint } from './timeline.ts';

export interface RestoreOptions {
  readonly plan: RestorePlan;
  /** Must be missing or empty. */
  readonly dataDir: string;
  readonly clusterId: string;
  readonly nodeId: number;
  /** Whom the restored group consists of. */
  readonly members: readonly Member[];
  readonly learners: readonly NodeId[];
  readonly onProgress?: (progress: RestoreProgress) => void;
}

export interface RestoreProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Journal entries restored so far; 0 while the snapshot is being fetched. */
  readonly entries: number;
}

export interface Restored {
  readonly index: number;
  readonly term: number;
  readonly entries: number;
  readonly clock: string;
  readonly headHash: string;
  readonly digest: string;
}

/** An id that no other cluster has: restored and old nodes can never take each other for their own. */
export function newClusterId(source: string): string {
  const base = source.replace(/-restored-[0-9a-f]{8}$/u, '').slice(0, 100);
  return `${base}-restored-${randomBytes(4).toString('hex')}`;
}

/**
 * Rejects with `notEmpty` or `unusable` (the directory), `full` (its disk), `damaged` (naming the object), `noSuchPoint`,
 * or as the store or the disk does; the target is as it was then.
 */
export async function restoreBackup(repository: Repository, options: RestoreOptions): Promise<Restored> {
  const place = await requirePlace(options.dataDir);
  return inWords(place.dataDir, async () => {
    try {
      await makeStaging(place);
      const restored = await fill(repository, place.staging, options);
      await publish(place);
      return restored;
    } catch (error) {
      await removeStaging(place);
      throw error;
    }
  });
}

/**
 * All that `restoreBackup` does but for the result: every byte that it needs is fetched and replayed, in a temporary
 * directory. Rejects as it does; where the disk has no room for the result, that is not found out.
 */
export async function rehearseRestore(repository: Repository, options: RestoreOptions): Promise<Restored> {
  await requirePlace(options.dataDir);
  const temporary = await TemporarySnapshots.create();
  try {
    const snapshots = await temporary.open(options.plan.clusterId);
    try {
      return outcomeOf(await bringForward(repository, snapshots, options));
    } finally {
      await snapshots.close();
    }
  } finally {
    await temporary.remove();
  }
}

async function fill(repository: Repository, staging: string, options: RestoreOptions): Promise<Restored> {
  const { plan, clusterId, nodeId } = options;
  const { log, snapshots: unused } = openWalStorage({ dataDir: staging, clusterId, nodeId, payload: 'json' });
  await log.open();
  const snapshots = await openSnapshots(staging, clusterId, plan.clusterId);
  try {
    const replay = await bringForward(repository, snapshots, options);
    const meta = metaOf(replay, options);
    await saveState(snapshots, replay, meta);
    await removeSource(staging, plan, meta);
    await log.reset(meta.index, meta.term, { term: meta.term, vote: NO_NODE, commit: meta.index });
    return outcomeOf(replay);
  } finally {
    await snapshots.close();
    await unused.close();
    await log.close();
  }
}

function outcomeOf({ index, term, state }: Replay): Restored {
  const { entryCount: entries, clock, headHash } = state;
  return { index, term, entries, clock, headHash, digest: state.digest() };
}

async function bringForward(
  repository: Repository,
  snapshots: DirectorySnapshotStore,
  { plan, onProgress }: RestoreOptions,
): Promise<Replay> {
  const { snapshot, target } = plan;
  const progress = { doneBytes: 0, totalBytes: plan.readBytes, entries: 0 };
  const advance = (sizeBytes: number): void => {
    progress.doneBytes += sizeBytes;
    onProgress?.({ ...progress });
  };
  const stored = await fetchSnapshot(repository, snapshot, snapshots, advance);
  // What was fetched is read again, as evenly as entries are large.
  const loaded = (entries: number): void => {
    const share = (entries - progress.entries) / Math.max(1, snapshot.entries);
    progress.entries = entries;
    advance(share * (plan.readBytes - plan.sizeBytes));
  };
  const replay = await Replay.from(snapshots, stored, snapshot, loaded);
  let before: LogBatch | undefined;
  let reached = replay.reached(target);
  for await (const { listed, batch } of fetchBatches(
    repository,
    reached ? [] : plan.batches,
    plan.clusterId,
  )) {
    const read = await batch;
    const startsRun = checkSuccession(listed.key, read, before);
    // The log has a gap here, and a later snapshot stands for what is missing.
    if (startsRun && read.firstIndex > replay.index + 1) throw inGap(replay, target);
    before = read;
    reached = replay.apply(listed.key, read, target);
    progress.entries = replay.state.entryCount;
    advance(listed.sizeBytes);
    if (reached) break;
  }
  if (!reached && replay.index < plan.reach.index) throw inGap(replay, target);
  if (target.kind === 'sequence' && !reached)
    throw noSuchPoint(
      `there is no sequence ${String(target.sequence)} in the backup: the last one is ${String(replay.state.entryCount - 1)}`,
    );
  return replay;
}

/** What was committed in a gap is unknown, so no point in it can be told from another. */
function inGap({ state }: Replay, target: Target): BackupError {
  const last = `sequence ${String(state.entryCount - 1)} of ${state.clock}`;
  switch (target.kind) {
    case 'sequence':
      return noSuchPoint(
        `sequence ${String(target.sequence)} lies in a gap of the exported log: the points around it are ${last} and those of later snapshots`,
      );
    case 'time':
      return noSuchPoint(
        `${target.time} lies in a gap of the exported log: the points around it are ${last} (use --to-sequence) and those of later snapshots`,
      );
    case 'end':
      return noSuchPoint(
        `the exported log has a gap after ${last}, and no snapshot stands for what is missing: use --to-sequence`,
      );
  }
}

function metaOf(replay: Replay, { members, learners }: RestoreOptions): SnapshotMeta {
  const sorted = members.toSorted((a, b) => a.id - b.id);
  return {
    index: toLogIndex(replay.index),
    term: toTerm(replay.term),
    confState: {
      voters: sorted.map(({ id }) => id).filter((id) => !learners.includes(id)),
      votersOutgoing: [],
      learners: learners.toSorted((a, b) => a - b),
      learnersNext: [],
      autoLeave: false,
    },
    members: sorted,
  };
}

async function saveState(
  snapshots: DirectorySnapshotStore,
  replay: Replay,
  meta: SnapshotMeta,
): Promise<void> {
  const content = replay.machine.snapshot();
  try {
    await snapshots.save(meta, content);
  } finally {
    content.release();
  }
}

/** The snapshot that was fetched is another cluster's; the new one has taken over its pieces. */
async function removeSource(staging: string, { snapshot }: RestorePlan, meta: SnapshotMeta): Promise<void> {
  if (snapshot.index === meta.index && snapshot.term === meta.term) return;
  const name = `snap-${String(snapshot.term)}-${String(snapshot.index)}.json`;
  await rm(join(staging, 'raft', 'snapshots', name));
}
