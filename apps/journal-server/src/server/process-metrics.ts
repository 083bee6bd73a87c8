/** The process itself: CPU, memory, file descriptors, garbage collection and the delay of the event loop. */
import { collectDefaultMetrics, type Registry } from 'prom-client';

/** Gauges whose names end like counters, which Prometheus' rules forbid; what they count is not needed here. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

export function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
}
