/** Concurrent callers in one Node program, each waiting for its own durable acknowledgement before it goes on. */
import { percentile } from '../report.ts';

export interface CallersRun {
  readonly commitsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Runs `commit` over and over from `callers` callers for `durationMs`, after a warm-up of a fifth of that. */
export async function runCallers(
  callers: number,
  durationMs: number,
  commit: (n: number) => Promise<unknown>,
): Promise<CallersRun> {
  const latencies: number[] = [];
  const measureFrom = performance.now() + durationMs / 5;
  const end = measureFrom + durationMs;
  let count = 0;
  const caller = async () => {
    for (;;) {
      const started = performance.now();
      if (started >= end) return;
      await commit((count += 1));
      const finished = performance.now();
      if (started >= measureFrom && finished < end) latencies.push(finished - started);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return {
    commitsPerSecond: latencies.length / (durationMs / 1000),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };
}
