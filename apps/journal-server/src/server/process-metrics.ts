/** The process itself: CPU, memory, file descriptors, garbage collection and the delay of the event loop. */
import { collectDefaultMetrics, type Registry } from 'prom-client';
import { EVENT_LOOP_METRICS, registerEventLoopDelay } from './event-loop-delay.ts';

/** Gauges whose names end like counters, which Prometheus' rules forbid; what they count is not needed here. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

export function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  // Theirs start anew with each scrape, so that a second Prometheus would take from the first what it had to see.
  for (const name of [...MISNAMED, ...EVENT_LOOP_METRICS]) registry.removeSingleMetric(name);
  registerEventLoopDelay(registry);
}
