/** Metrics that are looked up at every scrape rather than counted as things happen. */
import type { JournalView } from '@pact-journal/journal-state';
import type { BuildReason, OverlayStats } from '@pact-journal/overlay-builder';
import type { RaftStatus } from '@pact-journal/raft-core';
import { Counter, Gauge, type Registry } from 'prom-client';
import type { ClusterFacts, DiskFacts } from './facts.ts';

export interface MetricSources {
  readonly facts: () => ClusterFacts;
  readonly raft: () => RaftStatus;
  readonly journal: () => JournalView;
  readonly overlays: () => OverlayStats;
  readonly boots: () => BootCounts;
  /** Emergencies that have outlived their window. */
  readonly staleEmergencies: () => number;
  /** Callers at the Raft port that were not let in, by what did not fit. */
  readonly callerRefusals: () => Readonly<Record<string, number>>;
  /** Calls and connections at the client port that were not let in, by reason. */
  readonly authFailures: () => ReadonlyMap<string, number>;
  readonly disk: () => Promise<DiskFacts | undefined>;
  readonly version: string;
}

export interface BootCounts {
  readonly bootsActive: number;
  readonly bootsRefused: number;
  readonly subscribers: number;
  /** Subscribers that fell behind and were told from where to resume. */
  readonly cutOff: number;
}

/** Registers everything that is looked up. */
export function registerWatches(registry: Registry, sources: MetricSources): void {
  registerRaftGauges(registry, sources);
  registerQueues(registry, sources);
  registerJournalMetrics(registry, sources);
  registerHostMetrics(registry, sources);
}

function registerHostMetrics(
  registry: Registry,
  { callerRefusals, authFailures, disk }: MetricSources,
): void {
  counted(
    registry,
    'pact_raft_callers_refused_total',
    'Callers at the Raft port that were not let in, by what did not fit.',
    ['reason'],
    (counter) => {
      for (const [reason, count] of Object.entries(callerRefusals())) counter.inc({ reason }, count);
    },
  );
  counted(
    registry,
    'pact_auth_failures_total',
    'Calls and connections at the client port that were not let in, by reason.',
    ['reason'],
    (counter) => {
      for (const [reason, count] of authFailures()) counter.inc({ reason }, count);
    },
  );
  const gauge = (name: string, help: string, bytes: (facts: DiskFacts) => number): void => {
    const registered: Gauge = new Gauge({
      name,
      help,
      registers: [registry],
      collect: async () => {
        const facts = await disk();
        if (facts !== undefined) registered.set(bytes(facts));
      },
    });
  };
  gauge('pact_disk_used_bytes', 'Bytes that the data directory takes.', ({ usedBytes }) => usedBytes);
  gauge(
    'pact_disk_free_bytes',
    'Bytes that the journal may still take on its file system.',
    (facts) => facts.freeBytes,
  );
  gauge(
    'pact_disk_size_bytes',
    'Bytes of the file system below the data directory.',
    (facts) => facts.totalBytes,
  );
}

/** A gauge whose value is looked up at every scrape. */
function watched(registry: Registry, name: string, help: string, value: () => number): void {
  const gauge: Gauge = new Gauge({ name, help, registers: [registry], collect: () => gauge.set(value()) });
}

/** A counter that something else counts, looked up at every scrape. */
function counted<Label extends string = never>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: Label[],
  add: (counter: Counter<Label>) => void,
): void {
  const counter: Counter<Label> = new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect: () => {
      counter.reset();
      add(counter);
    },
  });
}

function registerRaftGauges(registry: Registry, { facts, version }: MetricSources): void {
  watched(registry, 'pact_raft_leader', '1 on the leader, 0 on others.', () =>
    facts().role === 'leader' ? 1 : 0,
  );
  watched(registry, 'pact_raft_term', 'Raft term.', () => facts().term);
  watched(registry, 'pact_raft_has_leader', '1 while this node knows a leader.', () =>
    facts().leaderId === 0 ? 0 : 1,
  );
  watched(
    registry,
    'pact_raft_log_entries',
    'Entries in the Raft log of this node.',
    () => facts().lastIndex - facts().firstIndex + 1,
  );
  watched(
    registry,
    'pact_raft_commit_index',
    'Highest log index known to be committed.',
    () => facts().commitIndex,
  );
  watched(registry, 'pact_raft_applied_index', 'Highest log index applied here.', () => facts().appliedIndex);
  watched(
    registry,
    'pact_raft_snapshot_index',
    'Log index of the newest snapshot of this node; 0 for none.',
    () => facts().snapshotIndex,
  );
  watched(
    registry,
    'pact_raft_members',
    'Members of the group, learners included.',
    () => facts().members.length,
  );
  const lag: Gauge<'follower'> = new Gauge({
    name: 'pact_raft_replication_lag',
    help: 'Log entries that a follower lacks. Only the leader has values.',
    labelNames: ['follower'],
    registers: [registry],
    collect: () => {
      const now = facts();
      lag.reset();
      for (const member of now.members) {
        if (member.id === now.nodeId || member.matchIndex === undefined) continue;
        lag.set({ follower: String(member.id) }, Math.max(0, now.lastIndex - member.matchIndex));
      }
    },
  });
  const build = new Gauge({
    name: 'pact_build_info',
    help: 'Always 1; the labels say what runs.',
    labelNames: ['version', 'node_version'],
    registers: [registry],
  });
  build.set({ version, node_version: process.versions.node }, 1);
}

/** What waits in this node; each queue is bounded, so a full one is what an operator wants to see coming. */
function registerQueues(registry: Registry, { raft }: MetricSources): void {
  const queues: Gauge<'queue'> = new Gauge({
    name: 'pact_raft_queue_bytes',
    help: 'Bytes that wait in this node: proposals, received messages, appends to the log, entries to apply.',
    labelNames: ['queue'],
    registers: [registry],
    collect: () => {
      const { proposalsBytes, inboxBytes, appendBytes, applyBytes } = raft().queues;
      queues.set({ queue: 'proposals' }, proposalsBytes);
      queues.set({ queue: 'inbox' }, inboxBytes);
      queues.set({ queue: 'append' }, appendBytes);
      queues.set({ queue: 'apply' }, applyBytes);
    },
  });
  watched(
    registry,
    'pact_raft_snapshot_size_bytes',
    'Size of the newest snapshot, all of its chunks included.',
    () => raft().snapshot?.sizeBytes ?? 0,
  );
  counted(
    registry,
    'pact_raft_dropped_messages_total',
    'Received Raft messages that found their queue full.',
    [],
    (counter) => {
      counter.inc(raft().droppedMessages);
    },
  );
}

function registerJournalMetrics(
  registry: Registry,
  { journal, overlays, boots, staleEmergencies }: MetricSources,
): void {
  counted(registry, 'pact_journal_entries_total', 'Entries in the journal.', [], (counter) => {
    counter.inc(journal().entryCount);
  });
  counted(registry, 'pact_journal_operations_total', 'Operations in the audit log.', [], (counter) => {
    counter.inc(journal().operationCount);
  });
  counted(
    registry,
    'pact_journal_overlay_builds_total',
    'Overlays built by this node, by what made it build.',
    ['reason'],
    (counter) => {
      const { builds } = overlays();
      for (const reason of Object.keys(builds) as BuildReason[]) counter.inc({ reason }, builds[reason]);
    },
  );
  watched(
    registry,
    'pact_journal_overlays_stale',
    'Virtual clusters whose stored overlay is missing or older than their configuration.',
    () => overlays().stale,
  );
  watched(registry, 'pact_journal_boot_streams_active', 'Boots being streamed.', () => boots().bootsActive);
  watched(registry, 'pact_journal_subscribers_active', 'Live subscriptions.', () => boots().subscribers);
  counted(
    registry,
    'pact_journal_boot_refusals_total',
    'Boots that found too many others being streamed.',
    [],
    (counter) => {
      counter.inc(boots().bootsRefused);
    },
  );
  counted(
    registry,
    'pact_journal_subscribers_cut_off_total',
    'Subscribers that fell behind and were cut off.',
    [],
    (counter) => {
      counter.inc(boots().cutOff);
    },
  );
  watched(
    registry,
    'pact_emergency_sessions_stale',
    'Emergencies that have outlived their window and were not ended.',
    staleEmergencies,
  );
}
