import { afterEach, describe, expect, it, vi } from 'vitest';
import { WalLogStore } from '../src/index.ts';
import { FaultyFileSystem, exploreCrashes } from '../src/testing/index.ts';
import { ModelledLog, checkDurableOnceSeen, checkLog } from './log-model.ts';

function openLog(fileSystem: FaultyFileSystem, entriesPerFile: number): WalLogStore {
  return new WalLogStore({
    dataDir: '/data',
    identity: { clusterId: 'c', nodeId: 1 },
    fileSystem,
    onWarning: () => undefined,
    payload: 'json',
    entriesPerFile,
    tailCacheSizeBytes: 0,
  });
}

/** Every kind of change: appends of one and of many, a new vote, conflicts within and across files, compaction, reset. */
async function workload(model: ModelledLog, store: WalLogStore): Promise<void> {
  await model.open();
  await model.append(1, 1, 1, { term: 1, vote: 1 });
  await model.append(2, 4, 1);
  await model.commit(2);
  await model.append(6, 1, 1);
  await model.append(4, 1, 2, { term: 2, vote: 3 });
  await model.append(5, 3, 2, undefined, 600);
  await model.append(8, 1, 2);
  await model.append(8, 2, 3, { term: 3, vote: 0 });
  await model.commit(8);
  await model.compact(2);
  await store.idle();
  await model.compact(6);
  await model.append(10, 2, 3);
  await store.idle();
  await model.compact(11);
  await model.append(12, 1, 4, { term: 4, vote: 2 });
  await model.reset(100, 7, { term: 7, vote: 0 });
  await model.append(101, 2, 8, { term: 8, vote: 1 });
  await store.close();
}

/**
 * Appends that follow one another, with a compaction in between that leaves files to use again. Some follow at once, and
 * some after turns of the event loop, in which files are made ready for them.
 */
async function reuse(model: ModelledLog, store: WalLogStore): Promise<void> {
  await model.open();
  await model.append(1, 1, 1, { term: 1, vote: 1 });
  for (let index = 2; index <= 5; index += 1) await model.append(index, 1, 1);
  await model.commit(5);
  await model.compact(5);
  for (let index = 6; index <= 10; index += 1) {
    await model.append(index, 1, 1);
    for (let turn = 0; index > 7 && turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  await model.commit(10);
  await model.compact(9);
  await model.append(11, 3, 1);
  await model.append(12, 1, 2, { term: 2, vote: 1 });
  await store.close();
}

/** Files are emptied, and the files after them, by which they would be known, are removed. */
const afterEmptying: Readonly<Record<string, (model: ModelledLog, store: WalLogStore) => Promise<void>>> = {
  'the log is closed': async (_, store) => store.close(),
  'a snapshot is installed': async (model, store) => {
    await model.reset(100, 7, { term: 7, vote: 0 });
    await model.append(101, 1, 8, { term: 8, vote: 1 });
    await store.close();
  },
  'the log is cut off right after the compaction point': async (model, store) => {
    await model.append(5, 3, 1);
    await model.append(5, 1, 2, { term: 2, vote: 1 });
    await store.close();
  },
};

async function emptied(model: ModelledLog): Promise<void> {
  await model.open();
  await model.append(1, 1, 1, { term: 1, vote: 1 });
  for (let index = 2; index <= 4; index += 1) await model.append(index, 1, 1);
  await model.commit(4);
  await model.compact(4);
  for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
}

interface Exploration {
  readonly entriesPerFile: number;
  readonly workload?: typeof workload;
  readonly fileSystem?: FaultyFileSystem;
  readonly alsoDuringRecovery?: boolean;
  readonly cutsPerWrite?: number;
  readonly combinationsMax?: number;
}

/** Files are used again only while appends follow one another closely, however busy the machine is. */
function stopClock(): void {
  vi.useFakeTimers({ toFake: ['performance'] });
}
afterEach(() => vi.useRealTimers());

async function explore(options: Exploration): Promise<{ cuts: number; images: number }> {
  const { entriesPerFile, fileSystem = new FaultyFileSystem(), cutsPerWrite = 4 } = options;
  const store = openLog(fileSystem, entriesPerFile);
  const model = new ModelledLog(store);
  return exploreCrashes({
    fileSystem,
    cutsPerWrite,
    ...(options.combinationsMax === undefined ? {} : { combinationsMax: options.combinationsMax }),
    workload: () => (options.workload ?? workload)(model, store),
    promised: () => model.promised,
    check: (left, promised) => checkLog(() => openLog(left, entriesPerFile), promised),
    checkKilled: (left, promised) =>
      checkDurableOnceSeen(
        (disk) => openLog(disk === undefined ? left : new FaultyFileSystem(disk), entriesPerFile),
        left,
        promised,
      ),
    ...(options.alsoDuringRecovery === true
      ? {
          recover: async (left: FaultyFileSystem) => {
            const again = openLog(left, entriesPerFile);
            await again.open();
            await again.close();
          },
        }
      : {}),
  });
}

/** A disk that says yes to every sync of a directory and does nothing. */
class ForgetfulDirectories extends FaultyFileSystem {
  override async syncDirectory(): Promise<void> {}
}

/** A disk on which certain files are not synced: what forgetting an fsync in the store would come to. */
class ForgetfulFiles extends FaultyFileSystem {
  readonly #which: RegExp;

  constructor(which: RegExp) {
    super();
    this.#which = which;
  }

  override async open(
    ...[path, mode]: Parameters<FaultyFileSystem['open']>
  ): ReturnType<FaultyFileSystem['open']> {
    const file = await super.open(path, mode);
    if (!this.#which.test(path)) return file;
    return { ...file, sync: async () => undefined, writeDurably: file.write };
  }
}

/** A disk on which a file that was emptied to be used again is not synced then. */
class ForgetfulEmptying extends FaultyFileSystem {
  override async open(
    ...[path, mode]: Parameters<FaultyFileSystem['open']>
  ): ReturnType<FaultyFileSystem['open']> {
    const file = await super.open(path, mode);
    return mode === 'update' ? { ...file, sync: async () => undefined } : file;
  }
}

describe('a power cut at every system call', () => {
  it('loses nothing acknowledged and brings nothing back, one append a file', async () => {
    const { cuts, images } = await explore({ entriesPerFile: 4096, cutsPerWrite: 12 });
    expect(cuts).toBeGreaterThan(100);
    expect(images).toBeGreaterThan(500);
  });

  it('loses nothing acknowledged and brings nothing back where files are used again', async () => {
    stopClock();
    const fileSystem = new FaultyFileSystem();
    const { images } = await explore({ entriesPerFile: 4096, workload: reuse, fileSystem });
    expect(fileSystem.calls.get('empty')).toBeGreaterThan(3);
    expect(images).toBeGreaterThan(400);
  });

  it.each(Object.entries(afterEmptying))(
    'loses nothing acknowledged where files are made ready and then %s',
    async (_, then) => {
      stopClock();
      const fileSystem = new FaultyFileSystem();
      const { images } = await explore({
        entriesPerFile: 4096,
        workload: async (model, store) => {
          await emptied(model);
          await then(model, store);
        },
        fileSystem,
        combinationsMax: 2048,
      });
      expect(fileSystem.calls.get('empty')).toBeGreaterThan(1);
      expect(images).toBeGreaterThan(200);
    },
  );

  it('is noticed by this test where a file that is used again is not synced when it was emptied', async () => {
    stopClock();
    const fileSystem = new ForgetfulEmptying();
    await expect(explore({ entriesPerFile: 4096, workload: reuse, fileSystem })).rejects.toThrow(
      /after a power cut at call/,
    );
  });

  it('or a write torn at any byte costs only what was not acknowledged', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = openLog(fileSystem, 4096);
    const model = new ModelledLog(store);
    await model.open();
    await model.append(1, 2, 1, { term: 1, vote: 1 });
    const { images } = await exploreCrashes({
      fileSystem,
      cutsPerWrite: Infinity,
      workload: () => model.append(3, 3, 1),
      promised: () => model.promised,
      check: (left, promised) => checkLog(() => openLog(left, 4096), promised),
    });
    expect(images).toBeGreaterThan(400);
  });

  it('loses nothing acknowledged and brings nothing back, one entry a file', async () => {
    const { images } = await explore({ entriesPerFile: 1 });
    expect(images).toBeGreaterThan(300);
  });

  it('at every system call of the recovery from it loses nothing either', async () => {
    const { images } = await explore({ entriesPerFile: 4096, alsoDuringRecovery: true });
    expect(images).toBeGreaterThan(600);
  });

  it('nor where files are used again', async () => {
    stopClock();
    const { images } = await explore({ entriesPerFile: 4096, workload: reuse, alsoDuringRecovery: true });
    expect(images).toBeGreaterThan(600);
  });

  it.each([
    ['directories are not synced', new ForgetfulDirectories()],
    ['the log is not synced', new ForgetfulFiles(/wal\/[0-9]+\.json$/)],
    ['rewritten log files are not synced', new ForgetfulFiles(/wal\/[0-9]+\.json\.tmp$/)],
    ['the vote is not synced', new ForgetfulFiles(/vote\.json/)],
    ['the bounds are not synced', new ForgetfulFiles(/bounds\.json/)],
  ])('is noticed by this test where %s', async (_, fileSystem) => {
    await expect(explore({ entriesPerFile: 4096, fileSystem })).rejects.toThrow(/after a power cut at call/);
  });
});
