import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Entry, LogIndex, Term } from '@pact-journal/raft-core';
import { describe, expect, it, vi } from 'vitest';
import { DiskFileSystem, WalLogStore } from '../src/index.ts';
import type { FileSystem } from '../src/index.ts';
import { FaultyFileSystem } from '../src/testing/index.ts';
import { temporaryDirectory } from './temporary-directory.ts';

function open(dataDir: string, fileSystem: FileSystem): WalLogStore {
  return new WalLogStore({
    dataDir,
    identity: { clusterId: 'c', nodeId: 1 },
    fileSystem,
    onWarning: () => undefined,
    payload: 'json',
    entriesPerFile: 4096,
    tailCacheSizeBytes: 0,
  });
}

function entry(index: number): Entry {
  const data = new TextEncoder().encode(`{"n":${index}}`);
  return { index: index as LogIndex, term: 1 as Term, type: 'normal', data };
}

/** Appends with turns of the event loop after each, in which files are made ready. */
async function append(store: WalLogStore, from: number, to: number): Promise<void> {
  for (let index = from; index <= to; index++) {
    await store.append({ entries: [entry(index)], hardState: undefined, mustSync: true });
    for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** How many files there are, and the names of those that are no log files. */
function filesOf(dataDir: string): { readonly others: readonly string[]; readonly count: number } {
  const names = readdirSync(join(dataDir, 'raft', 'wal'));
  return { others: names.filter((name) => !/^[0-9]+\.json$/.test(name)), count: names.length };
}

/** Notes the calls from now on. */
function observe(fileSystem: FaultyFileSystem): string[] {
  const calls: string[] = [];
  fileSystem.observer = (call, path) => calls.push(`${call} ${path.slice('/data/raft/wal/'.length)}`);
  return calls;
}

describe('files that are ready for appends', () => {
  it('are there while appends follow one another, and gone from a log at rest and a closed one', async () => {
    const dataDir = temporaryDirectory();
    const store = open(dataDir, new DiskFileSystem());
    await store.open();
    let last = 1;
    await append(store, 1, 1);
    // On a slow disk it may take some until two have followed one another closely.
    await vi.waitFor(
      async () => {
        await append(store, ++last, last);
        const { others, count } = filesOf(dataDir);
        expect(others.length).toBeGreaterThanOrEqual(1);
        expect(others.length).toBeLessThanOrEqual(4);
        expect(count).toBe(last + others.length);
      },
      { timeout: 10_000, interval: 1 },
    );
    await vi.waitFor(
      () => {
        expect(filesOf(dataDir)).toEqual({ others: [], count: last });
      },
      { timeout: 10_000 },
    );
    await append(store, last + 1, last + 4);
    await store.close();
    expect(filesOf(dataDir)).toEqual({ others: [], count: last + 4 });
  });

  it('leave the append only to write, to rename and to sync', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = open('/data', fileSystem);
    await store.open();
    await append(store, 1, 3);
    const calls = observe(fileSystem);
    const appended = store.append({ entries: [entry(4)], hardState: undefined, mustSync: true });
    // Before the call returns.
    expect(calls).toEqual(['write next-2.tmp', 'rename 4.json']);
    await appended;
    expect(calls.slice(2).sort()).toEqual(['close next-2.tmp', 'sync next-2.tmp', 'syncDirectory ']);
    await store.close();
  });

  it('are filled up a few at a time', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = open('/data', fileSystem);
    await store.open();
    const calls = observe(fileSystem);
    await append(store, 1, 5);
    await store.close();
    expect(calls.filter((call) => call.startsWith('open'))).toEqual([
      ...['open 1.json', 'open 2.json'],
      ...['open next-1.tmp', 'open next-2.tmp', 'open next-3.tmp', 'open next-4.tmp'],
      ...['open next-5.tmp', 'open next-6.tmp', 'open next-7.tmp'],
    ]);
    expect(calls.filter((call) => call.startsWith('remove'))).toEqual([
      ...['remove next-4.tmp', 'remove next-5.tmp', 'remove next-6.tmp', 'remove next-7.tmp'],
    ]);
  });

  it('are those of compacted entries where there are such, empty for certain before they have another name', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = open('/data', fileSystem);
    await store.open();
    for (let index = 1; index <= 4; index++) {
      await store.append({ entries: [entry(index)], hardState: undefined, mustSync: true });
    }
    await store.compact(3 as LogIndex);
    const calls = observe(fileSystem);
    await append(store, 5, 6);
    const emptied = ['rename 1.json.tmp', 'open 1.json.tmp', 'empty 1.json.tmp', 'sync 1.json.tmp'];
    const at = calls.indexOf('rename 1.json.tmp');
    expect(calls.slice(at, at + emptied.length)).toEqual(emptied);
    await append(store, 7, 9);
    expect(calls).toContain('write 1.json.tmp');
    expect(calls.indexOf('sync 1.json.tmp')).toBeLessThan(calls.indexOf('write 1.json.tmp'));
    await store.close();
    const names = fileSystem.disk.directory('/data/raft/wal').current.keys();
    expect([...names].sort()).toEqual(['4.json', '5.json', '6.json', '7.json', '8.json', '9.json']);
  });

  it.each([
    ['could not be created', { call: 'open', path: /wal/, code: 'EIO' }],
    ['could not be emptied', { call: 'empty', path: /wal/, code: 'EIO' }],
    ['could not be synced when it was emptied', { call: 'sync', path: /json\.tmp/, code: 'EIO' }],
  ] as const)('fail the next append where one %s', async (_, fault) => {
    const fileSystem = new FaultyFileSystem();
    const store = open('/data', fileSystem);
    await store.open();
    await append(store, 1, 1);
    await append(store, 2, 2);
    // Two of four are left, so that the next append has them filled up.
    await append(store, 3, 4);
    await store.compact(3 as LogIndex);
    fileSystem.inject(fault);
    await append(store, 5, 5);
    await expect(append(store, 6, 6)).rejects.toMatchObject({ code: 'io' });
    await expect(append(store, 6, 6)).rejects.toMatchObject({ code: 'failed' });
    await store.close();
    const again = open('/data', new FaultyFileSystem(fileSystem.disk.afterPowerCut([])));
    expect(await again.open()).toMatchObject({ lastIndex: 5 });
    await again.close();
  });

  it('fail the append whose file could not get its name durably', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = open('/data', fileSystem);
    await store.open();
    await append(store, 1, 4);
    fileSystem.inject({ call: 'syncDirectory', path: /wal/, code: 'EIO' });
    await expect(append(store, 5, 5)).rejects.toMatchObject({ code: 'io' });
    await expect(append(store, 5, 5)).rejects.toMatchObject({ code: 'failed' });
    await store.close();
    const again = open('/data', new FaultyFileSystem(fileSystem.disk.afterPowerCut([])));
    expect(await again.open()).toMatchObject({ lastIndex: 4 });
    await again.close();
  });

  it('are done without where the disk was full for a moment', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = open('/data', fileSystem);
    await store.open();
    await append(store, 1, 1);
    fileSystem.inject({ call: 'open', path: /next/, code: 'ENOSPC' });
    await append(store, 2, 6);
    await store.close();
    const again = open('/data', new FaultyFileSystem(fileSystem.disk.afterPowerCut([])));
    expect(await again.open()).toMatchObject({ lastIndex: 6 });
    await again.close();
  });
});
