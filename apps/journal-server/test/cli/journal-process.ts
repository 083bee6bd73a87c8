/** A real local cluster for the command line to talk to: `pact-journal dev` as a process of its own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { startCli } from './run-cli.ts';

export interface RunningJournal {
  /** gRPC addresses, in order of node id. */
  readonly endpoints: readonly string[];
  /** Options and environment that point a command at it. */
  readonly env: Readonly<Record<string, string>>;
  readonly dataDir: string;
  /** Stops the servers and keeps what they wrote. */
  pause(): Promise<void>;
  /** Stops the servers and removes what they wrote. */
  stop(): Promise<void>;
}

/** Ten ports a node are free from here on, as far as anyone can tell beforehand. */
async function freeBasePort(nodes: number): Promise<number> {
  for (let base = 20_000 + (process.pid % 1100) * 10; base < 32_000; base += 10 * nodes) {
    const ports = Array.from({ length: nodes }, (_, node) =>
      [0, 1, 2].map((port) => base + node * 10 + port),
    ).flat();
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return base;
  }
  throw new Error('no free ports found');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}

/** Starts a cluster and resolves once it is ready. */
export async function startJournal(nodes = 1): Promise<RunningJournal> {
  const folder = mkdtempSync(join(tmpdir(), 'pact-cli-journal-'));
  const dataDir = join(folder, 'data');
  const basePort = await freeBasePort(nodes);
  const args = [
    'dev',
    '--json',
    '--nodes',
    String(nodes),
    '--base-port',
    String(basePort),
    '--data-dir',
    dataDir,
  ];
  const child = startCli(args);
  const exited = new Promise<void>((resolve) => child.once('close', () => resolve()));
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const ready = await new Promise<{ nodes: { grpc: string }[] }>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (line) => {
      resolve(JSON.parse(line) as { nodes: { grpc: string }[] });
    });
    void exited.then(() => {
      reject(new Error(`dev ended before it was ready:\n${errors}`));
    });
  });
  const endpoints = ready.nodes.map((node) => node.grpc);
  const pause = () => {
    child.kill('SIGTERM');
    return exited;
  };
  return {
    endpoints,
    env: { PACT_ENDPOINT: endpoints.join(',') },
    dataDir,
    pause,
    stop: async () => {
      await pause();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
