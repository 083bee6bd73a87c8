/**
 * The worst day: every node is killed at a random moment under load and every data directory is lost. What is left is
 * the backup, from which a new cluster starts.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { JournalClient } from '@pact-journal/journal-client';
import type { ConfigEntry, EntrySeq } from '@pact-journal/journal-state';
import { aCommit, vcluster } from '@pact-journal/journal-state/testing';
import { verifyDataDirectory } from '../../src/backup/data-directory.ts';
import { isBackupError } from '../../src/backup/errors.ts';
import { Repository } from '../../src/backup/format/repository.ts';
import type { SnapshotRecord } from '../../src/backup/format/snapshot-record.ts';
import { planRestore } from '../../src/backup/plan.ts';
import type { Target } from '../../src/backup/replay.ts';
import { newClusterId, restoreBackup, type Restored } from '../../src/backup/restore.ts';
import { openStore } from '../../src/backup/store/open-store.ts';
import { verifyBackup } from '../../src/backup/verify.ts';
import { raftMember } from '../../src/server/members.ts';
import { TestCluster } from '../support/test-cluster.ts';

export interface DisasterOptions {
  /** Where the backup goes; must be empty. */
  readonly url: string;
  /** In `[0, 1)`. */
  readonly random: () => number;
  readonly flags?: readonly string[];
}

export interface DisasterReport {
  readonly acknowledged: number;
  readonly restored: number;
  /** Acknowledged but lost: younger than the lag that was reported. */
  readonly lost: number;
  readonly lagSeconds: number;
  readonly targets: readonly string[];
  /** Entries that were there before the export began: all of them are in its first snapshot, none is a point of its own. */
  readonly before: number;
}

interface Acknowledged {
  readonly sequence: number;
  readonly index: number;
  readonly message: string;
  readonly atMs: number;
}

/** What the leader last said of its export. */
interface Reported {
  readonly exportedIndex: number;
  readonly lagSeconds: number;
  /** When it was asked: by then everything older than the lag was exported. */
  readonly askedMs: number;
}

const WRITERS = 8;
/** On a machine that has other things to do, processes take their time to start. */
const PATIENCE_MS = 90_000;

/** Throws where anything that must hold does not. */
export async function disaster(options: DisasterOptions): Promise<DisasterReport> {
  const { url, random } = options;
  const cluster = await TestCluster.prepare({
    nodes: 3,
    flags: ['--backup-url', url, '--backup-interval', '100ms', ...(options.flags ?? [])],
  });
  try {
    await cluster.startAll([], PATIENCE_MS);
    const { acknowledged, reported } = await loseAll(cluster, random);
    return await new Aftermath(options, acknowledged, reported).check();
  } catch (error) {
    throw withLogs(error, cluster);
  } finally {
    await cluster.stop();
  }
}

async function loseAll(cluster: TestCluster, random: () => number): ReturnType<Load['end']> {
  try {
    const load = new Load(cluster, random);
    for (let left = Math.floor(random() * 4); left > 0; left -= 1) {
      await sleep(random() * 500);
      await load.handOver();
    }
    await load.untilReported();
    await sleep(300 + random() * 1_700);
    // Nothing is asked or awaited any more from here on: the next thing that happens is the end.
    await cluster.stopAll('SIGKILL');
    return await load.end();
  } finally {
    await cluster.stop();
  }
}

/** What cannot be told from the backup is told by the nodes that have written it. */
function withLogs(error: unknown, cluster: TestCluster): Error {
  const logs = cluster.places.map(({ id }) => `node ${String(id)}:\n${cluster.node(id).log}`);
  const message = error instanceof Error ? error.message : String(error);
  return new Error([message, ...logs].join('\n'), { cause: error });
}

class Load {
  readonly #acknowledged: Acknowledged[] = [];
  readonly #work: Promise<unknown>;
  readonly #journal: JournalClient;
  #reported: Reported | undefined;
  #ending = false;

  constructor(cluster: TestCluster, random: () => number) {
    const endpoints = cluster.places.map(({ grpc }) => grpc);
    this.#journal = new JournalClient({ endpoints, deadlineMs: 2_000, attemptTimeoutMs: 1_000 });
    const writers = Array.from({ length: WRITERS }, (_, writer) => this.#write(writer, random));
    this.#work = Promise.all([...writers, this.#watch()]);
  }

  /** Another leader goes on, where that is possible now. */
  async handOver(): Promise<void> {
    await this.#journal.transferLeadership().catch(() => undefined);
  }

  /** Resolves once the export has reached an entry that was acknowledged. */
  async untilReported(): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while ((this.#reported?.exportedIndex ?? 0) < (this.#acknowledged[20]?.index ?? Infinity)) {
      if (performance.now() > deadline) throw new Error('nothing that was acknowledged was exported in time');
      await sleep(20);
    }
  }

  async end(): Promise<{ readonly acknowledged: readonly Acknowledged[]; readonly reported: Reported }> {
    this.#ending = true;
    this.#journal.close();
    await this.#work;
    if (this.#reported === undefined) throw new Error('the lag was never reported');
    return { acknowledged: this.#acknowledged, reported: this.#reported };
  }

  async #write(writer: number, random: () => number): Promise<void> {
    for (let number = 0; !this.#ending; number += 1) {
      const message = `${String(writer)}/${String(number)}`;
      const kernel = { [`key-${String(number % 50)}`]: 'x'.repeat(10 + Math.floor(random() * 500)) };
      try {
        const { sequence, index } = await this.#journal.append(
          aCommit(vcluster(`v${String(writer % 3)}`), { kernel }, { message }),
        );
        this.#acknowledged.push({ sequence, index, message, atMs: performance.now() });
      } catch {
        // Not acknowledged: nothing was promised.
      }
    }
  }

  async #watch(): Promise<void> {
    while (!this.#ending) {
      const askedMs = performance.now();
      try {
        const { exported_index: index, lag_seconds: lag } = await this.#journal.backupStatus();
        if (index !== null && lag !== null)
          this.#reported = { exportedIndex: index, lagSeconds: lag, askedMs };
      } catch {
        // The last report stands.
      }
      await sleep(25);
    }
  }
}

class Aftermath {
  readonly #options: DisasterOptions;
  readonly #acknowledged: readonly Acknowledged[];
  readonly #reported: Reported;

  constructor(options: DisasterOptions, acknowledged: readonly Acknowledged[], reported: Reported) {
    this.#options = options;
    this.#acknowledged = acknowledged;
    this.#reported = reported;
  }

  async check(): Promise<DisasterReport> {
    const store = await openStore(this.#options.url);
    const directory = await mkdtemp(join(tmpdir(), 'pact-disaster-'));
    try {
      const repository = new Repository(store);
      const { findings } = await verifyBackup(repository);
      if (findings.length > 0) throw new Error(`the backup is damaged: ${JSON.stringify(findings)}`);
      const entries = await this.#checkWhole(repository);
      const oldest = await oldestOf(repository);
      const targets = [
        await this.#checkSequence(repository, join(directory, 'by-sequence'), entries, oldest),
        await this.#checkTime(repository, join(directory, 'by-time'), entries, oldest),
      ];
      await requireRefused(repository, oldest);
      const lost = this.#acknowledged.filter(({ sequence }) => sequence >= entries.length).length;
      return {
        acknowledged: this.#acknowledged.length,
        restored: entries.length,
        lost,
        lagSeconds: this.#reported.lagSeconds,
        targets,
        before: oldest.entries,
      };
    } finally {
      store.close();
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** All of it, into three new nodes, which then serve it. */
  async #checkWhole(repository: Repository): Promise<readonly ConfigEntry[]> {
    const cluster = await TestCluster.prepare({ nodes: 3 });
    try {
      const members = cluster.places.map(({ id, grpc, raft, metrics }) =>
        raftMember(id, raft, grpc, metrics, ''),
      );
      const plan = await planRestore(repository, { kind: 'end' });
      const clusterId = newClusterId(plan.clusterId);
      const states: Restored[] = [];
      for (const { id, dataDir } of cluster.places) {
        states.push(
          await restoreBackup(repository, { plan, dataDir, clusterId, nodeId: id, members, learners: [] }),
        );
      }
      if (new Set(states.map(({ digest }) => digest)).size !== 1)
        throw new Error('the restored nodes differ');
      await cluster.startAll(['--cluster-id', clusterId], PATIENCE_MS);
      const entries = await readAll(cluster);
      this.#requireAcknowledged(entries);
      await requireEqualReplicas(cluster);
      return entries;
    } finally {
      await cluster.stop();
    }
  }

  #requireAcknowledged(entries: readonly ConfigEntry[]): void {
    const { exportedIndex, lagSeconds, askedMs } = this.#reported;
    for (const { sequence, index, message, atMs } of this.#acknowledged) {
      const promised = index <= exportedIndex || atMs < askedMs - lagSeconds * 1_000;
      const found = entries[sequence];
      if (found === undefined && promised)
        throw new Error(
          `entry ${String(sequence)} (${message}) is gone although it was reported as exported`,
        );
      if (found !== undefined && found.message !== message)
        throw new Error(`entry ${String(sequence)} is ${String(found.message)}, acknowledged was ${message}`);
    }
  }

  async #checkSequence(
    repository: Repository,
    dataDir: string,
    entries: readonly ConfigEntry[],
    oldest: SnapshotRecord,
  ): Promise<string> {
    const first = Math.max(0, oldest.entries - 1);
    const sequence = first + Math.floor(this.#options.random() * (entries.length - first));
    await this.#checkPoint(repository, dataDir, { kind: 'sequence', sequence }, entries[sequence]);
    return `sequence ${String(sequence)}`;
  }

  async #checkTime(
    repository: Repository,
    dataDir: string,
    entries: readonly ConfigEntry[],
    oldest: SnapshotRecord,
  ): Promise<string> {
    const first = Date.parse(oldest.entries === 0 ? (entries[0]?.timestamp ?? '') : oldest.clock);
    const last = Date.parse(entries.at(-1)?.timestamp ?? '');
    const time = new Date(first + Math.floor(this.#options.random() * (last - first))).toISOString();
    const expected = entries.findLast(({ timestamp }) => timestamp <= time);
    await this.#checkPoint(repository, dataDir, { kind: 'time', time }, expected);
    return time;
  }

  async #checkPoint(
    repository: Repository,
    dataDir: string,
    target: Target,
    last: ConfigEntry | undefined,
  ): Promise<void> {
    const plan = await planRestore(repository, target);
    const members = [raftMember(1, '127.0.0.1:1', '127.0.0.1:2', '', '')];
    const clusterId = newClusterId(plan.clusterId);
    await restoreBackup(repository, { plan, dataDir, clusterId, nodeId: 1, members, learners: [] });
    const { findings, state } = await verifyDataDirectory(dataDir);
    if (findings.length > 0) throw new Error(`what was restored is damaged: ${findings.join('; ')}`);
    if (state?.headHash !== last?.hash || state?.entryCount !== (last?.sequence ?? -1) + 1) {
      throw new Error(
        `${JSON.stringify(target)} led to ${String(state?.entryCount)} entries with head ${String(state?.headHash)}, expected ${String(last?.sequence)} with ${String(last?.hash)}`,
      );
    }
  }
}

async function oldestOf(repository: Repository): Promise<SnapshotRecord> {
  const [first] = await repository.snapshots();
  if (first === undefined) throw new Error('there is no snapshot');
  return repository.snapshot(first.key);
}

/** What was before the first snapshot is in it, but no point of its own. */
async function requireRefused(repository: Repository, oldest: SnapshotRecord): Promise<void> {
  if (oldest.entries < 2) return;
  const outcome = await planRestore(repository, { kind: 'sequence', sequence: oldest.entries - 2 }).then(
    () => 'planned',
    (error: unknown) => (isBackupError(error) ? error.code : error),
  );
  if (outcome !== 'noSuchPoint')
    throw new Error(`a point before the first snapshot: ${String(outcome)}`, { cause: outcome });
}

async function readAll(cluster: TestCluster): Promise<readonly ConfigEntry[]> {
  const journal = new JournalClient({ endpoints: cluster.places.map(({ grpc }) => grpc) });
  try {
    const entries: ConfigEntry[] = [];
    for await (const entry of journal.entries({ from_sequence: 0 as EntrySeq })) entries.push(entry);
    return entries;
  } finally {
    journal.close();
  }
}

/** All replicas say the same digest at the same index. */
async function requireEqualReplicas(cluster: TestCluster): Promise<void> {
  const journals = cluster.places.map(({ grpc }) => new JournalClient({ endpoints: [grpc] }));
  try {
    const deadline = performance.now() + PATIENCE_MS;
    for (;;) {
      const digests = await Promise.all(journals.map((journal) => journal.digest()));
      if (new Set(digests.map(({ applied_index: index }) => index)).size === 1) {
        if (new Set(digests.map(({ digest }) => digest)).size === 1) return;
        throw new Error(`the replicas differ: ${JSON.stringify(digests)}`);
      }
      if (performance.now() > deadline) throw new Error('the replicas do not come to the same index');
      await sleep(50);
    }
  } finally {
    for (const journal of journals) journal.close();
  }
}
