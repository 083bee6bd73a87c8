/**
 * `floods`: what an ordinary client waits for its boots and commits while another one floods the same secured server.
 * The flooder has a valid token of a small role, and the lowest priority: it is the server that is to be measured, not
 * how this machine shares itself out. `--seconds N` (5) is the length of each measurement.
 */
import { randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { percentile, print, round } from '../report.ts';
import type { BenchReport } from '../report.ts';
import { startIssuer } from '../secured/issuer.ts';
import { startSecured, type SecuredServer } from '../secured/server.ts';
import { BOOT_VCLUSTER, WireClient } from '../secured/wire-client.ts';

const FLOODS = ['rapid reset', 'slow readers', 'connection storm', 'header flood'] as const;
/** Until the server has met what it is going to meet. */
const ONSET_MS = 1_000;
/** Between two calls of the ordinary client, which is no flood itself. */
const PAUSE_MS = 5;

interface Waits {
  readonly boot_p99_ms: number;
  readonly boot_p50_ms: number;
  readonly commit_p99_ms: number;
  readonly commit_p50_ms: number;
}

export async function run(args: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      seconds: { type: 'string', default: '5' },
      only: { type: 'string' },
    },
  });
  const durationMs = Number(values.seconds) * 1_000;
  const issuer = await startIssuer();
  const server = await startSecured(issuer.url);
  try {
    const admin = issuer.token('operator@example.org', 'pact-platform-admin');
    const client = await WireClient.connect(server.address, server.ca, admin);
    await client.declareOverlay((characters) =>
      randomBytes(characters).toString('base64').slice(0, characters),
    );
    await measure(client, durationMs / 5); // warm
    const normal = await measure(client, durationMs);
    show('normal', normal, server, '');
    const ours: Record<string, unknown> = { normal };
    const ratios: Record<string, number> = {};
    const flooderToken = issuer.token('mallory@example.org', `pact-viewer-${BOOT_VCLUSTER}`);
    for (const kind of FLOODS.filter((each) => values.only === undefined || each === values.only)) {
      const flood = startFlood(kind, server, flooderToken);
      await new Promise((resolve) => setTimeout(resolve, ONSET_MS));
      const cpuBefore = server.cpuSeconds();
      const waits = await measure(client, durationMs);
      const cpuShare = (server.cpuSeconds() - cpuBefore) / (durationMs / 1_000);
      const outcome = await flood.stop();
      show(kind, waits, server, `${(cpuShare * 100).toFixed(0)} % CPU, ${outcome}`);
      ours[kind] = waits;
      ratios[`${kind}: boot p99`] = round(normal.boot_p99_ms / waits.boot_p99_ms);
      ratios[`${kind}: commit p99`] = round(normal.commit_p99_ms / waits.commit_p99_ms);
      await measure(client, durationMs / 5); // what the flood left behind is gone
    }
    client.close();
    for (const [label, ratio] of Object.entries(ratios))
      print(`${label.padEnd(28)} ${(1 / ratio).toFixed(2)} x the normal`);
    return { ours, peer: null, ratios };
  } finally {
    await Promise.all([server.stop(), issuer.stop()]);
  }
}

function startFlood(
  kind: string,
  { address, caPath }: SecuredServer,
  token: string,
): { stop(): Promise<string> } {
  const script = fileURLToPath(new URL('./flooder.ts', import.meta.url));
  const child = spawn(
    process.execPath,
    [...process.execArgv, script, `--kind=${kind}`, `--address=${address}`, `--ca=${caPath}`],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, FLOODER_TOKEN: token } },
  );
  setPriority(child.pid ?? 0, constants.priority.PRIORITY_LOW);
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  const exited = once(child, 'close');
  return {
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
      return said.trim();
    },
  };
}

/** Boots and commits in turn, one after the other. */
async function measure(client: WireClient, durationMs: number): Promise<Waits> {
  const [boots, commits]: [number[], number[]] = [[], []];
  const endMs = performance.now() + durationMs;
  while (performance.now() < endMs) {
    boots.push(await client.boot());
    commits.push(await client.commit());
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return {
    boot_p50_ms: round(percentile(boots, 0.5)),
    boot_p99_ms: round(percentile(boots, 0.99)),
    commit_p50_ms: round(percentile(commits, 0.5)),
    commit_p99_ms: round(percentile(commits, 0.99)),
  };
}

function show(label: string, waits: Waits, server: SecuredServer, more: string): void {
  print(
    `${label.padEnd(17)} boot p50 ${waits.boot_p50_ms.toFixed(1)} p99 ${waits.boot_p99_ms.toFixed(1)} ms   ` +
      `commit p50 ${waits.commit_p50_ms.toFixed(1)} p99 ${waits.commit_p99_ms.toFixed(1)} ms   ` +
      `server ${server.memoryMib().toFixed(0)} MiB ${more}`,
  );
}
