/** `ENTRIES DIRECTORY`: makes a node's data directory with so many entries, as if a group had taken a snapshot of them. */
import { pathToFileURL } from 'node:url';
import {
  NO_NODE,
  toLogIndex,
  toNodeId,
  toTerm,
  type Entry,
  type SnapshotMeta,
} from '@pact-journal/raft-core';
import { openWalStorage } from '@pact-journal/wal-storage';
import { inChild } from '../journal-load/child.ts';
import { command, JournalMachine } from '../journal-load/commands.ts';

const BATCH = 256;
/** The cluster that `pact-journal serve` belongs to where nothing else is said. */
const CLUSTER_ID = 'pact';

async function make(entries: number, dataDir: string): Promise<void> {
  const machine = new JournalMachine();
  for (let from = 0; from < entries; from += BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, entries - from) }, (_, at): Entry => {
      return { index: toLogIndex(from + at + 2), term: toTerm(1), type: 'normal', data: command(from + at) };
    });
    machine.apply(batch);
  }
  const { log, snapshots } = openWalStorage({ dataDir, clusterId: CLUSTER_ID, nodeId: 1, payload: 'json' });
  await log.open();
  await snapshots.open();
  const id = toNodeId(1);
  const meta: SnapshotMeta = {
    index: toLogIndex(entries + 1),
    term: toTerm(1),
    confState: { voters: [id], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
    members: [{ id, address: '127.0.0.1:1', attributes: {} }],
  };
  const content = machine.snapshot();
  await snapshots.save(meta, content);
  content.release();
  await log.reset(meta.index, meta.term, { term: meta.term, vote: NO_NODE, commit: meta.index });
  await snapshots.close();
  await log.close();
}

export const makeInChild = (entries: number, directory: string): Promise<Record<string, number>> =>
  inChild(import.meta.filename, [String(entries), directory]);

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , entries, directory = ''] = process.argv;
  await make(Number(entries), directory);
  process.stdout.write('{}');
}
