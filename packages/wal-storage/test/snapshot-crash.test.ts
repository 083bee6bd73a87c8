/** Saving, receiving and installing snapshots beside a log, with the power cut at every system call. */
import type { SnapshotContent, SnapshotMeta, SnapshotStore, StoredSnapshot } from '@pact-journal/raft-core';
import { toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import { describe, expect, it } from 'vitest';
import { openWalStorage } from '../src/index.ts';
import type { WalStorage } from '../src/index.ts';
import { FaultyFileSystem, exploreCrashes } from '../src/testing/index.ts';
import { ModelledLog, contentsOf } from './log-model.ts';
import type { LogContents } from './log-model.ts';

function storageOn(fileSystem: FaultyFileSystem, nodeId = 1): WalStorage {
  return openWalStorage({ dataDir: '/data', clusterId: 'alps', nodeId, fileSystem });
}

function meta(index: number, term: number): SnapshotMeta {
  const confState = {
    voters: [toNodeId(1), toNodeId(2)],
    votersOutgoing: [],
    learners: [],
    learnersNext: [],
    autoLeave: false,
  };
  return { index: toLogIndex(index), term: toTerm(term), confState, members: [] };
}

/** The state after `index` entries: sealed sections of ten entries each, and an open one. */
function stateAt(index: number): { key: string; sealed: boolean; records: string[] }[] {
  const sections = [];
  for (let from = 0; from + 10 <= index; from += 10) {
    sections.push({
      key: `entries/${from}`,
      sealed: true,
      records: Array.from({ length: 10 }, (_, i) => `{"entry":${from + i}}`),
    });
  }
  return [
    ...sections,
    { key: 'state', sealed: false, records: [`{"applied":${index}}`, 'no JSON \u0000 at all', ''] },
  ];
}

function contentAt(index: number): SnapshotContent {
  const sections = stateAt(index).map(({ key, sealed, records }) => ({
    key,
    sealed,
    records: () => records.map((record) => Buffer.from(record)),
  }));
  return { sections, release: () => undefined };
}

async function read(
  store: SnapshotStore,
  stored: StoredSnapshot,
): Promise<{ key: string; records: string[] }[]> {
  const found = [];
  for await (const { key, records } of store.load(stored)) {
    const texts: string[] = [];
    for await (const record of records) texts.push(Buffer.from(record).toString());
    found.push({ key, records: texts });
  }
  return found;
}

/** The newest snapshot that is promised, one that may be there too, and what the log may look like. */
interface Promised {
  readonly snapshot: number;
  readonly maybe: number;
  readonly logs: readonly LogContents[];
}

async function check(fileSystem: FaultyFileSystem, promised: Promised): Promise<void> {
  const { log, snapshots } = storageOn(fileSystem);
  await log.open();
  const latest = await snapshots.open();
  const index = latest?.meta.index ?? 0;
  expect([promised.snapshot, promised.maybe]).toContain(index);
  if (latest !== undefined) {
    expect(await read(snapshots, latest)).toEqual(
      stateAt(index).map(({ key, records }) => ({ key, records })),
    );
  }
  expect(promised.logs.map((candidate) => JSON.stringify(candidate))).toContain(
    JSON.stringify(contentsOf(log)),
  );
  const last = log.lastIndex();
  const data = Buffer.from('{}');
  await log.append({
    entries: [{ index: toLogIndex(last + 1), term: toTerm(99), type: 'normal', data }],
    hardState: undefined,
    mustSync: true,
  });
  const saved = await snapshots.save(meta(last + 1, 99), contentAt(last + 1));
  await log.compact(toLogIndex(last + 1));
  await log.close();
  await snapshots.close();

  const again = storageOn(new FaultyFileSystem(fileSystem.disk.afterPowerCut([])));
  await again.log.open();
  expect(await again.snapshots.open()).toEqual(saved);
  expect(again.log.firstIndex()).toBe(last + 2);
}

describe('a power cut at every system call', () => {
  it('while snapshots are saved and the log is compacted loses neither', async () => {
    const fileSystem = new FaultyFileSystem();
    const { log, snapshots } = storageOn(fileSystem);
    const model = new ModelledLog(log);
    let snapshot = 0;
    let maybe = 0;
    const { images } = await exploreCrashes<Promised>({
      fileSystem,
      workload: async () => {
        await model.open();
        await snapshots.open();
        for (let index = 5; index <= 35; index += 6) {
          await model.append(index === 5 ? 1 : index - 5, index === 5 ? 5 : 6, 1, { term: 1, vote: 1 });
          maybe = index;
          await snapshots.save(meta(index, 1), contentAt(index));
          snapshot = index;
          await model.compact(index - 2);
          await log.idle();
        }
        await log.close();
        await snapshots.close();
      },
      promised: () => ({ snapshot, maybe, logs: model.promised.logs }),
      check,
    });
    expect(images).toBeGreaterThan(250);
  });

  it('while a snapshot is received and installed leaves the old state or the new', async () => {
    const leader = storageOn(new FaultyFileSystem(), 2);
    await leader.log.open();
    const stored = await leader.snapshots.save(meta(45, 3), contentAt(45));

    const fileSystem = new FaultyFileSystem();
    const { log, snapshots } = storageOn(fileSystem);
    const model = new ModelledLog(log);
    let snapshot = 0;
    let maybe = 0;
    let logs: readonly LogContents[] = [];
    const { images } = await exploreCrashes<Promised>({
      fileSystem,
      workload: async () => {
        await model.open();
        await snapshots.open();
        await model.append(1, 15, 1, { term: 1, vote: 1 });
        maybe = 12;
        await snapshots.save(meta(12, 1), contentAt(12));
        snapshot = 12;
        await snapshots.receive(stored, leader.snapshots, new AbortController().signal);
        maybe = 45;
        // From here on a crash may find the snapshot installed, and recovery then resets the log itself.
        logs = [{ compactedIndex: 45, compactedTerm: 3, entries: [] }];
        await snapshots.install(stored);
        snapshot = 45;
        await model.reset(45, 3, { term: 3, vote: 0 });
        await log.close();
        await snapshots.close();
      },
      promised: () => ({ snapshot, maybe, logs: [...model.promised.logs, ...logs] }),
      check,
    });
    expect(images).toBeGreaterThan(100);
  });
});
