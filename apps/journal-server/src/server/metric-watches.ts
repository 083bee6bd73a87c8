/** Metrics that are looked up at every scrape rather than counted as things happen. */
import type { BuildReason } from '@pact-journal/overlay-builder';
import { Gauge, type Registry } from 'prom-client';
import type { DiskFacts } from './facts.ts';
import { counted, watched } from './metric-kinds.ts';
import type { MetricSources } from './metric-sources.ts';
import { registerOperatorMetrics } from './operator-metrics.ts';

/** Registers everything that is looked up. */
export function registerWatches(registry: Registry, sources: MetricSources): void {
  registerRaftGauges(registry, sources);
  registerQueues(registry, sources);
  registerJournalMetrics(registry, sources);
  registerHostMetrics(registry, sources);
  registerOperatorMetrics(registry, sources);
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
    'Calls and connections that were not let in or not kept, handshakes on the Raft port included, by reason.',
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
