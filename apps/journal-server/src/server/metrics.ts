/** What Prometheus is told (https://prometheus.io/docs/practices/naming/). */
import { status } from '@grpc/grpc-js';
import type { JournalView } from '@pact-journal/journal-state';
import type { BuildReason, OverlayEvent, OverlayStats } from '@pact-journal/overlay-builder';
import type { RaftEvents } from '@pact-journal/raft-core';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ClusterFacts } from './facts.ts';

export interface MetricSources {
  readonly facts: () => ClusterFacts;
  readonly journal: () => JournalView;
  readonly overlays: () => OverlayStats;
  readonly boots: () => BootCounts;
  /** Emergencies that have outlived their window. */
  readonly staleEmergencies: () => number;
  readonly version: string;
}

export interface BootCounts {
  readonly bootsActive: number;
  readonly bootsRefused: number;
  readonly subscribers: number;
}

const LATENCY_BUCKETS = [0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const BOOT_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300];

export class ServerMetrics {
  readonly #registry = new Registry();
  readonly #calls: Counter<'method' | 'code'>;
  readonly #callSeconds: Histogram<'method'>;
  readonly #bootSeconds: Histogram;
  readonly #boots: Counter<'code'>;
  readonly #proposalSeconds: Histogram;
  readonly #appendSeconds: Histogram;
  readonly #appendBytes: Counter;
  readonly #leaderChanges: Counter;
  readonly #elections: Counter;
  readonly #snapshotSeconds: Histogram;
  readonly #overlaySeconds: Histogram;
  readonly #overlayFailures: Counter<'stage'>;

  constructor(sources: MetricSources) {
    const registers = [this.#registry];
    const counter = <Label extends string = never>(
      name: string,
      help: string,
      labelNames: Label[] = [],
    ): Counter<Label> => new Counter({ name, help, labelNames, registers });
    const histogram = <Label extends string = never>(
      name: string,
      help: string,
      buckets: number[],
      labelNames: Label[] = [],
    ): Histogram<Label> => new Histogram({ name, help, buckets, labelNames, registers });
    this.#calls = counter('pact_grpc_requests_total', 'Calls answered, by method and status code.', [
      'method',
      'code',
    ]);
    this.#callSeconds = histogram(
      'pact_grpc_request_duration_seconds',
      'Time from a call to its answer, or to the end of its stream.',
      LATENCY_BUCKETS,
      ['method'],
    );
    this.#boots = counter('pact_journal_boot_streams_total', 'Boots that have ended, by status code.', [
      'code',
    ]);
    this.#bootSeconds = histogram(
      'pact_journal_boot_stream_duration_seconds',
      'Time from a boot request to the end of its stream.',
      BOOT_BUCKETS,
    );
    this.#proposalSeconds = histogram(
      'pact_raft_proposal_duration_seconds',
      'Time from a proposal of this node to its application here.',
      LATENCY_BUCKETS,
    );
    this.#appendSeconds = histogram(
      'pact_raft_append_duration_seconds',
      'Time that a durable append to the log took, its syncs included.',
      LATENCY_BUCKETS,
    );
    this.#appendBytes = counter(
      'pact_raft_append_bytes_total',
      'Bytes of entries appended to the log of this node.',
    );
    this.#leaderChanges = counter(
      'pact_raft_leader_changes_total',
      'How often this node got to know another leader, or none.',
    );
    this.#elections = counter('pact_raft_elections_total', 'Elections that this node has stood in.');
    this.#snapshotSeconds = histogram(
      'pact_raft_snapshot_duration_seconds',
      'Time that a snapshot took until it was durable.',
      BOOT_BUCKETS,
    );
    this.#overlaySeconds = histogram(
      'pact_journal_overlay_build_duration_seconds',
      'Time that an overlay took to build, waiting included.',
      LATENCY_BUCKETS,
    );
    this.#overlayFailures = counter(
      'pact_journal_overlay_failures_total',
      'Overlays that could not be built or stored.',
      ['stage'],
    );
    registerRaftGauges(this.#registry, sources);
    registerJournalMetrics(this.#registry, sources);
    collectDefaultMetrics({ register: this.#registry });
  }

  /** The exposition, and its content type. */
  async render(): Promise<{ readonly contentType: string; readonly body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  call(method: string, code: status, durationMs: number): void {
    this.#calls.inc({ method, code: status[code] });
    this.#callSeconds.observe({ method }, durationMs / 1_000);
  }

  boot(code: string, durationMs: number): void {
    this.#boots.inc({ code });
    this.#bootSeconds.observe(durationMs / 1_000);
  }

  overlay(event: OverlayEvent): void {
    if (event.type === 'built') this.#overlaySeconds.observe(event.duration_ms / 1_000);
    else if (event.type === 'buildFailed') this.#overlayFailures.inc({ stage: 'build' });
    else if (event.type === 'storeFailed') this.#overlayFailures.inc({ stage: 'store' });
  }

  appendDurable(event: RaftEvents['appendDurable']): void {
    this.#appendSeconds.observe(event.durationMs / 1_000);
    this.#appendBytes.inc(event.bytes);
  }

  proposalApplied(event: RaftEvents['proposalApplied']): void {
    this.#proposalSeconds.observe(event.durationMs / 1_000);
  }

  leaderChanged(): void {
    this.#leaderChanges.inc();
  }

  stoodForElection(): void {
    this.#elections.inc();
  }

  snapshotSaved(event: RaftEvents['snapshotSaved']): void {
    this.#snapshotSeconds.observe(event.durationMs / 1_000);
  }
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
  watched(
    registry,
    'pact_emergency_sessions_stale',
    'Emergencies that have outlived their window and were not ended.',
    staleEmergencies,
  );
}
