/** What a boot storm measures. */

/** The storm's outcome, as `--json` prints it. */
export interface StormReport {
  readonly nodes: number;
  readonly succeeded: number;
  readonly failed: number;
  /** From the first request to the last answer. */
  readonly duration_s: number;
  /** Of those that succeeded. */
  readonly boots_per_s: number;
  /** Payload received, in megabytes (10^6 bytes). */
  readonly mb_per_s: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly max_ms: number;
  /** How many failed with which gRPC status, or `CORRUPT` where the payload was not what it must be. */
  readonly failures: Readonly<Record<string, number>>;
}

/** Collects outcomes while a storm goes on. */
export class StormStatistics {
  readonly #latenciesMs: number[] = [];
  readonly #failures = new Map<string, number>();
  readonly #examples = new Map<string, string>();
  #bytes = 0;
  #failed = 0;

  success(latencyMs: number, sizeBytes: number): void {
    this.#latenciesMs.push(latencyMs);
    this.#bytes += sizeBytes;
  }

  failure(code: string, message: string): void {
    this.#failed += 1;
    this.#failures.set(code, (this.#failures.get(code) ?? 0) + 1);
    if (!this.#examples.has(code)) this.#examples.set(code, message);
  }

  get done(): number {
    return this.#latenciesMs.length + this.#failed;
  }

  get failed(): number {
    return this.#failed;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The first message of each kind of failure. */
  get examples(): ReadonlyMap<string, string> {
    return this.#examples;
  }

  report(durationMs: number): StormReport {
    const latencies = Float64Array.from(this.#latenciesMs).sort();
    const seconds = durationMs / 1000;
    return {
      nodes: this.done,
      succeeded: latencies.length,
      failed: this.#failed,
      duration_s: round(seconds, 3),
      boots_per_s: seconds > 0 ? round(latencies.length / seconds, 1) : 0,
      mb_per_s: seconds > 0 ? round(this.#bytes / 1e6 / seconds, 2) : 0,
      p50_ms: round(percentile(latencies, 0.5), 2),
      p99_ms: round(percentile(latencies, 0.99), 2),
      max_ms: round(latencies.at(-1) ?? 0, 2),
      failures: Object.fromEntries([...this.#failures].sort(([a], [b]) => (a < b ? -1 : 1))),
    };
  }
}

/** Nearest rank; 0 for no values. `sorted` ascending. */
export function percentile(sorted: ArrayLike<number>, fraction: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * fraction) - 1)] ?? 0;
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
