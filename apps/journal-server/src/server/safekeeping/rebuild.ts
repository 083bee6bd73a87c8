/** Replacing this replica's state by that of the leader. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { journal } from '@pact-journal/journal-proto';
import type { StoredSnapshot } from '@pact-journal/raft-core';
import { openWalStorage } from '@pact-journal/wal-storage';
import type { ServerConfig } from '../../config/index.ts';
import type { LeaderForwarder } from '../forwarder.ts';
import { CallError, statusOf } from '../grpc-status.ts';
import type { RaftGroup } from '../raft-group.ts';
import { notPossible } from '../services/context.ts';

const SNAPSHOT_TIMEOUT_MS = 10 * 60_000;

/** A leader that has just been started, or just become one, may be out of reach for a moment. */
const PATIENCE_MS = 20_000;
const RETRY_INTERVAL_MS = 250;

export interface RebuildOptions {
  readonly config: ServerConfig;
  readonly group: RaftGroup;
  readonly forwarder: Pick<LeaderForwarder, 'ask'>;
}

export interface FetchedState {
  readonly stored: StoredSnapshot;
  readonly fetchedBytes: number;
}

/**
 * Has the leader take a snapshot and fetches it. The running node is not touched. Rejects with `CallError`
 * `FAILED_PRECONDITION` where this node leads or knows no leader, and `UNAVAILABLE` where the leader stays out of reach.
 */
export async function fetchLeaderState(options: RebuildOptions, signal: AbortSignal): Promise<FetchedState> {
  const giveUpMs = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await fetchOnce(options, signal);
    } catch (error) {
      const code = statusOf(error)?.code ?? status.UNAVAILABLE;
      if (signal.aborted || code !== status.UNAVAILABLE) throw error;
      if (performance.now() >= giveUpMs) {
        const why = error instanceof Error ? error.message : String(error);
        throw new CallError(
          status.UNAVAILABLE,
          `the leader's state could not be fetched: ${why}; this node goes on as it was, try again`,
        );
      }
    }
    await sleep(RETRY_INTERVAL_MS, undefined, { signal });
  }
}

async function fetchOnce({ group, forwarder }: RebuildOptions, signal: AbortSignal): Promise<FetchedState> {
  const { leaderId, members, nodeId, appliedIndex } = group.facts();
  if (leaderId === nodeId)
    throw notPossible('this node leads: hand leadership over first ("pact-journal member transfer")');
  const leader = members.find(({ id }) => id === leaderId);
  if (leader === undefined || leader.grpc === '')
    throw notPossible('there is no leader whose state could be taken over; try again');
  const { index, term } = await forwarder.ask(
    leader,
    journal.ClusterServiceDefinition.createSnapshot,
    {},
    SNAPSHOT_TIMEOUT_MS,
  );
  const own = group.snapshots.latest()?.meta.index ?? 0;
  if (index < own)
    throw notPossible(
      `the leader has applied up to ${String(index)} and this node's own snapshot is of ${String(own)}, beyond it (applied: ${String(appliedIndex)}); try again`,
    );
  return group.fetchSnapshot(leaderId, index, term, signal);
}

/**
 * On a node that is stopped: makes a fetched snapshot the only one, so that the next start begins with it. Log and vote
 * stay; entries of the log after the snapshot are applied again.
 */
export async function installFetchedState(config: ServerConfig, { stored }: FetchedState): Promise<void> {
  const { dataDir, id } = config.node;
  const { log, snapshots } = openWalStorage({
    dataDir,
    clusterId: config.cluster.id,
    nodeId: id,
    payload: 'json',
  });
  await log.open();
  try {
    await snapshots.open();
    await snapshots.receive(stored, { read: missing }, new AbortController().signal);
    await snapshots.install(stored);
    const { index, term } = stored.meta;
    await removeOthers(join(dataDir, 'raft', 'snapshots'), `snap-${String(term)}-${String(index)}.json`);
  } finally {
    await snapshots.close();
    await log.close();
  }
}

/** Everything was fetched while the node was running. */
function missing(sha256: string): Promise<never> {
  return Promise.reject(new Error(`assertion failed: ${sha256} was fetched before the node was stopped`));
}

/** Older snapshots are of the state that is being replaced: none of them may be fallen back on. */
async function removeOthers(directory: string, kept: string): Promise<void> {
  for (const name of await readdir(directory)) {
    if (/^snap-\d+-\d+\.json$/u.test(name) && name !== kept) await rm(join(directory, name));
  }
}
