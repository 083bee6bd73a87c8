import { describe, expect, it } from 'vitest';
import { WalLogStore, isWalStorageError } from '../src/index.ts';
import { FaultyFileSystem } from '../src/testing/index.ts';
import type { InjectedFault } from '../src/testing/index.ts';
import { ModelledLog, checkLog, contentsOf } from './log-model.ts';

function openLog(fileSystem: FaultyFileSystem): WalLogStore {
  return new WalLogStore({
    dataDir: '/data',
    identity: { clusterId: 'c', nodeId: 1 },
    fileSystem,
    onWarning: () => undefined,
    payload: 'json',
    entriesPerFile: 4096,
    tailCacheSizeBytes: 0,
  });
}

async function started(): Promise<{ fileSystem: FaultyFileSystem; store: WalLogStore; model: ModelledLog }> {
  const fileSystem = new FaultyFileSystem();
  const store = openLog(fileSystem);
  const model = new ModelledLog(store);
  await model.open();
  await model.append(1, 3, 1, { term: 1, vote: 1 });
  return { fileSystem, store, model };
}

describe('a failing disk', () => {
  const faults: [string, InjectedFault, string][] = [
    ['fsync of the log fails', { call: 'sync', path: /wal/, code: 'EIO' }, 'io'],
    ['fsync of the directory fails', { call: 'syncDirectory', path: /wal/, code: 'EIO' }, 'io'],
    ['fsync of the vote fails', { call: 'sync', path: /vote/, code: 'EIO' }, 'io'],
    ['the vote cannot be renamed', { call: 'rename', path: /vote/, code: 'EIO' }, 'io'],
    ['the disk is full', { call: 'write', path: /wal/, code: 'ENOSPC' }, 'diskFull'],
    [
      'the disk fills up in the middle of a write',
      { call: 'write', path: /wal/, code: 'ENOSPC', writtenBytes: 70 },
      'diskFull',
    ],
    ['a quota is used up', { call: 'open', path: /wal/, code: 'EDQUOT' }, 'diskFull'],
  ];

  it.each(faults)(
    'acknowledges nothing and stops for good where %s, though it happens once',
    async (_, fault, code) => {
      const { fileSystem, store, model } = await started();
      fileSystem.inject(fault);
      const failed = await model.append(4, 2, 2, { term: 2, vote: 2 }).catch((error: unknown) => error);
      expect(failed).toMatchObject({ code });
      const calls = () =>
        [...fileSystem.calls]
          .filter(([call]) => /sync|write|rename|remove/.test(call))
          .map(([, count]) => count);
      const before = calls();
      await expect(store.append({ entries: [], hardState: undefined, mustSync: true })).rejects.toMatchObject(
        { code: 'failed', cause: failed },
      );
      await expect(store.compact(store.lastIndex())).rejects.toMatchObject({ code: 'failed' });
      expect(calls(), 'calls that change the disk after the failure').toEqual(before);
      expect(contentsOf(store).entries, 'reads go on').toHaveLength(3);
      await store.close();
      for (const disk of [fileSystem.disk.afterPowerCut([]), fileSystem.disk.afterShutdown()]) {
        const left = new FaultyFileSystem(disk);
        await checkLog(() => openLog(left), model.promised);
      }
    },
  );

  it('is told apart from a call that was wrong, after which the store goes on', async () => {
    const { store, model } = await started();
    await expect(model.append(7, 1, 1)).rejects.toMatchObject({ code: 'invalidArgument' });
    await store.close();
  });
});

describe('a full disk', () => {
  it('lets the node boot and read, and take up work once there is space and it was restarted', async () => {
    const { fileSystem, store, model } = await started();
    const used = [...fileSystem.disk.contents()].reduce((sum, [, content]) => sum + content.length, 0);
    fileSystem.limitCapacity(used + 200);
    await expect(model.append(4, 1, 1, undefined, 500)).rejects.toMatchObject({ code: 'diskFull' });
    await store.close();

    const stillFull = openLog(fileSystem);
    await stillFull.open();
    expect(contentsOf(stillFull).entries).toHaveLength(3);
    await stillFull.close();

    fileSystem.heal();
    await checkLog(() => openLog(fileSystem), model.promised);
  });
});

describe('a disk that is full when the node starts', () => {
  const usedOf = (fileSystem: FaultyFileSystem): number =>
    [...fileSystem.disk.contents()].reduce((sum, [, content]) => sum + content.length, 0);

  it('keeps it from nothing but appending', async () => {
    const { fileSystem, store } = await started();
    await store.close();
    const left = new FaultyFileSystem(fileSystem.disk.afterShutdown());
    left.limitCapacity(usedOf(left));
    const again = openLog(left);
    await again.open();
    expect(contentsOf(again).entries).toHaveLength(3);
    await again.close();
  });

  it('costs a torn append its whole entries, of which nothing was promised', async () => {
    const { fileSystem, store, model } = await started();
    await model.append(4, 3, 1);
    await store.close();
    const left = new FaultyFileSystem(fileSystem.disk.afterShutdown());
    left.put('/data/raft/wal/4.json', left.content('/data/raft/wal/4.json').slice(0, -10));
    left.limitCapacity(usedOf(left));
    const again = openLog(left);
    await again.open();
    expect(contentsOf(again).entries).toHaveLength(3);
    await again.close();
    expect(left.disk.exists('/data/raft/wal/4.json')).toBe(false);
  });
});

describe('rot while the node runs', () => {
  it('is reported when the entry is read, and nothing wrong is returned', async () => {
    const { fileSystem, store } = await started();
    fileSystem.flipBit('/data/raft/wal/1.json', 8 * 150);
    const error = await Promise.resolve()
      .then(() => contentsOf(store))
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'corrupt', path: '/data/raft/wal/1.json', index: 1, line: 1 });
    expect(isWalStorageError(error) && error.repair.length).toBeGreaterThan(0);
    await store.close();
  });
});
