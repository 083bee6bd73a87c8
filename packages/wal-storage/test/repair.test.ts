import type { Entry } from '@pact-journal/raft-core';
import { toLogIndex, toTerm } from '@pact-journal/raft-core';
import { describe, expect, it } from 'vitest';
import { inspectWal, openDirectoryPeers, repairWal, verifyWal } from '../src/index.ts';
import type { PeerEntries, RepairPeers } from '../src/index.ts';
import { FaultyFileSystem, exploreCrashes } from '../src/testing/index.ts';
import { ALL, RAFT, cut, damage, directory, listing, save, storageOn, wal } from './damaged-directory.ts';
import { contentsOf } from './log-model.ts';
import type { LogContents } from './log-model.ts';

/** What the healthy directory holds. */
async function original(): Promise<LogContents> {
  return readLog(await directory());
}

async function readLog(fileSystem: FaultyFileSystem): Promise<LogContents> {
  const { log } = storageOn(fileSystem).storage;
  await log.open();
  const contents = contentsOf(log);
  await log.close();
  return contents;
}

interface PeerState {
  readonly commitIndex?: number;
  readonly confirmed?: boolean;
  readonly clusterId?: string;
  readonly firstIndex?: number;
  readonly change?: (entry: Entry) => Entry;
}

/** Peers that have the same log, but for what is said here. */
async function peers(...states: PeerState[]): Promise<RepairPeers & { readonly asked: string[] }> {
  const { log } = storageOn(await directory()).storage;
  await log.open();
  const all = log.entries(toLogIndex(1), toLogIndex(11), 1 << 20);
  const asked: string[] = [];
  return {
    asked,
    fetchEntries: async (from, to) => {
      asked.push(`${from}-${to}`);
      return states.map((state, position): PeerEntries => ({
        nodeId: position + 2,
        clusterId: state.clusterId ?? 'alps',
        confirmed: state.confirmed ?? position === 0,
        commitIndex: state.commitIndex ?? 10,
        entries: all
          .filter(({ index }) => index >= Math.max(from, state.firstIndex ?? 1) && index <= to)
          .map(state.change ?? ((entry) => entry)),
      }));
    },
  };
}

const options = (fileSystem: FaultyFileSystem) => ({ fileSystem });

async function refusedRepair(fileSystem: FaultyFileSystem, from: RepairPeers): Promise<unknown> {
  const before = listing(fileSystem);
  const error = await repairWal('/data', from, options(fileSystem)).then(
    () => 'it was repaired',
    (thrown: unknown) => thrown,
  );
  expect(listing(fileSystem), 'what a directory holds that was not repaired').toEqual(before);
  return error;
}

describe('verification', () => {
  it('finds nothing wrong with a healthy directory', async () => {
    const fileSystem = await directory({ snapshots: [5, 8], compactTo: 5, commit: 9 });
    expect(await verifyWal('/data', options(fileSystem))).toMatchObject({
      ok: true,
      findings: [],
      firstIndex: 6,
      lastIndex: 10,
      entries: 5,
      files: 2,
      snapshots: 2,
      missing: [],
    });
  });

  it('finds everything that is wrong, not only the first thing', async () => {
    const fileSystem = await directory({ snapshots: [8] });
    damage(fileSystem, wal(1));
    fileSystem.take(wal(6));
    damage(fileSystem, `${RAFT}/vote.json`, 30);
    damage(fileSystem, `${RAFT}/snapshots/snap-2-8.json`, 60);
    const { ok, findings, missing } = await verifyWal('/data', options(fileSystem));
    expect(ok).toBe(false);
    expect(findings.map(({ severity, code }) => `${severity} ${code}`)).toEqual([
      'damage voteCorrupt',
      'note snapshotIgnored',
      'damage corrupt',
      'damage hole',
    ]);
    expect(findings[2]).toMatchObject({ path: wal(1), line: 1, index: 1 });
    expect(missing).toEqual([
      { from: 1, to: 1 },
      { from: 6, to: 6 },
    ]);
  });

  it('agrees with opening on what is damage', async () => {
    const damages: ((fileSystem: FaultyFileSystem) => void)[] = [
      (fileSystem) => cut(fileSystem, wal(7), -1),
      (fileSystem) => cut(fileSystem, wal(4), -1),
      (fileSystem) => fileSystem.put(wal(5), fileSystem.content(wal(4))),
      (fileSystem) => fileSystem.take(wal(7)),
      (fileSystem) => fileSystem.take(wal(1)),
      (fileSystem) => fileSystem.take(`${RAFT}/bounds.json`),
      (fileSystem) => fileSystem.put(wal(11), new Uint8Array()),
      (fileSystem) => damage(fileSystem, wal(7), 700),
    ];
    for (const [number, inflict] of damages.entries()) {
      const fileSystem = await directory({ commit: 6 });
      inflict(fileSystem);
      const { ok } = await verifyWal('/data', options(fileSystem));
      const opened = await storageOn(fileSystem)
        .storage.log.open()
        .then(
          () => true,
          () => false,
        );
      expect(ok, `damage ${number}`).toBe(opened);
    }
  });

  it('does not run beside a node, and inspection does', async () => {
    const fileSystem = await directory({ snapshots: [5], commit: 9 });
    const { log } = storageOn(fileSystem).storage;
    await log.open();
    await expect(verifyWal('/data', options(fileSystem))).rejects.toMatchObject({ code: 'locked' });
    expect(await inspectWal('/data', options(fileSystem))).toMatchObject({
      identity: { clusterId: 'alps', nodeId: 1, format: 1 },
      vote: { term: 2, vote: 2 },
      compactedIndex: 0,
      commitHint: 9,
      logFiles: 4,
      firstFile: 1,
      lastFile: 7,
      snapshots: [{ term: 1, index: 5 }],
    });
  });
});

describe('repair', () => {
  const damages: [string, (fileSystem: FaultyFileSystem) => void, { from: number; to: number }[]][] = [
    ['a flipped bit', (fileSystem) => damage(fileSystem, wal(7), 700), [{ from: 8, to: 8 }]],
    ['a missing file', (fileSystem) => fileSystem.take(wal(4)), [{ from: 4, to: 5 }]],
    ['a missing beginning', (fileSystem) => fileSystem.take(wal(1)), [{ from: 1, to: 3 }]],
    [
      'a file cut short in the middle of the log',
      (fileSystem) => cut(fileSystem, wal(4), -1),
      [{ from: 5, to: 5 }],
    ],
    ['a lost end', (fileSystem) => fileSystem.take(wal(7)), [{ from: 7, to: 10 }]],
    ['a duplicate file', (fileSystem) => fileSystem.put(wal(5), fileSystem.content(wal(4))), []],
  ];

  it.each(damages)('of %s takes exactly what is missing from peers', async (_, inflict, fetched) => {
    const fileSystem = await directory({ commit: 9 });
    inflict(fileSystem);
    const result = await repairWal('/data', await peers({}, {}), options(fileSystem));
    expect(result).toMatchObject({
      fetched,
      droppedFrom: undefined,
      damagedLogPath: `${RAFT}/wal.damaged-1`,
    });
    expect(await verifyWal('/data', options(fileSystem))).toMatchObject({ ok: true });
    expect(await readLog(new FaultyFileSystem(fileSystem.disk.afterPowerCut([])))).toEqual(await original());
  });

  it('of a healthy directory changes nothing and asks nobody', async () => {
    const fileSystem = await directory();
    const before = listing(fileSystem);
    const from = await peers({});
    expect(await repairWal('/data', from, options(fileSystem))).toMatchObject({
      fetched: [],
      damagedLogPath: undefined,
    });
    expect([listing(fileSystem), from.asked]).toEqual([before, []]);
  });

  it('is refused where no peer knows what is missing to be committed', async () => {
    const fileSystem = await directory();
    damage(fileSystem, wal(7), 700);
    expect(
      await refusedRepair(fileSystem, await peers({ commitIndex: 7 }, { commitIndex: 5 })),
    ).toMatchObject({ code: 'unproven', message: /entry 8/ });
    expect(await refusedRepair(fileSystem, await peers())).toMatchObject({ code: 'unproven' });
  });

  it('is refused where peers contradict each other, or belong to another cluster', async () => {
    const fileSystem = await directory();
    damage(fileSystem, wal(7), 700);
    const change = (entry: Entry): Entry => ({ ...entry, data: Buffer.from('{"other":1}') });
    expect(await refusedRepair(fileSystem, await peers({}, { change }))).toMatchObject({
      code: 'contradiction',
      index: 8,
    });
    expect(await refusedRepair(fileSystem, await peers({ clusterId: 'other' }))).toMatchObject({
      code: 'foreignDirectory',
    });
  });

  it('of a lost end is refused unless a quorum confirms where it is', async () => {
    const fileSystem = await directory({ commit: 9 });
    fileSystem.take(wal(7));
    expect(
      await refusedRepair(fileSystem, await peers({ confirmed: false }, { confirmed: false })),
    ).toMatchObject({ code: 'unproven', message: /no quorum/ });
  });

  it.each(['vote.json', 'identity.json', 'bounds.json'])(
    'is refused where %s is damaged, which no peer knows',
    async (name) => {
      const fileSystem = await directory();
      damage(fileSystem, `${RAFT}/${name}`, 30);
      expect(await refusedRepair(fileSystem, await peers({}))).toMatchObject({
        code: 'unproven',
        message: /new node id/,
      });
    },
  );

  it('drops a suffix only where a committed entry of a later term stands before it', async () => {
    const fileSystem = await directory();
    damage(fileSystem, wal(7), 60);
    const change = (entry: Entry): Entry => ({ ...entry, term: toTerm(5) });
    const result = await repairWal('/data', await peers({ change, commitIndex: 7 }), options(fileSystem));
    expect(result).toMatchObject({ fetched: [{ from: 7, to: 7 }], droppedFrom: 8 });
    expect((await readLog(fileSystem)).entries.map(({ index, term }) => [index, term]).slice(-2)).toEqual([
      [6, 1],
      [7, 5],
    ]);
  });

  it('takes a snapshot where peers have compacted what is missing', async () => {
    const fileSystem = await directory();
    fileSystem.take(wal(4));
    const { storage } = storageOn(new FaultyFileSystem(), { nodeId: 2 });
    await storage.log.open();
    await save(storage, 8, 2);
    const stored = storage.snapshots.latest();
    if (stored === undefined) throw new Error('nothing was saved');
    const from = {
      ...(await peers({ firstIndex: 7 })),
      fetchSnapshot: async () => ({ stored, source: storage.snapshots }),
    };
    expect(await repairWal('/data', from, options(fileSystem))).toMatchObject({
      snapshotIndex: 8,
      fetched: [],
    });
    const again = storageOn(new FaultyFileSystem(fileSystem.disk.afterPowerCut([]))).storage;
    await again.log.open();
    expect((await again.snapshots.open())?.meta.index).toBe(8);
    expect(contentsOf(again.log)).toMatchObject({
      compactedIndex: 8,
      entries: [{ index: 9 }, { index: 10 }],
    });
  });

  it('that is only tried says what it would do and changes nothing', async () => {
    const fileSystem = await directory();
    fileSystem.take(wal(4));
    const before = listing(fileSystem);
    const result = await repairWal('/data', await peers({}), { ...options(fileSystem), dryRun: true });
    expect(result).toMatchObject({ fetched: [{ from: 4, to: 5 }], damagedLogPath: undefined });
    expect(listing(fileSystem)).toEqual(before);
  });

  it('that a power cut interrupts is finished by the next one', async () => {
    const whole = await original();
    const fileSystem = await directory({ commit: 9 });
    damage(fileSystem, wal(6));
    const from = await peers({}, {});
    const { images } = await exploreCrashes({
      fileSystem,
      workload: async (disk) => {
        await repairWal('/data', from, options(disk));
      },
      promised: () => undefined,
      check: async (left) => {
        await repairWal('/data', from, options(left));
        expect(await readLog(left)).toEqual(whole);
      },
    });
    expect(images).toBeGreaterThan(20);
    expect(ALL).toHaveLength(whole.entries.length);
  });
});

describe('a repair from the directories of other nodes', () => {
  /** Another node's directory beside ours, on the same disk. */
  async function withPeer(setup: Parameters<typeof directory>[0]): Promise<FaultyFileSystem> {
    const fileSystem = await directory({ commit: 9 });
    const peer = await directory(setup, { nodeId: 2 });
    for (const name of ['wal', 'snapshots/chunks', 'snapshots/partial'])
      fileSystem.disk.makeDirectory(`/peer/raft/${name}`);
    for (const [path, content] of peer.disk.contents())
      fileSystem.put(path.replace('/data/', '/peer/'), content);
    return fileSystem;
  }

  it('takes what their commit hints prove', async () => {
    const fileSystem = await withPeer({ commit: 8 });
    damage(fileSystem, wal(6));
    const from = await openDirectoryPeers(['/peer'], options(fileSystem));
    expect(await repairWal('/data', from, options(fileSystem))).toMatchObject({
      fetched: [{ from: 6, to: 6 }],
    });
    await expect(openDirectoryPeers(['/peer'], options(fileSystem))).rejects.toMatchObject({
      code: 'locked',
    });
    await from.close();
    expect(await readLog(fileSystem)).toEqual(await original());
  });

  it('takes a snapshot where they have compacted', async () => {
    const fileSystem = await withPeer({ snapshots: [6], compactTo: 6, commit: 8 });
    damage(fileSystem, wal(4));
    const from = await openDirectoryPeers(['/peer'], options(fileSystem));
    expect(await repairWal('/data', from, options(fileSystem))).toMatchObject({
      snapshotIndex: 6,
      fetched: [],
    });
    expect((await readLog(fileSystem)).entries.map(({ index }) => index)).toEqual([7, 8, 9, 10]);
  });

  it('is refused beyond what they know to be committed, and where they are damaged themselves', async () => {
    const fileSystem = await withPeer({ commit: 5 });
    damage(fileSystem, wal(6));
    const from = await openDirectoryPeers(['/peer'], options(fileSystem));
    expect(await refusedRepair(fileSystem, from)).toMatchObject({ code: 'unproven' });
    await from.close();
    damage(fileSystem, '/peer/raft/wal/4.json');
    await expect(openDirectoryPeers(['/peer'], options(fileSystem))).rejects.toMatchObject({
      code: 'corrupt',
      message: /damaged itself/,
    });
  });
});
