/**
 * `boot`: one replica process streaming a boot of 150,000 incompressible bytes, against nginx with one worker serving
 * the same bytes, both over HTTP/2, driven by h2load in turn; `--tls`: both with TLS 1.3 and the same cipher.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stream } from '@pact-journal/journal-proto';
import { h2load } from '../commit/h2load.ts';
import type { H2LoadRun } from '../commit/h2load.ts';
import { requireDebianPackages } from '../commit/processes.ts';
import { percentile, print, round, thousands } from '../report.ts';
import type { BenchReport } from '../report.ts';
import { makeCertificate } from './certificate.ts';
import type { TlsFiles } from './certificate.ts';
import { startNginx } from './nginx.ts';

const SIZE_BYTES = 150_000;
/** Connections, and streams at once on each. */
const SHAPES = [
  { connections: 10, streams: 10 },
  { connections: 100, streams: 1 },
  { connections: 1000, streams: 1 },
] as const;

interface Server {
  readonly address: string;
  readonly path: string;
  readonly message?: Uint8Array;
}

interface Replica extends Server {
  /** The most memory that it had, in MiB. */
  peakMib(): number;
  stop(): Promise<void>;
}

async function startReplica(tls: TlsFiles | undefined): Promise<Replica> {
  const script = fileURLToPath(new URL('./server.ts', import.meta.url));
  const encryption =
    tls === undefined ? [] : [`--cert=${tls.cert}`, `--key=${tls.key}`, `--cipher=${tls.cipher}`];
  const child = spawn(
    process.execPath,
    [...process.execArgv, script, `--size-bytes=${SIZE_BYTES}`, ...encryption],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const exited = once(child, 'exit');
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([
    once(lines, 'line'),
    exited.then(() => Promise.reject(new Error('the replica ended before it listened'))),
  ])) as [string];
  const { port } = JSON.parse(line) as { port: number };
  const request = { nodeId: 'node-00001', vclusterId: 'bench', lastKnownVersion: undefined };
  return {
    address: `127.0.0.1:${port}`,
    path: stream.BootConfigServiceDefinition.streamBootConfig.path,
    message: stream.BootConfigRequest.encode(request).finish(),
    peakMib: () => {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
    },
    stop: async () => {
      child.kill('SIGTERM');
      await exited;
    },
  };
}

function median(runs: readonly H2LoadRun[]): { rps: number; p50Ms: number; p99Ms: number } {
  return {
    rps: round(
      percentile(
        runs.map((run) => run.requestsPerSecond),
        0.5,
      ),
      4,
    ),
    p50Ms: round(
      percentile(
        runs.map((run) => run.p50Ms),
        0.5,
      ),
    ),
    p99Ms: round(
      percentile(
        runs.map((run) => run.p99Ms),
        0.5,
      ),
    ),
  };
}

export async function run(args: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      tls: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '5' },
      requests: { type: 'string', default: '20000' },
    },
  });
  await requireDebianPackages({ h2load: 'nghttp2-client', nginx: 'nginx-light' });
  const tls = values.tls ? await makeCertificate() : undefined;
  const nginx = await startNginx(randomBytes(SIZE_BYTES), tls);
  const replica = await startReplica(tls);
  try {
    const ours: Record<string, unknown> = {};
    const peer: Record<string, unknown> = {};
    const ratios: Record<string, number> = {};
    for (const shape of SHAPES) {
      const label = `${shape.connections}x${shape.streams}`;
      const load = async ({ address, path, message }: Server, requests: number): Promise<H2LoadRun> => {
        const outcome = await h2load({
          address,
          path,
          ...shape,
          requests,
          ...(message === undefined ? {} : { message }),
          ...(tls === undefined ? {} : { tlsCipher: tls.cipher }),
        });
        if (outcome.failed > 0)
          throw new Error(`${outcome.failed} of ${requests} requests to ${address}${path} failed`);
        return outcome;
      };
      const oursRuns: H2LoadRun[] = [];
      const peerRuns: H2LoadRun[] = [];
      for (const server of [nginx, replica]) await load(server, 5_000); // warm
      for (let count = 0; count < Number(values.rounds); count += 1) {
        peerRuns.push(await load(nginx, Number(values.requests)));
        oursRuns.push(await load(replica, Number(values.requests)));
      }
      const [mine, theirs] = [median(oursRuns), median(peerRuns)];
      ours[label] = { boots_per_s: mine.rps, p50_ms: mine.p50Ms, p99_ms: mine.p99Ms };
      peer[label] = { requests_per_s: theirs.rps, p50_ms: theirs.p50Ms, p99_ms: theirs.p99Ms };
      ratios[label] = round(mine.rps / theirs.rps);
      print(
        `${label.padStart(7)}  boots ${thousands(mine.rps).padStart(7)}/s  p99 ${mine.p99Ms} ms    nginx ${thousands(theirs.rps).padStart(7)}/s  p99 ${theirs.p99Ms} ms    ratio ${ratios[label]}`,
      );
    }
    return {
      ours: { ...ours, peak_mib: round(replica.peakMib()) },
      peer: { server: 'nginx', ...peer },
      ratios,
    };
  } finally {
    await Promise.all([nginx.stop(), replica.stop()]);
    await tls?.remove();
  }
}
