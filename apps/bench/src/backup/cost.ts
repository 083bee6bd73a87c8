/**
 * What the export costs commits, and how far it is behind: two clusters under the same load, one of them exporting, asked
 * for their status equally often. They take turns, and who begins alternates, so that what drifts (the machine, the length
 * of the journals) falls on both alike; fresh clusters now and then, so that the luck of one process does.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JournalClient } from '@pact-journal/journal-client';
import { runCallers, type CallersRun } from '../commit/callers.ts';
import { benchEntry } from '../commit/entry.ts';
import { startJournal, type JournalCluster } from '../commit/journal.ts';
import { cpuSeconds } from '../commit/processes.ts';
import { percentile, print } from '../report.ts';

export interface CostOptions {
  /** Pairs of clusters, one after the other. */
  readonly clusters: number;
  /** Turns that each cluster of a pair gets. */
  readonly rounds: number;
  readonly durationMs: number;
}

export interface CostFigures {
  /** Medians of all turns. */
  readonly plain: Turn;
  readonly exporting: Turn;
  /** Medians of what exporting adds to the turn beside it, as shares: 0.05 is 5 % more. */
  readonly added: Turn;
  readonly lagP50Seconds: number;
  readonly lagP99Seconds: number;
}

export interface Turn {
  readonly commitsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuPerThousand: number;
}

interface Pair {
  readonly plain: Turn;
  readonly exporting: Turn;
}

interface Side {
  readonly name: keyof Pair;
  readonly cluster: JournalCluster;
  readonly client: JournalClient;
}

const CALLERS = 32;
const SAMPLE_MS = 250;

export async function measureCost({ clusters, rounds, durationMs }: CostOptions): Promise<CostFigures> {
  const pairs: Pair[] = [];
  const lags: number[] = [];
  for (let at = 0; at < clusters; at += 1) {
    await withClusters(async (plain, exporting) => {
      for (let round = 0; round < rounds; round += 1) {
        const turns: Partial<Record<keyof Pair, Turn>> = {};
        for (const side of (at + round) % 2 === 0 ? [plain, exporting] : [exporting, plain])
          turns[side.name] = await takeTurn(side, durationMs, lags);
        if (turns.plain === undefined || turns.exporting === undefined)
          throw new Error('each side has its turn');
        pairs.push({ plain: turns.plain, exporting: turns.exporting });
      }
    });
  }
  return {
    plain: medianOf(pairs.map(({ plain }) => plain)),
    exporting: medianOf(pairs.map(({ exporting }) => exporting)),
    added: medianOf(pairs.map(addedIn)),
    lagP50Seconds: percentile(lags, 0.5),
    lagP99Seconds: percentile(lags, 0.99),
  };
}

async function withClusters(use: (plain: Side, exporting: Side) => Promise<void>): Promise<void> {
  const store = mkdtempSync(join(tmpdir(), 'pact-bench-store-'));
  const started: Side[] = [];
  const start = async (name: keyof Pair, flags: readonly string[]): Promise<Side> => {
    const cluster = await startJournal({ nodes: 3, flags });
    const side = { name, cluster, client: new JournalClient({ endpoints: [cluster.leader] }) };
    started.push(side);
    return side;
  };
  try {
    await use(await start('plain', []), await start('exporting', ['--backup-url', store]));
  } finally {
    for (const { client } of started) client.close();
    await Promise.all(started.map(({ cluster }) => cluster.stop()));
    rmSync(store, { recursive: true, force: true });
  }
}

async function takeTurn({ name, cluster, client }: Side, durationMs: number, lags: number[]): Promise<Turn> {
  const entry = benchEntry();
  const endSampling = sampleLag(client, lags);
  const before = cpuSeconds(cluster.pids);
  let commits = 0;
  const run: CallersRun = await runCallers(CALLERS, durationMs, (n) => {
    commits = n;
    return client.append(entry);
  });
  const cpuPerThousand = ((cpuSeconds(cluster.pids) - before) / commits) * 1_000;
  await endSampling();
  print(
    `${name.padEnd(9)} ${run.commitsPerSecond.toFixed(0).padStart(6)} commits/s   p50 ${run.p50Ms.toFixed(2)} ms   ` +
      `p99 ${run.p99Ms.toFixed(2)} ms   ${cpuPerThousand.toFixed(3)} CPU s per 1,000`,
  );
  return { ...run, cpuPerThousand };
}

/** Asks for the lag until the returned function is called; a cluster that does not export has none to tell. */
function sampleLag(client: JournalClient, into: number[]): () => Promise<void> {
  const done = new AbortController();
  const work = (async () => {
    while (!done.signal.aborted) {
      const { lag_seconds: lag } = await client.backupStatus();
      if (lag !== null) into.push(lag);
      await new Promise((resolve) => setTimeout(resolve, SAMPLE_MS));
    }
  })();
  return async () => {
    done.abort();
    await work;
  };
}

function addedIn({ plain, exporting }: Pair): Turn {
  const added = (of: keyof Turn): number => exporting[of] / plain[of] - 1;
  return {
    commitsPerSecond: added('commitsPerSecond'),
    p50Ms: added('p50Ms'),
    p99Ms: added('p99Ms'),
    cpuPerThousand: added('cpuPerThousand'),
  };
}

function medianOf(turns: readonly Turn[]): Turn {
  const median = (of: keyof Turn): number =>
    percentile(
      turns.map((turn) => turn[of]),
      0.5,
    );
  return {
    commitsPerSecond: median('commitsPerSecond'),
    p50Ms: median('p50Ms'),
    p99Ms: median('p99Ms'),
    cpuPerThousand: median('cpuPerThousand'),
  };
}
