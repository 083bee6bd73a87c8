/** What every benchmark reports. */

export type Figures = Readonly<Record<string, unknown>>;

export interface BenchReport {
  readonly ours: Figures;
  /** The same measured on what a user would otherwise pick; null where nothing can be run here. */
  readonly peer: Figures | null;
  /** Above 1 ours is better. */
  readonly ratios: Readonly<Record<string, number>>;
}

/** One line for the person who watches. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Rounds to a figure that is worth reading. */
export function round(value: number, digits = 3): number {
  return value === 0 || !Number.isFinite(value) ? value : Number(value.toPrecision(digits));
}

/** `1234567` as `1,234,567`. */
export function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** The value below which `share` of the samples lie. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
