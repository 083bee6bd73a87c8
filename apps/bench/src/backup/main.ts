/**
 * Backups: what a full one takes, what a second one adds, how fast it is restored; how far the export is behind under
 * load and what it costs commits; what comparing replicas costs. `--entries N` (1,000,000), `--added N` (1,000),
 * `--clusters N` (3 pairs of them), `--rounds N` (5 turns a cluster), `--seconds N` (3 a turn) and `--only full|cost`.
 */
import { parseArgs } from 'node:util';
import { inDirectory } from '../journal-load/child.ts';
import { print, round, thousands, type BenchReport } from '../report.ts';
import { measureCost } from './cost.ts';
import { measureDigest } from './digest.ts';
import { measureFull } from './full.ts';

export async function run(args: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: args.filter((arg) => arg !== '--json' && arg !== '--'),
    options: {
      entries: { type: 'string', default: '1000000' },
      added: { type: 'string', default: '1000' },
      clusters: { type: 'string', default: '3' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      only: { type: 'string' },
    },
  });
  const ours: Record<string, unknown> = {};
  const ratios: Record<string, number> = {};
  const { applyUs, digestUs } = measureDigest();
  ours['digest'] = { apply_us: round(applyUs), digest_us: round(digestUs) };
  print(
    `applying a command takes ${String(round(applyUs))} us, a digest, taken every 256 of them and each second, ${String(round(digestUs))} us: ${String(round((100 * digestUs) / (256 * applyUs)))} %`,
  );
  if (values.only !== 'full') {
    const { plain, exporting, added, lagP50Seconds, lagP99Seconds } = await measureCost({
      clusters: Number(values.clusters),
      rounds: Number(values.rounds),
      durationMs: Number(values.seconds) * 1_000,
    });
    ours['cost'] = {
      plain,
      exporting,
      added,
      lag_p50_s: round(lagP50Seconds),
      lag_p99_s: round(lagP99Seconds),
    };
    ratios['commit p50 without to with export'] = round(1 / (1 + added.p50Ms));
    ratios['commit p99 without to with export'] = round(1 / (1 + added.p99Ms));
    const percent = (of: keyof typeof added): string =>
      `${added[of] < 0 ? '' : '+'}${(100 * added[of]).toFixed(1)} %`;
    print(
      `the export costs the median commit ${percent('p50Ms')} (of ${plain.p50Ms.toFixed(2)} ms), ` +
        `the 99th percentile ${percent('p99Ms')}, throughput ${percent('commitsPerSecond')}, CPU time a commit ` +
        `${percent('cpuPerThousand')} (medians of pairs of turns); lag under load: p50 ${String(round(lagP50Seconds))} s, ` +
        `p99 ${String(round(lagP99Seconds))} s`,
    );
  }
  if (values.only !== 'cost') {
    const [entries, added] = [Number(values.entries), Number(values.added)];
    const full = await inDirectory((directory) => measureFull(entries, added, directory));
    const share = full.secondBytes / full.firstBytes;
    ours['full'] = {
      entries,
      first_mb: round(full.firstBytes / 1e6),
      first_s: round(full.firstSeconds),
      second_mb: round(full.secondBytes / 1e6),
      second_s: round(full.secondSeconds),
      second_share_percent: round(share * 100),
      restore_s: round(full.restoreSeconds),
      restored_entries_per_s: Math.round(entries / full.restoreSeconds),
    };
    ratios['bytes of the first to the second'] = round(1 / share);
    print(
      `${thousands(entries)} entries: first backup ${String(round(full.firstBytes / 1e6))} MB in ${String(round(full.firstSeconds))} s, ` +
        `a second one after ${thousands(added)} more ${String(round(full.secondBytes / 1e6))} MB (${String(round(share * 100))} %), ` +
        `restored in ${String(round(full.restoreSeconds))} s (${thousands(entries / full.restoreSeconds)} entries/s)`,
    );
  }
  return { ours, peer: null, ratios };
}
