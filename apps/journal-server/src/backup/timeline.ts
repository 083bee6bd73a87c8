/** What a backup holds, in order: snapshots, and runs of log without a gap. */
import { BackupError, damagedObject } from './errors.ts';
import type { BackupIdentity, ListedBatch, ListedSnapshot, Repository } from './format/repository.ts';
import type { LogBatch } from './format/log-batch.ts';

export interface Timeline {
  readonly identity: BackupIdentity;
  /** Oldest first. */
  readonly snapshots: readonly ListedSnapshot[];
  /** Oldest first. */
  readonly batches: readonly ListedBatch[];
}

/** Lists a backup. Rejects with `notFound` where there is none. */
export async function readTimeline(repository: Repository): Promise<Timeline> {
  const identity = await repository.requireIdentity();
  const snapshots = await repository.snapshots();
  const batches: ListedBatch[] = [];
  for await (const batch of repository.batches()) batches.push(batch);
  return { identity, snapshots, batches };
}

/** The batches that follow a snapshot: the one with the entry after it, and all later ones. */
export function batchesAfter({ batches }: Timeline, index: number): readonly ListedBatch[] {
  const next = batches.findIndex(({ firstIndex }) => firstIndex > index + 1);
  const from = next < 0 ? batches.length - 1 : next - 1;
  return batches.slice(Math.max(0, from));
}

/**
 * Holds a batch against the one before it. Throws `damaged` where it does not continue it although it says that it does.
 * True where a new run begins here: the log before it could not be exported in full, and a snapshot takes its place.
 */
export function checkSuccession(key: string, batch: LogBatch, before: LogBatch | undefined): boolean {
  if (batch.previous === null) {
    if (batch.runFirstIndex !== batch.firstIndex)
      throw damagedObject(key, 'names no predecessor although its run began before it');
    if (before !== undefined && batch.firstIndex <= before.lastIndex)
      throw damagedObject(key, `begins before ${String(before.lastIndex)}, where the object before it ends`);
    return true;
  }
  if (before === undefined) return false;
  if (batch.previous !== before.sha256 || batch.firstIndex !== before.lastIndex + 1) {
    throw damagedObject(
      key,
      `does not continue the object before it, which ends with entry ${String(before.lastIndex)}: one between them is missing or was replaced`,
    );
  }
  return false;
}

/** The last batch of the listing, if any. */
export async function lastBatch(
  repository: Repository,
  { batches, identity }: Timeline,
): Promise<LogBatch | undefined> {
  const last = batches.at(-1);
  return last === undefined ? undefined : repository.batch(last.key, identity.clusterId);
}

/**
 * Time of the last command in the log, as far as the objects after `afterIndex` hold one: the last object may be all of a
 * new leader's empty entries.
 */
export async function lastCommandTime(
  repository: Repository,
  { batches, identity }: Timeline,
  afterIndex: number,
): Promise<string | undefined> {
  for (const { key } of batches.toReversed()) {
    const { lastTime, lastIndex } = await repository.batch(key, identity.clusterId);
    if (lastIndex <= afterIndex) return undefined;
    if (lastTime !== null) return lastTime;
  }
  return undefined;
}

export function noSuchPoint(what: string): BackupError {
  return new BackupError('noSuchPoint', what);
}
