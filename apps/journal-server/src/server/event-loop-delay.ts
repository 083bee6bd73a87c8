/** How late the event loop is, in periods of its own: how often, and by how many, it is scraped changes nothing. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Gauge, type Registry } from 'prom-client';

/** As often as Prometheus usually scrapes, so that it sees nearly every period. */
const PERIOD_MS = 15_000;

/** Of one period, in seconds. */
export interface Delays {
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly stddev: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

const HELP: Readonly<Record<keyof Delays, string>> = {
  min: 'The shortest delay of the event loop',
  max: 'The longest delay of the event loop',
  mean: 'The mean delay of the event loop',
  stddev: 'The standard deviation of the delays of the event loop',
  p50: 'The 50th percentile of the delays of the event loop',
  p90: 'The 90th percentile of the delays of the event loop',
  p99: 'The 99th percentile of the delays of the event loop',
};

/** The metrics that {@link registerEventLoopDelay} makes. */
export const EVENT_LOOP_METRICS = statistics().map(metricName);

export class EventLoopDelay {
  readonly #histogram = monitorEventLoopDelay();
  #last: Delays | undefined;

  constructor(periodMs = PERIOD_MS) {
    this.#histogram.enable();
    // The histogram's own timer, due at the same time after a delay, has fired by then; a reset before it would make it
    // forget when it fired last, and with that the delay.
    setInterval(() => setImmediate(() => this.#endPeriod()), periodMs).unref();
  }

  #endPeriod(): void {
    this.#last = this.#read() ?? this.#last;
    this.#histogram.reset();
  }

  /** Of the last whole period, of the present one while it is the first; undefined before anything was measured. */
  get delays(): Delays | undefined {
    return this.#last ?? this.#read();
  }

  #read(): Delays | undefined {
    const histogram = this.#histogram;
    if (histogram.count === 0) return undefined;
    const percentile = (rank: number): number => histogram.percentile(rank) / 1e9;
    return {
      min: histogram.min / 1e9,
      max: histogram.max / 1e9,
      mean: histogram.mean / 1e9,
      stddev: histogram.stddev / 1e9,
      p50: percentile(50),
      p90: percentile(90),
      p99: percentile(99),
    };
  }
}

/** There is one event loop, however many servers run on it. */
let ofThisProcess: EventLoopDelay | undefined;

export function registerEventLoopDelay(registry: Registry): void {
  const source = (ofThisProcess ??= new EventLoopDelay());
  for (const statistic of statistics()) {
    new Gauge({
      name: metricName(statistic),
      help: `${HELP[statistic]} in the last whole ${String(PERIOD_MS / 1_000)} seconds.`,
      registers: [registry],
      collect() {
        const { delays } = source;
        if (delays !== undefined) this.set(delays[statistic]);
      },
    });
  }
}

function statistics(): readonly (keyof Delays)[] {
  return ['min', 'max', 'mean', 'stddev', 'p50', 'p90', 'p99'];
}

function metricName(statistic: keyof Delays): string {
  return `nodejs_eventloop_lag_${statistic}_seconds`;
}
