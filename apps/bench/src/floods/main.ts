/**
 * `floods`: what an ordinary client waits for its boots and commits while another one floods the same secured server.
 * The flooder has a valid token of a small role. It runs on this machine, but only when nobody else wants the processor
 * (SCHED_IDLE): an attacker across a network would not take the server's. What it offers is printed with the result.
 * What is normal on a machine changes: measurements with and without the flood alternate, each flood from an address that has
 * done nothing yet and measured from its first call on. `--samples N` (8,000) boots and as many commits of each kind, in
 * `--rounds N` (2), `--only FLOOD`.
 */
import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { percentile, print, round } from '../report.ts';
import type { BenchReport } from '../report.ts';
import { startIssuer } from '../secured/issuer.ts';
import { startSecured, type SecuredServer } from '../secured/server.ts';
import { BOOT_VCLUSTER, WireClient } from '../secured/wire-client.ts';

/** And the role that the flooder has. */
const FLOODS = {
  'rapid reset': `pact-viewer-${BOOT_VCLUSTER}`,
  'slow readers': `pact-viewer-${BOOT_VCLUSTER}`,
  'connection storm': `pact-viewer-${BOOT_VCLUSTER}`,
  'impatient storm': `pact-viewer-${BOOT_VCLUSTER}`,
  'header flood': `pact-viewer-${BOOT_VCLUSTER}`,
  calls: `pact-viewer-${BOOT_VCLUSTER}`,
  commits: 'pact-ops-bench',
} as const;
/** A measurement ends after this even if it has not got all its samples. */
const MEASUREMENT_MS_MAX = 30_000;
/** Between two calls of the ordinary client, which is no flood itself. */
const PAUSE_MS = 2;
/** Pairs of calls between two collections of the client's garbage: their overlays are 4 MB. */
const PAIRS_PER_COLLECTION = 25;

interface Samples {
  readonly boots: number[];
  readonly commits: number[];
}

interface Outcome {
  readonly kind: string;
  readonly normal: Samples;
  readonly flooded: Samples;
}

interface Field {
  readonly server: SecuredServer;
  readonly client: WireClient;
  readonly samples: number;
  readonly rounds: number;
}

export async function run(args: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      samples: { type: 'string', default: '8000' },
      rounds: { type: 'string', default: '2' },
      only: { type: 'string' },
    },
  });
  if (values.only !== undefined && !(values.only in FLOODS))
    throw new Error(`there is no flood "${values.only}"; there are: ${Object.keys(FLOODS).join(', ')}`);
  const [samples, rounds] = [Number(values.samples), Number(values.rounds)];
  const issuer = await startIssuer();
  const server = await startSecured(issuer.url);
  try {
    const admin = issuer.token('operator@example.org', 'pact-platform-admin');
    const client = await WireClient.connect(server.address, server.ca, admin);
    await client.declareOverlay((characters) =>
      randomBytes(characters).toString('base64').slice(0, characters),
    );
    await measure(client, samples / 8); // warm
    const outcomes: Outcome[] = [];
    for (const [at, [kind, role]] of Object.entries(FLOODS).entries()) {
      if (values.only !== undefined && values.only !== kind) continue;
      const token = issuer.token('mallory@example.org', role);
      outcomes.push(
        await alternate(kind, `127.0.${String(at + 1)}`, token, { server, client, samples, rounds }),
      );
    }
    client.close();
    return report(outcomes);
  } finally {
    await Promise.all([server.stop(), issuer.stop()]);
  }
}

/** `network`: the first three bytes of the addresses that the flood comes from. */
async function alternate(kind: string, network: string, token: string, field: Field): Promise<Outcome> {
  const { server, client, samples, rounds } = field;
  const normal: Samples = { boots: [], commits: [] };
  const flooded: Samples = { boots: [], commits: [] };
  let cpuShare = 0;
  let offered = '';
  for (let each = 1; each <= rounds; each += 1) {
    add(normal, await measure(client, samples / rounds));
    const flood = startFlood(kind, `${network}.${String(each)}`, server, token);
    // Its beginning is part of it.
    await flood.begun;
    const [cpuBefore, startedMs] = [server.cpuSeconds(), performance.now()];
    add(flooded, await measure(client, samples / rounds));
    cpuShare += (server.cpuSeconds() - cpuBefore) / ((performance.now() - startedMs) / 1_000) / rounds;
    offered = await flood.stop();
    await measure(client, samples / rounds / 10); // what the flood left behind is gone
  }
  show('normal', normal, server, '');
  show(kind, flooded, server, `${(cpuShare * 100).toFixed(0)} % CPU; a second: ${offered}`);
  return { kind, normal, flooded };
}

function add(all: Samples, { boots, commits }: Samples): void {
  all.boots.push(...boots);
  all.commits.push(...commits);
}

function report(outcomes: readonly Outcome[]): BenchReport {
  const ours: Record<string, unknown> = {};
  const ratios: Record<string, number> = {};
  for (const { kind, normal, flooded } of outcomes) {
    ours[kind] = { normal: waitsOf(normal), flooded: waitsOf(flooded) };
    for (const what of ['boots', 'commits'] as const) {
      const times = percentile(flooded[what], 0.99) / percentile(normal[what], 0.99);
      ratios[`${kind}: p99 of ${what}`] = round(1 / times);
      print(`${`${kind}: p99 of ${what}`.padEnd(36)} ${times.toFixed(2)} x the normal`);
    }
  }
  return { ours, peer: null, ratios };
}

function startFlood(
  kind: string,
  from: string,
  { address, caPath }: SecuredServer,
  token: string,
): { readonly begun: Promise<unknown>; stop(): Promise<string> } {
  const script = fileURLToPath(new URL('./flooder.ts', import.meta.url));
  const child = spawn(
    'chrt',
    [
      ...['--idle', '0', process.execPath, ...process.execArgv, script],
      ...[`--kind=${kind}`, `--address=${address}`, `--from=${from}`, `--ca=${caPath}`],
    ],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, FLOODER_TOKEN: token } },
  );
  let said = '';
  const begun = once(child.stdout, 'data');
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  const exited = once(child, 'close');
  return {
    begun: Promise.race([begun, exited]),
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
      return said.trim().split('\n').at(-1) ?? '';
    },
  };
}

/** Boots and commits in turn, one after the other. */
async function measure(client: WireClient, samples: number): Promise<Samples> {
  const [boots, commits]: [number[], number[]] = [[], []];
  const endMs = performance.now() + MEASUREMENT_MS_MAX;
  while (boots.length < samples && performance.now() < endMs) {
    boots.push(await client.boot());
    commits.push(await client.commit());
    // Otherwise it comes in the middle of a call, and takes ten times as long as most of them.
    if (boots.length % PAIRS_PER_COLLECTION === 0) globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return { boots, commits };
}

function waitsOf({ boots, commits }: Samples): Record<string, number> {
  return {
    samples: boots.length,
    boot_p50_ms: round(percentile(boots, 0.5)),
    boot_p99_ms: round(percentile(boots, 0.99)),
    commit_p50_ms: round(percentile(commits, 0.5)),
    commit_p99_ms: round(percentile(commits, 0.99)),
  };
}

function show(label: string, samples: Samples, server: SecuredServer, more: string): void {
  const line = (what: 'boots' | 'commits'): string => {
    const [p50, p99] = [percentile(samples[what], 0.5), percentile(samples[what], 0.99)];
    return `${what} p50 ${p50.toFixed(1)} p99 ${p99.toFixed(1)} max ${Math.max(...samples[what]).toFixed(0)} ms`;
  };
  print(
    `${label.padEnd(17)} ${String(samples.boots.length)} x ${line('boots')}   ${line('commits')}   ` +
      `server ${server.memoryMib().toFixed(0)} MiB ${more}`,
  );
}
