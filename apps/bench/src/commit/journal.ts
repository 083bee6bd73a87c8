/** A three-node journal on loopback: real processes, durable, default settings. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface JournalNode {
  readonly id: number;
  readonly role: 'leader' | 'follower' | 'learner';
  readonly grpc: string;
  readonly metrics: string;
  readonly data_dir: string;
  readonly pid: number;
}

export interface JournalCluster {
  readonly nodes: readonly JournalNode[];
  /** Client address of the leader. */
  readonly leader: string;
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** The command line, as it was built. */
export const CLI = join(import.meta.dirname, '..', '..', '..', 'journal-server', 'bin', 'pact-journal.js');

/** Starts `pact-journal dev` as a user would, in a fresh directory, and waits for its ready line. */
export async function startJournal(options: {
  readonly nodes: number;
  readonly learners?: number;
  /** Further flags of `pact-journal dev`. */
  readonly flags?: readonly string[];
}): Promise<JournalCluster> {
  const directory = mkdtempSync(join(tmpdir(), 'pact-bench-journal-'));
  const child = spawn(
    process.execPath,
    [
      CLI,
      'dev',
      '--json',
      `--nodes=${String(options.nodes)}`,
      `--learners=${String(options.learners ?? 0)}`,
      `--data-dir=${directory}`,
      ...(options.flags ?? []),
      `--base-port=${String(await freePortRange(3 * (options.nodes + (options.learners ?? 0))))}`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    rmSync(directory, { recursive: true, force: true });
  };
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, 'line'), ended.then(() => undefined)]);
  if (first === undefined) throw new Error('the journal ended before it was ready; what it said is above');
  const { nodes } = JSON.parse(String(first[0])) as { nodes: readonly JournalNode[] };
  const leader = nodes.find(({ role }) => role === 'leader');
  if (leader === undefined) {
    await stop();
    throw new Error('the ready line names no leader');
  }
  return { nodes, leader: leader.grpc, pids: nodes.map(({ pid }) => pid), stop };
}

/** The first of `count` neighbouring ports that are free now. */
export async function freePortRange(count: number): Promise<number> {
  for (let base = 21_000; base < 60_000; base += count) {
    const servers = Array.from({ length: count }, (_, at) => createServer().listen(base + at, '127.0.0.1'));
    const outcomes = await Promise.allSettled(servers.map((server) => once(server, 'listening')));
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    if (outcomes.every(({ status }) => status === 'fulfilled')) return base;
  }
  throw new Error(`no ${String(count)} neighbouring ports are free on loopback`);
}
