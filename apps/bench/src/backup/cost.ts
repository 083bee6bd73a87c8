/** What the export costs commits, and how far it is behind: two clusters under the same load in turn, one of them exporting. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JournalClient } from '@pact-journal/journal-client';
import { runCallers, type CallersRun } from '../commit/callers.ts';
import { benchEntry } from '../commit/entry.ts';
import { startJournal } from '../commit/journal.ts';
import { cpuSeconds } from '../commit/processes.ts';
import { percentile, print } from '../report.ts';

export interface CostFigures {
  readonly plain: Round;
  readonly exporting: Round;
  readonly lagP50Seconds: number;
  readonly lagP99Seconds: number;
}

export interface Round {
  readonly commitsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuPerThousand: number;
}

const CALLERS = 32;
const SAMPLE_MS = 50;

export async function measureCost(rounds: number, durationMs: number): Promise<CostFigures> {
  const store = mkdtempSync(join(tmpdir(), 'pact-bench-store-'));
  const plain = await startJournal({ nodes: 3 });
  const exporting = await startJournal({ nodes: 3, flags: ['--backup-url', store] });
  const clients = [plain, exporting].map(({ leader }) => new JournalClient({ endpoints: [leader] }));
  const runs: { readonly plain: Round[]; readonly exporting: Round[] } = { plain: [], exporting: [] };
  const lags: number[] = [];
  const entry = benchEntry();
  try {
    for (let round = 0; round < rounds; round += 1) {
      for (const [at, name] of (['plain', 'exporting'] as const).entries()) {
        const [client, cluster] = [clients[at], at === 0 ? plain : exporting];
        if (client === undefined) throw new Error('each cluster has a client');
        const watch = name === 'exporting' ? sampleLag(client, lags) : undefined;
        const before = cpuSeconds(cluster.pids);
        let commits = 0;
        const run: CallersRun = await runCallers(CALLERS, durationMs, (n) => {
          commits = n;
          return client.append(entry);
        });
        await watch?.();
        const cpuPerThousand = ((cpuSeconds(cluster.pids) - before) / commits) * 1_000;
        runs[name].push({ ...run, cpuPerThousand });
        print(
          `${name.padEnd(9)} ${run.commitsPerSecond.toFixed(0).padStart(6)} commits/s   p50 ${run.p50Ms.toFixed(2)} ms   ` +
            `p99 ${run.p99Ms.toFixed(2)} ms   ${cpuPerThousand.toFixed(3)} CPU s per 1,000`,
        );
      }
    }
  } finally {
    for (const client of clients) client.close();
    await Promise.all([plain.stop(), exporting.stop()]);
    rmSync(store, { recursive: true, force: true });
  }
  return {
    plain: medianOf(runs.plain),
    exporting: medianOf(runs.exporting),
    lagP50Seconds: percentile(lags, 0.5),
    lagP99Seconds: percentile(lags, 0.99),
  };
}

/** Asks for the lag until the returned function is called. */
function sampleLag(client: JournalClient, into: number[]): () => Promise<void> {
  let sampling = true;
  const work = (async () => {
    while (sampling) {
      const { lag_seconds: lag } = await client.backupStatus();
      if (lag !== null) into.push(lag);
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  })();
  return async () => {
    sampling = false;
    await work;
  };
}

function medianOf(rounds: readonly Round[]): Round {
  const median = (of: (round: Round) => number): number => percentile(rounds.map(of), 0.5);
  return {
    commitsPerSecond: median((round) => round.commitsPerSecond),
    p50Ms: median((round) => round.p50Ms),
    p99Ms: median((round) => round.p99Ms),
    cpuPerThousand: median((round) => round.cpuPerThousand),
  };
}
