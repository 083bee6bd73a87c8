/** What a snapshot costs when 10,000 entries are new, with so many in the journal already. */
import { inDirectory, sizesOf } from '../journal-load/child.ts';
import { print, round, thousands } from '../report.ts';
import type { BenchReport } from '../report.ts';
import { snapshotInChild } from './store.ts';

const NEW_ENTRIES = 10_000;

export async function run(args: readonly string[]): Promise<BenchReport> {
  const ours: Record<string, unknown> = {};
  const measured: { readonly ms: number; readonly bytes: number }[] = [];
  for (const entries of sizesOf(args)) {
    const result = await inDirectory((directory) => snapshotInChild(entries, NEW_ENTRIES, directory));
    const figures = {
      ms: round(result['nextMs'] ?? 0),
      written_mb: round((result['nextWrittenBytes'] ?? 0) / 1e6),
      longest_stall_ms: round(result['nextStallMs'] ?? 0),
      peak_mb: Math.round((result['peakBytes'] ?? 0) / 1e6),
      chunks: result['chunks'],
      manifest_mb: round((result['manifestBytes'] ?? 0) / 1e6),
      first_s: round((result['firstMs'] ?? 0) / 1000),
      first_written_mb: round((result['firstWrittenBytes'] ?? 0) / 1e6),
      first_longest_stall_ms: round(result['firstStallMs'] ?? 0),
    };
    ours[String(entries)] = figures;
    measured.push({ ms: result['nextMs'] ?? 0, bytes: result['nextWrittenBytes'] ?? 0 });
    print(
      `${thousands(entries)} entries and ${thousands(NEW_ENTRIES)} new: ${figures.ms} ms, ${figures.written_mb} MB written, longest stall ${figures.longest_stall_ms} ms, peak memory ${figures.peak_mb} MB (the first: ${figures.first_s} s, ${figures.first_written_mb} MB, stall ${figures.first_longest_stall_ms} ms)`,
    );
  }
  const [smallest, largest] = [measured[0], measured.at(-1)];
  if (smallest === undefined || largest === undefined || smallest === largest)
    return { ours, peer: null, ratios: {} };
  // Against a snapshot that costs what exists, the smallest journal would be cheaper by its size.
  const ratios = {
    time_small_to_large: round(smallest.ms / largest.ms),
    bytes_small_to_large: round(smallest.bytes / largest.bytes),
  };
  print(
    `the largest journal's snapshot takes ${round(1 / ratios.time_small_to_large)} times the time and ${round(1 / ratios.bytes_small_to_large)} times the bytes of the smallest's`,
  );
  return { ours, peer: null, ratios };
}
