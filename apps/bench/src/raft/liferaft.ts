/**
 * liferaft, the most downloaded Raft on npm, the way its README embeds it: three nodes in one process with a transport
 * of one's own, here one `setImmediate` each way, and its log in memory. One caller only: it finds the next index by
 * reading the log, so that commands under way at the same time would overwrite each other.
 */
import { createRequire } from 'node:module';
import LifeRaft from 'liferaft';
import Log from 'liferaft/log.js';
import memdown from 'memdown';
import { percentile } from '../report.ts';

const COMMIT_LIMIT_MS = 5_000;

export interface PeerFigures {
  readonly version: string;
  readonly entriesPerSecond: number;
  readonly p50Ms: number;
}

const nodes = new Map<string, LifeRaft>();

class InProcess extends LifeRaft {
  override write(packet: unknown, reply: (error: Error | undefined, data?: unknown) => void): void {
    const target = nodes.get(this.address);
    setImmediate(() => {
      if (target === undefined) reply(new Error(`no node ${this.address}`));
      else target.emit('data', packet, (data) => setImmediate(reply, undefined, data));
    });
  }
}

/** Entries a second of one caller that waits for each of its commands to be committed; null if no leader is found. */
export async function measureLiferaft(seconds: number, entryBytes: number): Promise<PeerFigures | null> {
  const addresses = ['a', 'b', 'c'];
  for (const address of addresses) {
    const options = {
      'election min': 200,
      'election max': 400,
      heartbeat: 50,
      Log,
      adapter: memdown,
      path: `bench-${address}`,
    };
    nodes.set(address, new InProcess(address, options));
  }
  for (const [address, node] of nodes) for (const other of addresses) if (other !== address) node.join(other);
  try {
    const leader = await findLeader();
    if (leader === undefined) return null;
    const value = 'x'.repeat(entryBytes);
    const latencies: number[] = [];
    const startedAt = performance.now();
    const deadline = startedAt + seconds * 1000;
    while (performance.now() < deadline) {
      const proposedAt = performance.now();
      if (!(await commit(leader, latencies.length, value))) return null;
      latencies.push(performance.now() - proposedAt);
    }
    const entriesPerSecond = (latencies.length / (performance.now() - startedAt)) * 1000;
    return { version: installedVersion(), entriesPerSecond, p50Ms: percentile(latencies, 0.5) };
  } finally {
    for (const node of nodes.values()) node.end();
    nodes.clear();
  }
}

async function findLeader(): Promise<LifeRaft | undefined> {
  const deadline = performance.now() + 10_000;
  while (performance.now() < deadline) {
    const leader = [...nodes.values()].find((node) => node.state === LifeRaft.LEADER);
    if (leader !== undefined) return leader;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return undefined;
}

/** It may tell of one commit twice, so each command has a number to be known by. */
async function commit(leader: LifeRaft, number: number, value: string): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const finish = (committed: boolean): void => {
      clearTimeout(timer);
      leader.removeListener('commit', onCommit);
      resolve(committed);
    };
    const onCommit = (command: unknown): void => {
      if (typeof command === 'object' && command !== null && 'number' in command && command.number === number)
        finish(true);
    };
    const timer = setTimeout(finish, COMMIT_LIMIT_MS, false);
    leader.on('commit', onCommit);
    leader.command({ number, value }).catch(reject);
  });
}

function installedVersion(): string {
  const manifest: unknown = createRequire(import.meta.url)('liferaft/package.json');
  const version =
    typeof manifest === 'object' && manifest !== null && 'version' in manifest ? manifest.version : undefined;
  return typeof version === 'string' ? version : 'unknown';
}
