/** What is told about pushes to Loki. */
import { Counter, Histogram, type Registry } from 'prom-client';
import type { LokiObserver } from '../loki/index.ts';

const PUSH_BUCKETS = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Registers the counters; they stay at 0 where no Loki is configured and on nodes that do not lead. */
export function lokiMetrics(registry: Registry): LokiObserver {
  const registers = [registry];
  const pushes = new Counter({
    name: 'pact_loki_pushes_total',
    help: 'Requests to Loki by this node, by HTTP status; `unreachable` where there was none in time.',
    labelNames: ['code'],
    registers,
  });
  const seconds = new Histogram({
    name: 'pact_loki_push_duration_seconds',
    help: 'Time that a request to Loki took.',
    buckets: PUSH_BUCKETS,
    registers,
  });
  const entries = new Counter({
    name: 'pact_loki_entries_total',
    help: 'Journal entries that Loki has taken from this node, repetitions after a change of leader included.',
    registers,
  });
  const skipped = new Counter({
    name: 'pact_loki_skipped_entries_total',
    help: 'Journal entries that were left out, because Loki refused them or would for their age.',
    labelNames: ['reason'],
    registers,
  });
  for (const reason of ['refused', 'too_old']) skipped.inc({ reason }, 0);
  return {
    pushed: (code, durationMs) => {
      pushes.inc({ code });
      seconds.observe(durationMs / 1_000);
    },
    shipped: (count) => {
      entries.inc(count);
    },
    skipped: (reason, count) => {
      skipped.inc({ reason }, count);
    },
  };
}
