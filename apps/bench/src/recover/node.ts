/** One node on a directory: `load DIRECTORY ENTRIES` fills it through proposals, `open DIRECTORY ENTRIES` restarts it. */
import { pathToFileURL } from 'node:url';
import { RaftNode, systemClock, toNodeId } from '@pact-journal/raft-core';
import { MemoryNetwork } from '@pact-journal/raft-core/testing';
import { openWalStorage } from '@pact-journal/wal-storage';
import { inChild, measure, writtenBytes } from '../journal-load/child.ts';
import { JournalMachine, command } from '../journal-load/commands.ts';

/** Proposals on their way: what keeps a group commit filled. */
const IN_FLIGHT = 512;

async function start(dataDir: string, machine: JournalMachine): Promise<RaftNode<unknown>> {
  const { log, snapshots } = openWalStorage({ dataDir, clusterId: 'bench', nodeId: 1, payload: 'json' });
  const id = toNodeId(1);
  const node = await RaftNode.start({
    id,
    logStore: log,
    snapshotStore: snapshots,
    stateMachine: machine,
    transport: new MemoryNetwork({ clock: systemClock }).transport(id),
    bootstrap: { members: [{ id, address: 'here', attributes: {} }] },
    // A single voter need not wait for anybody before it stands for election.
    tickIntervalMs: 10,
    electionTicks: 3,
  });
  await until(() => node.status().leaderId === id);
  return node;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

async function load(directory: string, entries: number): Promise<Record<string, number>> {
  const machine = new JournalMachine();
  const node = await start(directory, machine);
  const begin = performance.now();
  let next = 0;
  const propose = async (): Promise<void> => {
    while (next < entries) await node.propose(command(next++));
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, propose));
  const seconds = (performance.now() - begin) / 1000;
  await node.stop();
  return { seconds, writtenBytes: writtenBytes() };
}

async function open(directory: string, entries: number): Promise<Record<string, number>> {
  const machine = new JournalMachine();
  let node: RaftNode<unknown> | undefined;
  const { ms, stallMs } = await measure(async () => {
    node = await start(directory, machine);
    await until(() => machine.state.entryCount === entries);
    await node.linearizableRead();
  });
  const peakBytes = process.resourceUsage().maxRSS * 1024;
  await node?.stop();
  return { ms, stallMs, peakBytes };
}

const SELF = import.meta.filename;

export const loadInChild = (directory: string, entries: number): Promise<Record<string, number>> =>
  inChild(SELF, ['load', directory, String(entries)]);
export const openInChild = (directory: string, entries: number): Promise<Record<string, number>> =>
  inChild(SELF, ['open', directory, String(entries)]);

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , verb, directory = '', entries] = process.argv;
  const result = await (verb === 'load' ? load : open)(directory, Number(entries));
  process.stdout.write(JSON.stringify(result));
}
