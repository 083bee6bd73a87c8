import { readdirSync, statSync } from 'node:fs';
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

/** Appends with turns of the event loop after each, in which the next file is prepared. */
async function append(store: WalLogStore, from: number, to: number): Promise<void> {
  for (let index = from; index <= to; index++) {
    await store.append({ entries: [entry(index)], hardState: undefined, mustSync: true });
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Names of empty files, and how many files there are. */
function filesOf(dataDir: string): { readonly empty: readonly string[]; readonly count: number } {
  const wal = join(dataDir, 'raft', 'wal');
  const names = readdirSync(wal);
  return { empty: names.filter((name) => statSync(join(wal, name)).size === 0), count: names.length };
}

describe('the file for the next append', () => {
  it('is there while appends follow one another, and gone from a log at rest and a closed one', async () => {
    const dataDir = temporaryDirectory();
    const store = open(dataDir, new DiskFileSystem());
    await store.open();
    let last = 1;
    await append(store, 1, 1);
    // On a slow disk it may take some until two have followed one another closely.
    await vi.waitFor(
      async () => {
        await append(store, ++last, last);
        expect(filesOf(dataDir)).toEqual({ empty: [`${last + 1}.json`], count: last + 1 });
      },
      { timeout: 10_000, interval: 1 },
    );
    await vi.waitFor(
      () => {
        expect(filesOf(dataDir)).toEqual({ empty: [], count: last });
      },
      { timeout: 10_000 },
    );
    await append(store, last + 1, last + 4);
    await store.close();
    expect(filesOf(dataDir)).toEqual({ empty: [], count: last + 4 });
  });

  it('leaves the append itself only its contents to sync', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = open('/data', fileSystem);
    await store.open();
    await append(store, 1, 3);
    const before = fileSystem.calls.get('open') ?? 0;
    const calls: string[] = [];
    fileSystem.observer = (call, path) => calls.push(`${call} ${path.slice('/data/raft/'.length)}`);
    await append(store, 4, 4);
    expect(calls.slice(0, 3)).toEqual(['write wal/4.json', 'sync wal/4.json', 'close wal/4.json']);
    await vi.waitFor(() => {
      expect(calls.slice(3)).toEqual(['open wal/5.json', 'syncDirectory wal']);
    });
    expect(fileSystem.calls.get('open')).toBe(before + 1);
    await store.close();
  });

  it('has the append written when the call returns', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = open('/data', fileSystem);
    await store.open();
    await append(store, 1, 3);
    const calls: string[] = [];
    fileSystem.observer = (call, path) => calls.push(`${call} ${path.slice('/data/raft/'.length)}`);
    const appended = store.append({ entries: [entry(4)], hardState: undefined, mustSync: true });
    expect(calls).toEqual(['write wal/4.json']);
    await appended;
    await store.close();
  });

  it('is one of compacted entries where there are such, empty for certain before it has its name', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = open('/data', fileSystem);
    await store.open();
    await append(store, 1, 4);
    await store.compact(3 as LogIndex);
    const calls: string[] = [];
    fileSystem.observer = (call, path) => calls.push(`${call} ${path.slice('/data/raft/'.length)}`);
    await append(store, 5, 5);
    await vi.waitFor(() => {
      expect(calls).toEqual([
        ...['write wal/5.json', 'sync wal/5.json', 'close wal/5.json'],
        ...['rename wal/1.json.tmp', 'open wal/1.json.tmp', 'empty wal/1.json.tmp', 'sync wal/1.json.tmp'],
        ...['rename wal/6.json', 'syncDirectory wal'],
      ]);
    });
    await append(store, 6, 8);
    await store.close();
    const names = fileSystem.disk.directory('/data/raft/wal').current.keys();
    expect([...names].sort()).toEqual(['4.json', '5.json', '6.json', '7.json', '8.json']);
  });

  it.each([
    ['its name could not be made durable', { call: 'syncDirectory', path: /wal/, code: 'EIO' }, 'io'],
    ['it could not be created', { call: 'open', path: /wal/, code: 'EIO' }, 'io'],
  ] as const)('fails the append that would have gone there where %s', async (_, fault, code) => {
    const fileSystem = new FaultyFileSystem();
    const store = open('/data', fileSystem);
    await store.open();
    await append(store, 1, 3);
    fileSystem.inject(fault);
    await append(store, 4, 4);
    await expect(append(store, 5, 5)).rejects.toMatchObject({ code });
    await expect(append(store, 5, 5)).rejects.toMatchObject({ code: 'failed' });
    await store.close();
    const again = open('/data', new FaultyFileSystem(fileSystem.disk.afterPowerCut([])));
    expect(await again.open()).toMatchObject({ lastIndex: 4 });
    await again.close();
  });

  it('is done without where the disk was full for a moment', async () => {
    const fileSystem = new FaultyFileSystem();
    const store = open('/data', fileSystem);
    await store.open();
    await append(store, 1, 3);
    fileSystem.inject({ call: 'open', path: /wal/, code: 'ENOSPC' });
    await append(store, 4, 6);
    await store.close();
    const again = open('/data', new FaultyFileSystem(fileSystem.disk.afterPowerCut([])));
    expect(await again.open()).toMatchObject({ lastIndex: 6 });
    await again.close();
  });
});
