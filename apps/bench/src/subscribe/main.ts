/**
 * `subscribe`: many nodes, each with a connection of its own, follow one replica. What they cost it in memory, and how
 * long a global commit's update takes to the last of them. There is no peer to compare with: the figures are absolute.
 */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { stream } from '@pact-journal/journal-proto';
import { grpcFrame } from '../commit/h2load.ts';
import { percentile, print, round } from '../report.ts';
import type { BenchReport } from '../report.ts';

const MIB = 1024 * 1024;

interface Stats {
  readonly type: 'stats';
  readonly subscribers: number;
  readonly rssBytes: number;
}

async function statsOf(server: ChildProcess): Promise<Stats> {
  server.send({ type: 'stats' });
  const [stats] = (await once(server, 'message')) as [Stats];
  return stats;
}

/** Follows as node `index`; calls back for each update. Resolves when the subscription stands. */
async function follow(address: string, index: number, onUpdate: () => void): Promise<ClientHttp2Session> {
  const session = connect(`http://${address}`);
  const { path, requestSerialize } = stream.BootConfigServiceDefinition.subscribeConfigUpdates;
  const request = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const message = requestSerialize({ nodeId: `node-${index}`, vclusterId: 'ml', fromSequence: 0 });
  request.on('data', onUpdate); // an update is far smaller than a frame
  request.end(grpcFrame(message));
  await once(request, 'response');
  return session;
}

export async function run(args: readonly string[]): Promise<BenchReport> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      json: { type: 'boolean' },
      subscribers: { type: 'string', default: '10000' },
      commits: { type: 'string', default: '20' },
    },
  });
  const count = Number(values.subscribers);
  const server = fork(fileURLToPath(new URL('./server.ts', import.meta.url)), {
    stdio: 'inherit',
    // As `serve` has it from within, see its young-generation.ts.
    execArgv: [...process.execArgv, '--max-semi-space-size=8'],
  });
  const sessions: ClientHttp2Session[] = [];
  try {
    const [{ port }] = (await once(server, 'message')) as [{ readonly port: number }];
    const before = await statsOf(server);
    let received = 0;
    let onReceived = (): void => undefined;
    for (let first = 0; first < count; first += 200) {
      const batch = Array.from({ length: Math.min(200, count - first) }, (_, index) =>
        follow(`127.0.0.1:${port}`, first + index, () => {
          received += 1;
          onReceived();
        }),
      );
      sessions.push(...(await Promise.all(batch)));
    }
    const idle = await statsOf(server);
    const latenciesMs: number[] = [];
    for (let commit = 0; commit < Number(values.commits); commit += 1) {
      received = 0;
      const startedMs = performance.now();
      const all = new Promise<void>((resolve) => {
        onReceived = () => {
          if (received === count) resolve();
        };
      });
      server.send({ type: 'append' });
      await all;
      latenciesMs.push(performance.now() - startedMs);
    }
    const after = await statsOf(server);
    const ours = {
      subscribers: after.subscribers,
      idle_mib: round((idle.rssBytes - before.rssBytes) / MIB),
      peak_mib: round((after.rssBytes - before.rssBytes) / MIB),
      all_updated_p50_ms: round(percentile(latenciesMs, 0.5)),
      all_updated_max_ms: round(Math.max(...latenciesMs)),
    };
    print(
      `${ours.subscribers} subscribers cost ${ours.idle_mib} MiB, ${ours.peak_mib} MiB after ${latenciesMs.length} commits; all have an update after ${ours.all_updated_p50_ms} ms (median), ${ours.all_updated_max_ms} ms at most`,
    );
    return { ours, peer: null, ratios: {} };
  } finally {
    for (const session of sessions) session.destroy();
    if (server.connected) server.send({ type: 'stop' });
  }
}
