/**
 * What a durable append costs before anything else is done: the journal's log, a file an append, against one growing
 * file, for one writer and for three at once on the same disk, which is what a group of three on one machine comes to.
 * `--appends N` (1,500) a writer, `--rounds N` (3), of which the medians are reported.
 */
import { join } from 'node:path';
import { mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { inChild, inDirectory } from '../journal-load/child.ts';
import { percentile, print, round } from '../report.ts';
import type { BenchReport } from '../report.ts';

const WRITER = join(import.meta.dirname, 'writer.ts');
const FORMS = ['files', 'single'] as const;
const WRITERS = [1, 3];

interface Cost {
  readonly p50_ms: number;
  readonly cpu_us: number;
}

async function measure(form: (typeof FORMS)[number], writers: number, appends: string): Promise<Cost> {
  const outcomes = await inDirectory((directory) =>
    Promise.all(
      Array.from({ length: writers }, (_, at) => {
        const own = join(directory, String(at));
        mkdirSync(own);
        return inChild(WRITER, [form, own, appends]);
      }),
    ),
  );
  const mean = (name: string): number =>
    outcomes.reduce((sum, outcome) => sum + (outcome[name] ?? 0), 0) / outcomes.length;
  return { p50_ms: mean('p50Ms'), cpu_us: mean('cpuUs') };
}

export async function run(args: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      appends: { type: 'string', default: '1500' },
      rounds: { type: 'string', default: '3' },
    },
  });
  const found = new Map<string, Cost[]>();
  for (let at = 0; at < Number(values.rounds); at += 1) {
    for (const writers of WRITERS) {
      for (const form of FORMS) {
        const cost = await measure(form, writers, values.appends);
        const key = `${form} ${String(writers)}`;
        found.set(key, [...(found.get(key) ?? []), cost]);
      }
    }
  }
  const median = (form: string, writers: number): Cost => {
    const costs = found.get(`${form} ${String(writers)}`) ?? [];
    const of = (pick: (cost: Cost) => number): number => round(percentile(costs.map(pick), 0.5));
    return { p50_ms: of(({ p50_ms }) => p50_ms), cpu_us: of(({ cpu_us }) => cpu_us) };
  };
  const ours: Record<string, Cost> = {};
  const peer: Record<string, Cost> = {};
  const ratios: Record<string, number> = {};
  for (const writers of WRITERS) {
    const [mine, theirs] = [median('files', writers), median('single', writers)];
    ours[`${String(writers)} writers`] = mine;
    peer[`${String(writers)} writers`] = theirs;
    ratios[`${String(writers)} writers p50`] = round(theirs.p50_ms / mine.p50_ms);
    print(
      `${String(writers)} at once: a file an append p50 ${String(mine.p50_ms)} ms, ${String(mine.cpu_us)} us of processor; ` +
        `one file p50 ${String(theirs.p50_ms)} ms, ${String(theirs.cpu_us)} us`,
    );
  }
  return { ours, peer, ratios };
}
