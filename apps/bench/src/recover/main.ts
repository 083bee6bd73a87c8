/** How long a node takes from its start until it serves reads, with so many entries in its journal. */
import { inDirectory, sizesOf } from '../journal-load/child.ts';
import { print, round, thousands } from '../report.ts';
import type { BenchReport } from '../report.ts';
import { loadInChild, openInChild } from './node.ts';

export async function run(args: readonly string[]): Promise<BenchReport> {
  const ours: Record<string, unknown> = {};
  for (const entries of sizesOf(args)) {
    await inDirectory(async (directory) => {
      const filled = await loadInChild(directory, entries);
      const opened = await openInChild(directory, entries);
      const figures = {
        ready_s: round((opened['ms'] ?? 0) / 1000),
        peak_mb: Math.round((opened['peakBytes'] ?? 0) / 1e6),
        longest_stall_ms: round(opened['stallMs'] ?? 0),
        load_s: round(filled['seconds'] ?? 0),
        load_written_mb: Math.round((filled['writtenBytes'] ?? 0) / 1e6),
      };
      ours[String(entries)] = figures;
      print(
        `${thousands(entries)} entries: ready in ${figures.ready_s} s, peak memory ${figures.peak_mb} MB, longest stall ${figures.longest_stall_ms} ms (filled in ${figures.load_s} s, ${figures.load_written_mb} MB written)`,
      );
    });
  }
  return { ours, peer: null, ratios: {} };
}
