/**
 * `storm`: 10,000 nodes boot on 1,000 connections from one journal server (a group of one: it orders and serves), by
 * the `storm` command on the same machine, which gives way to the server where both want the same core. This process
 * commits meanwhile, as administrators do: at a steady pace that does not wait for answers, so that a stall shows in
 * every commit that falls into it. A commit counts from when it was sent; how late this process was at sending, because
 * it did not get a core in time, is told apart. What the storm took, what commits waited, and the most memory that the
 * server had.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs, promisify } from 'node:util';
import { JournalClient } from '@pact-journal/journal-client';
import { parseNewEntry, parseStateDelta } from '@pact-journal/journal-state';
import { CLI, startJournal } from '../commit/journal.ts';
import { cpuSeconds } from '../commit/processes.ts';
import { percentile, print, round } from '../report.ts';
import type { BenchReport } from '../report.ts';

const VCLUSTER = 'storm';
/** Incompressible, about as much as the overlay of a large virtual cluster. */
const OVERLAY_BYTES = 150_000;
/** Commits become due this far apart: enough of them that a p99 is not the worst one alone. */
const COMMIT_INTERVAL_MS = 10;
/** Connections that the commits go by in turn. */
const COMMITTERS = 4;

/** What `storm --json` prints, as far as it is used here. */
interface StormReport {
  readonly succeeded: number;
  readonly failed: number;
  readonly duration_s: number;
  readonly boots_per_s: number;
  readonly p99_ms: number;
}

async function commit(journal: JournalClient, vcluster: string, key: string, value: string): Promise<void> {
  const entry = parseNewEntry({
    entry_type: 'Commit',
    scope: { VCluster: vcluster },
    author: { principal: 'bench', principal_type: 'Service', role: 'pact-platform-admin' },
    state_delta: parseStateDelta({ kernel: [{ action: 'Add', key, value }] }),
  });
  await journal.append(entry);
}

interface Commits {
  /** From sending a commit to its acknowledgement. */
  readonly waitsMs: number[];
  /** The longest that this process took to send a commit that was due. */
  lateMsMax: number;
}

/** Commits elsewhere at a steady pace until `isOver`. */
async function commitMeanwhile(journals: readonly JournalClient[], isOver: () => boolean): Promise<Commits> {
  const commits: Commits = { waitsMs: [], lateMsMax: 0 };
  const underWay: Promise<void>[] = [];
  const commitOne = async (journal: JournalClient, n: number): Promise<void> => {
    const sentMs = performance.now();
    await commit(journal, 'elsewhere', 'kernel.change', String(n));
    commits.waitsMs.push(performance.now() - sentMs);
  };
  const startedMs = performance.now();
  for (let n = 0; !isOver(); n += 1) {
    const dueMs = startedMs + n * COMMIT_INTERVAL_MS;
    const earlyMs = dueMs - performance.now();
    if (earlyMs > 0) await new Promise((resolve) => setTimeout(resolve, earlyMs));
    commits.lateMsMax = Math.max(commits.lateMsMax, performance.now() - dueMs);
    const journal = journals[n % journals.length];
    if (journal !== undefined) underWay.push(commitOne(journal, n));
  }
  await Promise.all(underWay);
  return commits;
}

async function storm(endpoint: string, nodes: string, concurrency: string): Promise<StormReport> {
  const args = [CLI, 'storm', '--vcluster', VCLUSTER, '--nodes', nodes, '--concurrency', concurrency];
  const { stdout } = await promisify(execFile)(process.execPath, [...args, '--json', '--endpoint', endpoint]);
  return JSON.parse(stdout) as StormReport;
}

function peakMib(pid: number): number {
  const status = readFileSync(`/proc/${String(pid)}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

export async function run(args: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      nodes: { type: 'string', default: '10000' },
      concurrency: { type: 'string', default: '1000' },
    },
  });
  const cluster = await startJournal({ nodes: 1 });
  const journals = Array.from(
    { length: COMMITTERS },
    () => new JournalClient({ endpoints: [cluster.leader] }),
  );
  try {
    await Promise.all(
      journals.map((journal, at) => commit(journal, 'elsewhere', 'kernel.first', String(at))),
    );
    const payload = randomBytes(OVERLAY_BYTES * 0.75).toString('base64');
    await Promise.all(
      journals.slice(0, 1).map((journal) => commit(journal, VCLUSTER, 'kernel.payload', payload)),
    );
    const calm = await commitMeanwhile(journals, stopAfterMs(2_000));
    const cpuBefore = cpuSeconds(cluster.pids);
    let over = false;
    const storming = storm(cluster.leader, values.nodes, values.concurrency).finally(() => (over = true));
    const [report, { waitsMs: waits, lateMsMax }] = await Promise.all([
      storming,
      commitMeanwhile(journals, () => over),
    ]);
    const serverCpuS = cpuSeconds(cluster.pids) - cpuBefore;
    const ours = {
      boots: report.succeeded,
      failed: report.failed,
      duration_s: round(report.duration_s),
      boots_per_s: round(report.boots_per_s),
      boot_p99_ms: round(report.p99_ms),
      commits: waits.length,
      commit_p50_ms: round(percentile(waits, 0.5)),
      commit_p99_ms: round(percentile(waits, 0.99)),
      commit_max_ms: round(Math.max(...waits)),
      commit_sent_late_max_ms: round(lateMsMax),
      commit_p99_ms_calm: round(percentile(calm.waitsMs, 0.99)),
      server_peak_mib: round(peakMib(cluster.pids[0] ?? 0)),
      server_cpu_s: round(serverCpuS),
    };
    print(
      `${String(ours.boots)} boots in ${String(ours.duration_s)} s, ${String(ours.failed)} failed; the server had at most ${String(ours.server_peak_mib)} MiB and took ${String(ours.server_cpu_s)} s of CPU time`,
    );
    print(
      `${String(ours.commits)} commits meanwhile, one every ${String(COMMIT_INTERVAL_MS)} ms from a process of its own: p50 ${String(ours.commit_p50_ms)} ms, p99 ${String(ours.commit_p99_ms)} ms, the slowest ${String(ours.commit_max_ms)} ms; p99 without boots ${String(ours.commit_p99_ms_calm)} ms; sent at most ${String(ours.commit_sent_late_max_ms)} ms late`,
    );
    return { ours, peer: null, ratios: {} };
  } finally {
    for (const journal of journals) journal.close();
    await cluster.stop();
  }
}

function stopAfterMs(durationMs: number): () => boolean {
  const endMs = performance.now() + durationMs;
  return () => performance.now() > endMs;
}
