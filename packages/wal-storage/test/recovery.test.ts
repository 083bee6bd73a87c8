/** A test for each row of RECOVERY.md. */
import { toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import { describe, expect, it } from 'vitest';
import { WalLogStore } from '../src/index.ts';
import type { WalStorage } from '../src/index.ts';
import { FaultyFileSystem } from '../src/testing/index.ts';
import { ALL, RAFT, cut, damage, directory, listing, save, storageOn, wal } from './damaged-directory.ts';
import { ModelledLog, contentsOf } from './log-model.ts';

async function refused(
  fileSystem: FaultyFileSystem,
  identity?: { clusterId?: string; nodeId?: number },
): Promise<unknown> {
  const before = listing(fileSystem);
  const { storage } = storageOn(fileSystem, identity);
  const error = await storage.log.open().then(
    () => 'it was opened',
    (thrown: unknown) => thrown,
  );
  expect(listing(fileSystem), 'what a refused directory holds').toEqual(before);
  return error;
}

async function accepted(
  fileSystem: FaultyFileSystem,
): Promise<{ indexes: number[]; warnings: string[]; storage: WalStorage }> {
  const { storage, warnings } = storageOn(fileSystem);
  await storage.log.open();
  await storage.snapshots.open();
  const indexes = contentsOf(storage.log).entries.map((entry) => entry.index);
  return { indexes, warnings: warnings.map((warning) => warning.code), storage };
}

describe('whose directory it is', () => {
  it('R1: nothing is set up', async () => {
    const fileSystem = new FaultyFileSystem();
    const { indexes, warnings } = await accepted(fileSystem);
    expect([indexes, warnings]).toEqual([[], []]);
    for (const name of ['identity', 'vote', 'bounds'])
      expect(fileSystem.disk.exists(`${RAFT}/${name}.json`)).toBe(true);
  });

  it('R2: a set-up that was cut short is done again', async () => {
    const fileSystem = new FaultyFileSystem();
    fileSystem.inject({ call: 'rename', path: /identity/, code: 'EIO' });
    expect(
      await storageOn(fileSystem)
        .storage.log.open()
        .catch((error: unknown) => error),
    ).toMatchObject({ code: 'io' });
    expect((await accepted(fileSystem)).indexes).toEqual([]);
  });

  it('R3: a directory in use without its identity is refused', async () => {
    const fileSystem = await directory();
    fileSystem.take(`${RAFT}/identity.json`);
    expect(await refused(fileSystem)).toMatchObject({
      code: 'metadataMissing',
      path: `${RAFT}/identity.json`,
    });
    for (const file of [1, 4, 6, 7]) fileSystem.take(wal(file));
    expect(await refused(fileSystem), 'with its vote only').toMatchObject({ code: 'metadataMissing' });
  });

  it('R4: the directory of another cluster or node is refused', async () => {
    const fileSystem = await directory();
    expect(await refused(fileSystem, { clusterId: 'other' })).toMatchObject({ code: 'foreignDirectory' });
    expect(await refused(fileSystem, { nodeId: 2 })).toMatchObject({
      code: 'foreignDirectory',
      message: /node 1 of cluster alps.*node 2/,
    });
  });

  it('R5: a newer format is refused', async () => {
    const fileSystem = await directory();
    const { sealDocument } = await import('../src/checksum.ts');
    fileSystem.put(`${RAFT}/identity.json`, sealDocument({ format: 2, something: 'new' }));
    expect(await refused(fileSystem)).toMatchObject({ code: 'newerFormat', message: /format 2/ });
  });

  it('R6: a directory that is open already is refused', async () => {
    const fileSystem = await directory();
    const { storage } = await accepted(fileSystem);
    expect(await refused(fileSystem)).toMatchObject({ code: 'locked' });
    await storage.log.close();
    expect((await accepted(fileSystem)).indexes).toEqual(ALL);
  });

  it.each(['wal', 'snapshots'])('R7: a directory without %s/ is refused', async (name) => {
    const whole = await directory();
    const fileSystem = new FaultyFileSystem();
    fileSystem.disk.makeDirectory(RAFT);
    for (const [path, content] of whole.disk.contents()) {
      if (path.split('/').length === 4) fileSystem.put(path, content);
    }
    if (name === 'snapshots') fileSystem.disk.makeDirectory(`${RAFT}/wal`);
    expect(await refused(fileSystem)).toMatchObject({ code: 'metadataMissing', path: `${RAFT}/${name}` });
  });

  it.each([
    ['a log file cannot be read', { call: 'readSync', path: /wal/, code: 'EACCES' }],
    ['the directory cannot be listed', { call: 'list', path: /wal/, code: 'EACCES' }],
    ['the vote cannot be read', { call: 'readSync', path: /vote/, code: 'EPERM' }],
  ] as const)('R8: refused where %s', async (_, fault) => {
    const fileSystem = await directory();
    fileSystem.inject(fault);
    expect(await refused(fileSystem)).toMatchObject({
      code: 'permission',
      message: /must own the data directory/,
    });
  });
});

describe('the small files', () => {
  it('R9: a missing vote is refused', async () => {
    const fileSystem = await directory();
    fileSystem.take(`${RAFT}/vote.json`);
    expect(await refused(fileSystem)).toMatchObject({
      code: 'voteMissing',
      path: `${RAFT}/vote.json`,
      message: /repair/,
    });
  });

  it('R10: a torn or damaged vote is refused', async () => {
    const fileSystem = await directory();
    damage(fileSystem, `${RAFT}/vote.json`, 30);
    expect(await refused(fileSystem)).toMatchObject({ code: 'voteCorrupt' });
    cut(fileSystem, `${RAFT}/vote.json`, 0);
    expect(await refused(fileSystem)).toMatchObject({ code: 'voteCorrupt' });
  });

  it('R11: missing or damaged bounds are refused', async () => {
    const fileSystem = await directory();
    damage(fileSystem, `${RAFT}/bounds.json`, 30);
    expect(await refused(fileSystem)).toMatchObject({ code: 'corrupt', path: `${RAFT}/bounds.json` });
    fileSystem.take(`${RAFT}/bounds.json`);
    expect(await refused(fileSystem)).toMatchObject({ code: 'metadataMissing' });
  });

  it('R12: a missing commit hint is no loss', async () => {
    const fileSystem = await directory({ commit: 8 });
    fileSystem.take(`${RAFT}/committed.json`);
    expect(await accepted(fileSystem)).toMatchObject({ indexes: ALL, warnings: [] });
  });

  it('R13: a torn commit hint is ignored', async () => {
    const fileSystem = await directory({ commit: 8 });
    cut(fileSystem, `${RAFT}/committed.json`, 50);
    expect(await accepted(fileSystem)).toMatchObject({ indexes: ALL, warnings: ['commitHintIgnored'] });
  });

  it('R14: a commit hint beyond the log is refused', async () => {
    const fileSystem = await directory({ commit: 8 });
    fileSystem.take(wal(7));
    expect(await refused(fileSystem)).toMatchObject({
      code: 'committedBeyondLog',
      index: 7,
      message: /entries 7 to 8 are lost/,
    });
  });
});

describe('a reset', () => {
  it('never lets the commit hint run ahead of the log', async () => {
    const fileSystem = await directory();
    const { storage } = await accepted(fileSystem);
    const hardState = { term: toTerm(5), vote: toNodeId(0), commit: toLogIndex(70) };
    await storage.log.reset(toLogIndex(50), toTerm(4), hardState);
    await storage.log.close();
    const log = new WalLogStore({
      dataDir: '/data',
      identity: { clusterId: 'alps', nodeId: 1 },
      fileSystem: new FaultyFileSystem(fileSystem.disk.afterShutdown()),
      onWarning: () => undefined,
      payload: 'json',
      entriesPerFile: 10,
      tailCacheSizeBytes: 0,
    });
    expect(await log.open()).toMatchObject({ lastIndex: 50, hardState: { term: 5, commit: 50 } });
  });
});

describe('the log', () => {
  it.each([
    ['in its last line', -1, [1, 2, 3, 4, 5, 6, 7, 8, 9]],
    ['between two lines', undefined, [1, 2, 3, 4, 5, 6, 7, 8]],
    ['in its first line', 100, [1, 2, 3, 4, 5, 6]],
    ['after one byte', 1, [1, 2, 3, 4, 5, 6]],
  ])('R15: of a last file cut short %s the whole entries are kept', async (_, length, indexes) => {
    const fileSystem = await directory({ commit: 6 });
    const text = Buffer.from(fileSystem.content(wal(7))).toString('latin1');
    cut(fileSystem, wal(7), length ?? text.indexOf('\n', text.indexOf('\n') + 1) + 1);
    expect(await accepted(fileSystem)).toMatchObject({ indexes, warnings: ['tornTailDropped'] });
    expect(await accepted(new FaultyFileSystem(fileSystem.disk.afterPowerCut([])))).toMatchObject({
      indexes,
      warnings: [],
    });
  });

  it('R15: sectors that were never written, or bytes after the append, are dropped', async () => {
    const fileSystem = await directory();
    const content = Uint8Array.from(fileSystem.content(wal(7)));
    fileSystem.put(wal(7), content.slice().fill(0, 1024, 1536));
    expect(await accepted(new FaultyFileSystem(fileSystem.disk.fork()))).toMatchObject({
      indexes: [1, 2, 3, 4, 5, 6, 7],
      warnings: ['tornTailDropped'],
    });
    fileSystem.put(wal(7), Buffer.concat([content, Buffer.from('{"crc32c":"0123')]));
    expect(await accepted(fileSystem)).toMatchObject({ indexes: ALL, warnings: ['tornTailDropped'] });
  });

  it('R16: an empty last file is removed', async () => {
    const fileSystem = await directory();
    fileSystem.put(wal(11), new Uint8Array());
    expect(await accepted(fileSystem)).toMatchObject({ indexes: ALL, warnings: ['tornTailDropped'] });
    expect(fileSystem.disk.exists(wal(11))).toBe(false);
  });

  it('R17: a last file cut short is refused if what is missing was committed', async () => {
    const fileSystem = await directory({ commit: 9 });
    cut(fileSystem, wal(7), 700);
    expect(await refused(fileSystem)).toMatchObject({ code: 'committedBeyondLog', index: 8 });
  });

  it('R18: a file cut short is refused where it is not the last', async () => {
    const fileSystem = await directory();
    cut(fileSystem, wal(4), -1);
    expect(await refused(fileSystem)).toMatchObject({ code: 'corrupt', path: wal(4), line: 2, index: 5 });
    cut(fileSystem, wal(4), 0);
    expect(await refused(fileSystem)).toMatchObject({ code: 'corrupt', path: wal(4), line: 1, index: 4 });
  });

  it('R18: a file cut short is refused where entries of it were compacted', async () => {
    const fileSystem = await directory({ snapshots: [8], compactTo: 8 });
    cut(fileSystem, wal(7), -1);
    expect(await refused(fileSystem)).toMatchObject({ code: 'corrupt', path: wal(7), line: 4, index: 10 });
  });

  it.each([1, 4, 6, 7])('R19: a bad checksum in file %i is refused', async (file) => {
    const fileSystem = await directory();
    damage(fileSystem, wal(file));
    expect(await refused(fileSystem)).toMatchObject({
      code: 'corrupt',
      path: wal(file),
      line: 1,
      index: file,
      repair: [/wal repair/, /new node id/].map((text) => expect.stringMatching(text) as unknown),
    });
  });

  it('R20: a missing file is refused', async () => {
    const fileSystem = await directory();
    fileSystem.take(wal(4));
    expect(await refused(fileSystem)).toMatchObject({
      code: 'hole',
      index: 4,
      path: wal(6),
      message: /entries 4 to 5 are missing/,
    });
  });

  it('R21: a missing beginning is refused', async () => {
    const fileSystem = await directory();
    fileSystem.take(wal(1));
    expect(await refused(fileSystem)).toMatchObject({ code: 'hole', index: 1 });
    const compacted = await directory({ snapshots: [5], compactTo: 5 });
    compacted.take(wal(6));
    expect(await refused(compacted)).toMatchObject({ code: 'hole', index: 6 });
  });

  it('R22: overlapping and duplicate files are refused', async () => {
    const fileSystem = await directory();
    fileSystem.put(wal(5), fileSystem.content(wal(4)));
    expect(await refused(fileSystem)).toMatchObject({ code: 'overlap', path: wal(5), index: 5 });
  });

  it('R23: a valid file of another log is refused', async () => {
    const fileSystem = await directory();
    const other = new FaultyFileSystem();
    const { storage } = storageOn(other);
    const model = new ModelledLog(storage.log);
    await model.open();
    await model.append(1, 5, 1, { term: 1, vote: 1 }, 30);
    await model.append(6, 1, 1);
    fileSystem.put(wal(6), other.content(wal(6)));
    expect(await refused(fileSystem)).toMatchObject({
      code: 'corrupt',
      path: wal(6),
      line: 1,
      message: /does not continue entry 5/,
    });
  });

  it('R24: a truncation that was begun is finished', async () => {
    const fileSystem = await directory();
    fileSystem.inject({ call: 'remove', path: /wal.7.json$/, code: 'EIO' });
    const { storage } = storageOn(fileSystem);
    await storage.log.open();
    const conflict = {
      index: toLogIndex(5),
      term: toTerm(3),
      type: 'normal' as const,
      data: Buffer.from('{}'),
    };
    const hardState = { term: toTerm(3), vote: toNodeId(0), commit: toLogIndex(0) };
    await expect(
      storage.log.append({ entries: [conflict], hardState, mustSync: true }),
    ).rejects.toMatchObject({ code: 'io' });
    const left = new FaultyFileSystem(fileSystem.disk.afterPowerCut([]));
    expect(left.disk.exists(wal(7))).toBe(true);
    expect((await accepted(left)).indexes).toEqual([1, 2, 3, 4]);
  });

  it('R25: files of compacted entries are removed', async () => {
    const fileSystem = await directory({ snapshots: [6], compactTo: 6 });
    const before = await directory();
    for (const file of [1, 4]) fileSystem.put(wal(file), before.content(wal(file)));
    expect((await accepted(fileSystem)).indexes).toEqual([7, 8, 9, 10]);
    expect(fileSystem.disk.exists(wal(1))).toBe(false);
    expect(fileSystem.disk.exists(wal(7))).toBe(true);
  });

  it('R26: temporary files are removed', async () => {
    const fileSystem = await directory();
    fileSystem.put(`${RAFT}/vote.json.tmp`, Buffer.from('half'));
    fileSystem.put(`${wal(6)}.tmp`, Buffer.from('half'));
    expect(await accepted(fileSystem)).toMatchObject({
      indexes: ALL,
      warnings: ['temporaryRemoved', 'temporaryRemoved'],
    });
    expect(Object.keys(listing(fileSystem)).filter((path) => path.endsWith('.tmp'))).toEqual([]);
  });

  it.each(['README', '7.json.bak', '007.json', 'x.json', '-1.json'])(
    'R27: a foreign file %s is left alone',
    async (name) => {
      const fileSystem = await directory();
      fileSystem.put(`${RAFT}/wal/${name}`, Buffer.from('not ours'));
      expect(await accepted(fileSystem)).toMatchObject({ indexes: ALL, warnings: ['foreignFile'] });
      expect(fileSystem.content(`${RAFT}/wal/${name}`)).toEqual(Uint8Array.from(Buffer.from('not ours')));
    },
  );

  it('R28: what a killed process had not synced is durable once it was seen', async () => {
    const fileSystem = new FaultyFileSystem();
    const { storage } = storageOn(fileSystem);
    const model = new ModelledLog(storage.log);
    await model.open();
    fileSystem.inject({ call: 'syncDirectory', path: /wal$/, code: 'EIO' });
    fileSystem.inject({ call: 'sync', path: /wal/, code: 'EIO' });
    await expect(model.append(1, 2, 1, { term: 1, vote: 1 })).rejects.toMatchObject({ code: 'io' });
    const next = new FaultyFileSystem(fileSystem.disk.fork());
    expect((await accepted(next)).indexes).toEqual([1, 2]);
    expect((await accepted(new FaultyFileSystem(next.disk.afterPowerCut([])))).indexes).toEqual([1, 2]);
  });
});

describe('snapshots', () => {
  const snapshot = (index: number, term: number): string => `${RAFT}/snapshots/snap-${term}-${index}.json`;

  it('R29: a half-written snapshot is removed', async () => {
    const fileSystem = await directory({ snapshots: [5] });
    fileSystem.put(`${snapshot(6, 1)}.tmp`, fileSystem.content(snapshot(5, 1)).slice(0, 200));
    const { warnings, storage } = await accepted(fileSystem);
    expect([warnings, storage.snapshots.latest()?.meta.index]).toEqual([['temporaryRemoved'], 5]);
  });

  it.each(['the snapshot', 'its chunk'])(
    'R30: where %s is damaged, an older one is used if the log reaches it',
    async (what) => {
      const fileSystem = await directory({ snapshots: [5, 8], compactTo: 5 });
      damage(fileSystem, what === 'the snapshot' ? snapshot(8, 2) : newestChunk(fileSystem, 8), 20);
      const { warnings, storage, indexes } = await accepted(fileSystem);
      expect([warnings, storage.snapshots.latest()?.meta.index]).toEqual([['snapshotIgnored'], 5]);
      expect(indexes).toEqual([6, 7, 8, 9, 10]);
    },
  );

  it('R31: a log that no usable snapshot reaches is refused', async () => {
    const fileSystem = await directory({ snapshots: [5, 8], compactTo: 8 });
    damage(fileSystem, snapshot(8, 2));
    expect(await refused(fileSystem)).toMatchObject({
      code: 'logWithoutSnapshot',
      message: /begins with entry 9.*ends with entry 5/,
    });
    fileSystem.take(snapshot(5, 1));
    fileSystem.take(snapshot(8, 2));
    expect(await refused(fileSystem)).toMatchObject({
      code: 'logWithoutSnapshot',
      message: /no usable snapshot/,
    });
  });

  it.each([
    ['beyond the log', 50, 3],
    ['that contradicts the log', 9, 3],
  ])('R32: after a snapshot %s the log starts over', async (_, index, term) => {
    const fileSystem = await directory();
    const { storage: other } = storageOn(new FaultyFileSystem(), { nodeId: 2 });
    await other.log.open();
    await other.snapshots.open();
    await save(other, index, term);
    const stored = other.snapshots.latest();
    if (stored === undefined) throw new Error('nothing was saved');
    const { storage } = await accepted(fileSystem);
    await storage.snapshots.receive(stored, other.snapshots, new AbortController().signal);
    await storage.snapshots.install(stored);

    const left = new FaultyFileSystem(fileSystem.disk.afterPowerCut([]));
    const again = await accepted(left);
    expect(again.warnings).toEqual(['snapshotBeyondLog']);
    expect([again.storage.log.firstIndex(), again.storage.log.lastIndex()]).toEqual([index + 1, index]);
    expect(again.storage.log.term(toLogIndex(index))).toBe(term);
    expect(JSON.parse(Buffer.from(left.content(`${RAFT}/vote.json`)).toString())).toMatchObject({
      term: 3,
      vote: 0,
    });
    expect((await accepted(new FaultyFileSystem(left.disk.afterPowerCut([])))).warnings).toEqual([]);
  });

  it('R33: a half-received snapshot is kept for the rest of the transfer', async () => {
    const fileSystem = await directory();
    fileSystem.put(`${RAFT}/snapshots/partial/${'a'.repeat(64)}.part`, Buffer.from('half'));
    expect(await accepted(fileSystem)).toMatchObject({ indexes: ALL, warnings: [] });
    expect(fileSystem.disk.exists(`${RAFT}/snapshots/partial/${'a'.repeat(64)}.part`)).toBe(true);
  });

  it("R34: another cluster's snapshot is left alone", async () => {
    const fileSystem = await directory();
    const foreign = new FaultyFileSystem();
    const { storage } = storageOn(foreign, { clusterId: 'other' });
    await storage.log.open();
    await save(storage, 20, 1);
    fileSystem.put(snapshot(20, 1), foreign.content(snapshot(20, 1)));
    const opened = await accepted(fileSystem);
    expect([opened.indexes, opened.warnings]).toEqual([ALL, ['snapshotIgnored']]);
    expect(opened.storage.snapshots.latest()).toBeUndefined();
  });

  function newestChunk(fileSystem: FaultyFileSystem, index: number): string {
    const text = Buffer.from(fileSystem.content(snapshot(index, 2))).toString('utf8');
    const sha256 = /"sha256":"([0-9a-f]{64})"/.exec(text)?.[1];
    return `${RAFT}/snapshots/chunks/${sha256 ?? 'none'}.jsonl.zst`;
  }
});
