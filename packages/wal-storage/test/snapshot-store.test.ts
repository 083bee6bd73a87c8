import { randomBytes } from 'node:crypto';
import type { SnapshotContent, SnapshotMeta, StoredSnapshot } from '@pact-journal/raft-core';
import { toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DirectorySnapshotStore } from '../src/index.ts';
import type { PayloadFormat } from '../src/index.ts';
import { FaultyFileSystem } from '../src/testing/index.ts';

function openStore(
  fileSystem = new FaultyFileSystem(),
  payload: PayloadFormat = 'auto',
): DirectorySnapshotStore {
  return new DirectorySnapshotStore({
    dataDir: '/data',
    clusterId: 'c',
    fileSystem,
    onWarning: () => undefined,
    payload,
  });
}

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

interface Section {
  readonly key: string;
  readonly sealed: boolean;
  readonly records: readonly Uint8Array[];
}

function content(
  sections: readonly Section[],
  onRead: (key: string) => void = () => undefined,
): SnapshotContent {
  return {
    sections: sections.map(({ key, sealed, records }) => ({
      key,
      sealed,
      records: () => {
        onRead(key);
        return records;
      },
    })),
    release: () => undefined,
  };
}

async function read(
  store: DirectorySnapshotStore,
  stored: StoredSnapshot,
): Promise<{ key: string; records: string[] }[]> {
  const found = [];
  for await (const { key, records } of store.load(stored)) {
    const list: string[] = [];
    for await (const record of records) list.push(Buffer.from(record).toString('hex'));
    found.push({ key, records: list });
  }
  return found;
}

const plain = (sections: readonly Section[]) =>
  sections.map(({ key, records }) => ({
    key,
    records: records.map((record) => Buffer.from(record).toString('hex')),
  }));

const bytesOf = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const WITHOUT_NEWLINE = fc
  .uint8Array({ maxLength: 200 })
  .map((bytes) => bytes.map((byte) => (byte === 0x0a ? 0x0b : byte)));

describe('a snapshot', () => {
  it.each<PayloadFormat>(['auto', 'json', 'bytes'])(
    'gives back any records exactly, stored as %s',
    async (payload) => {
      const records = fc.array(fc.oneof(WITHOUT_NEWLINE, fc.json().map(bytesOf)), { maxLength: 30 });
      const sections = fc.array(fc.record({ sealed: fc.boolean(), records }), { maxLength: 4 });
      await fc.assert(
        fc.asyncProperty(sections, async (list) => {
          const store = openStore(new FaultyFileSystem(), payload);
          await store.open();
          const saved = list.map((section, position) => ({ key: `section/${position}`, ...section }));
          const stored = await store.save(meta(1), content(saved));
          expect(await read(store, stored)).toEqual(plain(saved));
        }),
        { numRuns: 40 },
      );
    },
  );

  it('holds large sections and large records, open and sealed', async () => {
    const small = Array.from({ length: 9000 }, (_, i) => bytesOf(`{"node":"node-${i}","state":"Committed"}`));
    const large = bytesOf(`{"data":"${'A'.repeat(3 << 20)}"}`);
    const saved: Section[] = [
      {
        key: 'open',
        sealed: false,
        records: [
          ...small,
          large,
          ...small.slice(0, 5),
          Uint8Array.from({ length: 400_000 }, (_, i) => (i % 10) + 11),
        ],
      },
      { key: 'sealed', sealed: true, records: [...small, large, ...small.slice(0, 5)] },
    ];
    const fileSystem = new FaultyFileSystem();
    const store = openStore(fileSystem);
    await store.open();
    const stored = await store.save(meta(7), content(saved));
    expect(await read(store, stored)).toEqual(plain(saved));
    const again = openStore(new FaultyFileSystem(fileSystem.disk.afterShutdown()));
    expect(await again.open()).toEqual(stored);
    expect(await read(again, stored)).toEqual(plain(saved));
  });

  it('shows the records of a small open section as JSON', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = openStore(fileSystem);
    await store.open();
    await store.save(
      meta(7),
      content([{ key: 'state', sealed: false, records: [bytesOf('{"answer":42}')] }]),
    );
    const lines = Buffer.from(fileSystem.content('/data/raft/snapshots/snap-1-7.json'))
      .toString('utf8')
      .trimEnd()
      .split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toContainEqual({ record: { answer: 42 } });
  });

  it('does not read a sealed section that an earlier one holds', async () => {
    const store = openStore();
    await store.open();
    const sections: Section[] = ['a', 'b'].map((key) => ({ key, sealed: true, records: [bytesOf(key)] }));
    await store.save(meta(1), content(sections.slice(0, 1)));
    const asked: string[] = [];
    const stored = await store.save(
      meta(2),
      content(sections, (key) => asked.push(key)),
    );
    expect(asked).toEqual(['b']);
    expect(await read(store, stored)).toEqual(plain(sections));
  });

  it('is kept with its chunks as one of the newest three, and longer while a peer reads it', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = openStore(fileSystem);
    await store.open();
    const save = (index: number): Promise<StoredSnapshot> =>
      store.save(
        meta(index),
        content([{ key: `only/${index}`, sealed: true, records: [bytesOf(`chunk of ${index}`)] }]),
      );
    const names = (part: string): string[] =>
      [...fileSystem.disk.contents()].map(([path]) => path).filter((path) => path.includes(part));
    const first = await save(1);
    for (const index of [2, 3, 4]) await save(index);
    expect(names('/snap-')).toHaveLength(3);
    expect(names('/chunks/')).toHaveLength(3);
    await expect(store.read(first.manifest.sha256, 0, 10)).rejects.toMatchObject({ code: 'unknownChunk' });
    const second = store.latest();
    if (second === undefined) throw new Error('nothing was saved');
    await store.read(second.manifest.sha256, 0, 10);
    for (const index of [5, 6, 7, 8]) await save(index);
    expect(names('/snap-').map((path) => /-([0-9]+)\.json/.exec(path)?.[1])).toEqual(['4', '6', '7', '8']);
    expect(await read(store, second)).toHaveLength(1);
  });

  it('is received from another peer after one that hung was given up, and closing gives up too', async () => {
    const from = openStore();
    await from.open();
    const stored = await from.save(
      meta(5),
      content([{ key: 's', sealed: true, records: [bytesOf('record')] }]),
    );
    const store = openStore();
    await store.open();
    const hanging = { read: () => new Promise<Uint8Array>(() => undefined) };
    const abort = new AbortController();
    const first = store.receive(stored, hanging, abort.signal);
    abort.abort(new Error('too slow'));
    await expect(first).rejects.toMatchObject({ code: 'aborted' });
    await store.receive(stored, from, new AbortController().signal);
    await store.install(stored);
    expect(store.latest()).toEqual(stored);

    const other = openStore();
    await other.open();
    const second = other.receive(stored, hanging, new AbortController().signal);
    const outcome = expect(second).rejects.toMatchObject({ code: 'aborted' });
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    await other.close();
    await outcome;
  });

  it('is fetched again after a sync that failed, which may have lost what can still be read', async () => {
    const from = openStore();
    await from.open();
    const stored = await from.save(
      meta(5),
      content([{ key: 's', sealed: true, records: [bytesOf('record')] }]),
    );
    const fileSystem = new FaultyFileSystem();
    const store = openStore(fileSystem);
    await store.open();
    for (const path of ['/data/raft', '/data', '/', '/data/raft/snapshots'])
      await fileSystem.syncDirectory(path);
    fileSystem.inject({ call: 'sync', path: /part$/, code: 'EIO', times: 2 });
    const never = new AbortController().signal;
    await expect(store.receive(stored, from, never)).rejects.toMatchObject({ code: 'io' });
    await expect(store.receive(stored, from, never)).rejects.toMatchObject({ code: 'io' });
    await store.receive(stored, from, never);
    await store.install(stored);
    const left = openStore(new FaultyFileSystem(fileSystem.disk.afterPowerCut([])));
    expect(await left.open()).toEqual(stored);
  });

  it('of another cluster is refused when it is received', async () => {
    const theirs = new DirectorySnapshotStore({
      dataDir: '/data',
      clusterId: 'other',
      fileSystem: new FaultyFileSystem(),
      onWarning: () => undefined,
      payload: 'auto',
    });
    await theirs.open();
    const stored = await theirs.save(meta(5), content([]));
    const store = openStore();
    await store.open();
    await expect(store.receive(stored, theirs, new AbortController().signal)).rejects.toMatchObject({
      code: 'foreignDirectory',
    });
  });

  it.each(['/snapshots/snap-1-7.json', '/chunks/'])(
    'with any bit of %s flipped is not used',
    async (part) => {
      const fileSystem = new FaultyFileSystem();
      const store = openStore(fileSystem);
      await store.open();
      const records = [bytesOf('{"a":1}'), bytesOf('{"b":2}')];
      await store.save(
        meta(7),
        content([
          { key: 's', sealed: true, records },
          { key: 'o', sealed: false, records },
        ]),
      );
      const path =
        [...fileSystem.disk.contents()].map(([name]) => name).find((name) => name.includes(part)) ?? '';
      for (let bit = 0; bit < fileSystem.content(path).length * 8; bit++) {
        fileSystem.flipBit(path, bit);
        expect(await openStore(fileSystem).open(), `bit ${bit}`).toBeUndefined();
        fileSystem.flipBit(path, bit);
      }
      expect((await openStore(fileSystem).open())?.meta.index).toBe(7);
    },
  );

  it('cannot be saved on a full disk, and the one before stays', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = openStore(fileSystem);
    await store.open();
    const stored = await store.save(meta(1), content([]));
    fileSystem.limitCapacity(1000);
    const records = [new Uint8Array(randomBytes(5000)).map((byte) => (byte === 0x0a ? 0x0b : byte))];
    await expect(store.save(meta(2), content([{ key: 's', sealed: true, records }]))).rejects.toMatchObject({
      code: 'diskFull',
    });
    expect(await openStore(new FaultyFileSystem(fileSystem.disk.afterShutdown())).open()).toEqual(stored);
  });
});
