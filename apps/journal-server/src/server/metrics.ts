/** What Prometheus is told (https://prometheus.io/docs/practices/naming/). */
import { status } from '@grpc/grpc-js';
import type { OverlayEvent } from '@pact-journal/overlay-builder';
import { isNotLeaderError, isRaftError, type RaftEvents } from '@pact-journal/raft-core';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { EntryType, StateChanges } from '@pact-journal/journal-state';
import type { LokiObserver } from '../loki/index.ts';
import { lokiMetrics } from './loki-metrics.ts';
import { counted } from './metric-kinds.ts';
import type { MetricSources } from './metric-sources.ts';
import { registerWatches } from './metric-watches.ts';
import { collectProcessMetrics } from './process-metrics.ts';

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
  readonly #snapshotTime: Gauge;
  readonly #overlaySeconds: Histogram;
  readonly #overlayFailures: Counter<'stage'>;
  readonly #failedProposals: Counter<'reason'>;
  readonly #applied = new Map<EntryType, number>();
  readonly loki: LokiObserver;

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
    this.#snapshotTime = new Gauge({
      name: 'pact_raft_snapshot_timestamp_seconds',
      help: 'When the newest snapshot of this node was taken, in seconds since 1970; 0 where there is none.',
      registers,
    });
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
    this.#failedProposals = counter(
      'pact_raft_failed_proposals_total',
      'Proposals of this node that were not applied, by why: overloaded ones found the queue full.',
      ['reason'],
    );
    for (const reason of ['overloaded', 'notCommitted', 'outcomeUnknown'])
      this.#failedProposals.inc({ reason }, 0);
    counted(
      this.#registry,
      'pact_journal_entries_applied_total',
      'Entries that this node has applied since it was started, by type.',
      ['entry_type'],
      (applied) => {
        for (const [entry_type, count] of this.#applied) applied.inc({ entry_type }, count);
      },
    );
    this.loki = lokiMetrics(this.#registry);
    registerWatches(this.#registry, sources);
    collectProcessMetrics(this.#registry);
  }

  /** Adds metrics of another part. */
  add(register: (registry: Registry) => void): void {
    register(this.#registry);
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

  proposalFailed(error: unknown): void {
    // Those go on to the leader and do not fail.
    if (isNotLeaderError(error)) return;
    this.#failedProposals.inc({ reason: isRaftError(error) ? error.code : 'other' });
  }

  /** To be told of every applied command. Cheap: it is on the way of every commit. */
  changed(changes: readonly StateChanges[]): void {
    for (const { entry } of changes) {
      if (entry === undefined) continue;
      this.#applied.set(entry.entry_type, (this.#applied.get(entry.entry_type) ?? 0) + 1);
    }
  }

  leaderChanged(): void {
    this.#leaderChanges.inc();
  }

  stoodForElection(): void {
    this.#elections.inc();
  }

  snapshotSaved(event: RaftEvents['snapshotSaved']): void {
    this.#snapshotSeconds.observe(event.durationMs / 1_000);
    this.snapshotOf(Date.now());
  }

  /** When the newest snapshot was taken, in milliseconds since 1970. */
  snapshotOf(timeMs: number): void {
    this.#snapshotTime.set(timeMs / 1_000);
  }
}
