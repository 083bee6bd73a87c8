/**
 * The commit path against etcd: three nodes each, as real processes on loopback, durable, alternating in one run.
 *
 * (a) h2load sends unary calls to both leaders. (b) A Node program: journal-client against etcd's Put over grpc-js.
 * `--rounds N` (3) repeats everything and reports medians; `--seconds N` (4) is the length of one measurement of (b).
 */
import { parseArgs } from 'node:util';
import { JournalClient } from '@pact-journal/journal-client';
import { print, round } from '../report.ts';
import type { BenchReport, Figures } from '../report.ts';
import { runCallers } from './callers.ts';
import { benchEntry, encodeAppend, ENTRY_SIZE_BYTES, JOURNAL_APPEND_PATH } from './entry.ts';
import { encodePut, ETCD_PUT_PATH, EtcdPutClient, startEtcd } from './etcd.ts';
import { h2load } from './h2load.ts';
import { startJournal } from './journal.ts';
import { countSyncs, cpuSeconds, requireDebianPackages } from './processes.ts';

/** Connections and streams a connection, and how many requests make a measurement of some seconds. */
const H2LOAD = [
  { label: '1x1', connections: 1, streams: 1, requests: 2_000 },
  { label: '8x8', connections: 8, streams: 8, requests: 20_000 },
  { label: '16x16', connections: 16, streams: 16, requests: 30_000 },
];
const CALLERS = [1, 64, 256];

interface Measurement {
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuPerThousand: number;
}

interface Contender {
  readonly name: 'journal' | 'etcd';
  readonly pids: readonly number[];
  unary(load: (typeof H2LOAD)[number]): ReturnType<typeof h2load>;
  commit(n: number): Promise<unknown>;
}

export async function run(args: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      rounds: { type: 'string', default: '3' },
      seconds: { type: 'string', default: '4' },
    },
  });
  const rounds = Number(values.rounds);
  const durationMs = Number(values.seconds) * 1000;
  await requireDebianPackages({ etcd: 'etcd-server', h2load: 'nghttp2-client', strace: 'strace' });

  const etcd = await startEtcd();
  const journal = await startJournal({ nodes: 3 });
  const entry = benchEntry();
  const put = encodePut('bench/key', new Uint8Array(ENTRY_SIZE_BYTES).fill(120));
  const append = encodeAppend(entry);
  const etcdClient = new EtcdPutClient(etcd.leader);
  const journalClient = new JournalClient({ endpoints: [journal.leader] });
  const contenders: Contender[] = [
    {
      name: 'journal',
      pids: journal.pids,
      unary: (load) =>
        h2load({ address: journal.leader, path: JOURNAL_APPEND_PATH, message: append, ...load }),
      commit: () => journalClient.append(entry),
    },
    {
      name: 'etcd',
      pids: etcd.pids,
      unary: (load) => h2load({ address: etcd.leader, path: ETCD_PUT_PATH, message: put, ...load }),
      commit: () => etcdClient.put(put),
    },
  ];
  const samples = new Map<string, Measurement[]>();
  const add = (name: string, label: string, sample: Measurement) => {
    const key = `${name} ${label}`;
    samples.set(key, [...(samples.get(key) ?? []), sample]);
    print(
      `${name.padEnd(8)} ${label.padEnd(16)} ${sample.rate.toFixed(0).padStart(7)} commits/s   ` +
        `p50 ${sample.p50Ms.toFixed(2).padStart(7)} ms   p99 ${sample.p99Ms.toFixed(2).padStart(7)} ms   ` +
        `${sample.cpuPerThousand.toFixed(3)} CPU s per 1,000`,
    );
  };

  try {
    print(
      `etcd ${etcd.version} and the journal, three nodes each, entries of ${String(ENTRY_SIZE_BYTES)} bytes`,
    );
    for (let at = 0; at < rounds; at += 1) {
      for (const load of H2LOAD) {
        for (const contender of contenders) {
          const before = cpuSeconds(contender.pids);
          const { requestsPerSecond, p50Ms, p99Ms, failed } = await contender.unary(load);
          if (failed > 0) throw new Error(`${String(failed)} requests to ${contender.name} failed`);
          const cpu = cpuSeconds(contender.pids) - before;
          const cpuPerThousand = (cpu / load.requests) * 1000;
          add(contender.name, `unary ${load.label}`, {
            rate: requestsPerSecond,
            p50Ms,
            p99Ms,
            cpuPerThousand,
          });
        }
      }
      for (const callers of CALLERS) {
        for (const contender of contenders) {
          const before = cpuSeconds(contender.pids);
          let commits = 0;
          const outcome = await runCallers(callers, durationMs, (n) => {
            commits = n;
            return contender.commit(n);
          });
          const cpuPerThousand = ((cpuSeconds(contender.pids) - before) / commits) * 1000;
          add(contender.name, `node ${String(callers)}`, {
            rate: outcome.commitsPerSecond,
            ...outcome,
            cpuPerThousand,
          });
        }
      }
    }
    const syncs = await proveSyncs(contenders);
    return report(samples, syncs);
  } finally {
    etcdClient.close();
    journalClient.close();
    await Promise.all([etcd.stop(), journal.stop()]);
  }
}

/** Syncs per commit with one caller, all three nodes together: at least two where a majority is durable. */
async function proveSyncs(contenders: readonly Contender[]): Promise<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const contender of contenders) {
    const { name, pids } = contender;
    const commits = 200;
    const syncs = await countSyncs(pids, async () => {
      for (let n = 0; n < commits; n += 1) await contender.commit(n);
    });
    if (syncs === undefined) {
      print(`${name}: strace cannot attach here; syncs were not counted`);
      continue;
    }
    found[name] = round(syncs / commits);
    print(`${name.padEnd(8)} ${String(found[name])} syncs a commit over three nodes, one caller`);
  }
  return found;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}

function report(
  samples: ReadonlyMap<string, readonly Measurement[]>,
  syncs: Record<string, number>,
): BenchReport {
  const ours: Record<string, unknown> = {};
  const peer: Record<string, unknown> = {};
  const ratios: Record<string, number> = {};
  const labels = [...H2LOAD.map(({ label }) => `unary ${label}`), ...CALLERS.map((n) => `node ${String(n)}`)];
  for (const label of labels) {
    const figures = (name: string) => {
      const runs = samples.get(`${name} ${label}`) ?? [];
      return {
        commits_per_s: round(median(runs.map(({ rate }) => rate))),
        p50_ms: round(median(runs.map(({ p50Ms }) => p50Ms))),
        p99_ms: round(median(runs.map(({ p99Ms }) => p99Ms))),
        cpu_s_per_1000: round(median(runs.map(({ cpuPerThousand }) => cpuPerThousand))),
      };
    };
    const [mine, theirs] = [figures('journal'), figures('etcd')];
    ours[label] = mine;
    peer[label] = theirs;
    ratios[`${label} throughput`] = round(mine.commits_per_s / theirs.commits_per_s);
    if (label.endsWith(' 1') || label.endsWith('1x1'))
      ratios[`${label} p50`] = round(theirs.p50_ms / mine.p50_ms);
  }
  const withSyncs = (figures: Figures, name: string): Figures =>
    syncs[name] === undefined ? figures : { ...figures, syncs_per_commit: syncs[name] };
  for (const [label, ratio] of Object.entries(ratios)) print(`${label.padEnd(26)} ${String(ratio)} x etcd`);
  return { ours: withSyncs(ours, 'journal'), peer: withSyncs(peer, 'etcd'), ratios };
}
