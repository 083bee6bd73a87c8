/** `ENTRIES NEW DIRECTORY`: snapshots a journal of ENTRIES, adds NEW, and measures the next snapshot. */
import { pathToFileURL } from 'node:url';
import { toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import type { Entry, SnapshotMeta } from '@pact-journal/raft-core';
import { openWalStorage } from '@pact-journal/wal-storage';
import { inChild, measure } from '../journal-load/child.ts';
import { JournalMachine, command } from '../journal-load/commands.ts';

const BATCH = 256;

function meta(index: number): SnapshotMeta {
  const confState = {
    voters: [toNodeId(1)],
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  };
  return { index: toLogIndex(index), term: toTerm(1), confState, members: [] };
}

async function grow(machine: JournalMachine, to: number): Promise<void> {
  for (let from = machine.state.entryCount; from < to; from += BATCH) {
    const count = Math.min(BATCH, to - from);
    const entries = Array.from({ length: count }, (_, at): Entry => {
      return { index: toLogIndex(from + at + 1), term: toTerm(1), type: 'normal', data: command(from + at) };
    });
    machine.apply(entries);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function run(entries: number, added: number, dataDir: string): Promise<Record<string, number>> {
  const { log, snapshots } = openWalStorage({ dataDir, clusterId: 'bench', nodeId: 1, payload: 'json' });
  await log.open();
  await snapshots.open();
  const machine = new JournalMachine();
  const save = async (): Promise<void> => {
    const content = machine.snapshot();
    await snapshots.save(meta(machine.state.entryCount), content);
    content.release();
  };
  await grow(machine, entries);
  const first = await measure(save);
  await grow(machine, entries + added);
  globalThis.gc?.();
  const next = await measure(save);
  const stored = snapshots.latest();
  await snapshots.close();
  await log.close();
  return {
    firstMs: first.ms,
    firstStallMs: first.stallMs,
    firstWrittenBytes: first.writtenBytes,
    nextMs: next.ms,
    nextStallMs: next.stallMs,
    nextWrittenBytes: next.writtenBytes,
    manifestBytes: stored?.manifest.sizeBytes ?? 0,
    chunks: stored?.chunks.length ?? 0,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  };
}

export const snapshotInChild = (
  entries: number,
  added: number,
  directory: string,
): Promise<Record<string, number>> =>
  inChild(import.meta.filename, [String(entries), String(added), directory]);

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const [, , entries, added, directory = ''] = process.argv;
  process.stdout.write(JSON.stringify(await run(Number(entries), Number(added), directory)));
}
