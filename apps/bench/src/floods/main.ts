/**
 * `floods`: what an ordinary client waits for its boots and commits while another one floods the same secured server.
 * The flooder has a valid token of a small role. It runs on this machine, but only when nobody else wants the processor
 * (SCHED_IDLE): an attacker across a network would not take the server's. What it offers is printed with the result.
 * `--samples N` (2,000) boots and as many commits a measurement, `--only FLOOD`.
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
  'header flood': `pact-viewer-${BOOT_VCLUSTER}`,
  calls: `pact-viewer-${BOOT_VCLUSTER}`,
  commits: 'pact-ops-bench',
} as const;
/** A measurement ends after this even if it has not got all its samples. */
const MEASUREMENT_MS_MAX = 45_000;
/** Between two calls of the ordinary client, which is no flood itself. */
const PAUSE_MS = 2;

interface Samples {
  readonly boots: number[];
  readonly commits: number[];
}

interface Outcome {
  readonly kind: string;
  readonly normal: Samples;
  readonly flooded: Samples;
}

export async function run(args: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      samples: { type: 'string', default: '2000' },
      only: { type: 'string' },
    },
  });
  const samples = Number(values.samples);
  const issuer = await startIssuer();
  const server = await startSecured(issuer.url);
  try {
    const admin = issuer.token('operator@example.org', 'pact-platform-admin');
    const client = await WireClient.connect(server.address, server.ca, admin);
    await client.declareOverlay((characters) =>
      randomBytes(characters).toString('base64').slice(0, characters),
    );
    await measure(client, samples / 4); // warm
    let before = await measure(client, samples / 2);
    show('normal', before, server, '');
    const outcomes: Outcome[] = [];
    for (const [at, [kind, role]] of Object.entries(FLOODS).entries()) {
      if (values.only !== undefined && values.only !== kind) continue;
      const token = issuer.token('mallory@example.org', role);
      const flood = startFlood(kind, `127.0.0.${String(at + 2)}`, server, token);
      // Its beginning is part of it.
      await flood.begun;
      const [cpuBefore, startedMs] = [server.cpuSeconds(), performance.now()];
      const flooded = await measure(client, samples);
      const cpuShare = (server.cpuSeconds() - cpuBefore) / ((performance.now() - startedMs) / 1_000);
      const offered = await flood.stop();
      show(kind, flooded, server, `${(cpuShare * 100).toFixed(0)} % CPU; a second: ${offered}`);
      await measure(client, samples / 10); // what the flood left behind is gone
      const after = await measure(client, samples / 2);
      show('normal', after, server, '');
      // What is normal on this machine changes: the same clients just before and just after say what it was.
      const normal = {
        boots: [...before.boots, ...after.boots],
        commits: [...before.commits, ...after.commits],
      };
      outcomes.push({ kind, normal, flooded });
      before = after;
    }
    client.close();
    return report(outcomes);
  } finally {
    await Promise.all([server.stop(), issuer.stop()]);
  }
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
