/** What the export needs of a node. */
import type { Entry } from '@pact-journal/raft-core';
import { commandTime, type Checkpoint } from '../format/log-batch.ts';

/** The committed log of a replica, as far as it is applied there. */
export interface CommittedLog {
  /** First entry that is still in the log. */
  firstIndex(): number;
  /** Last entry that is committed and applied here. */
  appliedIndex(): number;
  /** Entries in `[low, high)`: at least one, then while they fit in `maxSizeBytes`. */
  entries(low: number, high: number, maxSizeBytes: number): readonly Entry[];
  /** The newest known state at or before an index. */
  checkpoint(atOrBefore: number): Checkpoint | undefined;
  /** Calls back after entries were applied. Returns how to stop it. */
  onApplied(listener: () => void): () => void;
}

const ENTRIES_AT_ONCE = 64;
const READ_SIZE_BYTES = 1024 * 1024;

/**
 * Whether the state at `index` can be one whose newest time is `clock`: a command at or before it must carry that very
 * time. Later times before it are those of commands that changed nothing, for example repeated ones. Where the log does
 * not go back far enough, nothing speaks against it.
 */
export function couldHaveClock(log: CommittedLog, index: number, clock: string): boolean {
  const first = log.firstIndex();
  for (let high = Math.min(index, log.appliedIndex()) + 1; high > first;) {
    const low = Math.max(first, high - ENTRIES_AT_ONCE);
    const times = readAll(log, low, high).map(commandTime);
    const newest = times.findLast((time) => time !== undefined && time <= clock);
    if (newest !== undefined) return newest === clock;
    high = low;
  }
  return true;
}

/** The time of the first command from `index` on; undefined where none is near. */
export function timeOfCommandFrom(log: CommittedLog, index: number): string | undefined {
  const low = Math.max(index, log.firstIndex());
  const high = Math.min(log.appliedIndex() + 1, low + ENTRIES_AT_ONCE);
  if (low >= high) return undefined;
  return log
    .entries(low, high, READ_SIZE_BYTES)
    .map(commandTime)
    .find((time) => time !== undefined);
}

function readAll(log: CommittedLog, low: number, high: number): readonly Entry[] {
  const entries: Entry[] = [];
  while (low + entries.length < high)
    entries.push(...log.entries(low + entries.length, high, READ_SIZE_BYTES));
  return entries;
}
