import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Entry, LogIndex, Term } from '@pact-journal/raft-core';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DiskFileSystem, WalLogStore } from '../src/index.ts';
import type { FileSystem } from '../src/index.ts';
import { FaultyFileSystem } from '../src/testing/index.ts';
import { temporaryDirectory } from './temporary-directory.ts';

/** Files are made ready only while appends follow one another closely, however busy the machine is. */
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => vi.useRealTimers());

function open(dataDir: string, fileSystem: FileSystem, warnings: string[] = []): WalLogStore {
  return new WalLogStore({
    dataDir,
    identity: { clusterId: 'c', nodeId: 1 },
    fileSystem,
    onWarning: ({ message }) => warnings.push(message),
    payload: 'json',
    entriesPerFile: 4096,
    tailCacheSizeBytes: 0,
  });
}

async function openFaulty(): Promise<{
  readonly fileSystem: FaultyFileSystem;
  readonly store: WalLogStore;
  readonly warnings: readonly string[];
}> {
  const fileSystem = new FaultyFileSystem();
  const warnings: string[] = [];
  const store = open('/data', fileSystem, warnings);
  await store.open();
  return { fileSystem, store, warnings };
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

/** No descriptor, where so many could not be opened, and no file that is not the log's. */
function expectNothingLeft(fileSystem: FaultyFileSystem, notOpened = 0): void {
  expect(fileSystem.calls.get('close')).toBe((fileSystem.calls.get('open') ?? 0) - notOpened);
  const names = [...fileSystem.disk.directory('/data/raft/wal').current.keys()];
  expect(names.filter((name) => name.endsWith('.tmp'))).toEqual([]);
}

/** With which entry the log ends after a power cut. */
async function expectEnd({ disk }: FaultyFileSystem, lastIndex: number): Promise<void> {
  const store = open('/data', new FaultyFileSystem(disk.afterPowerCut([])));
  expect(await store.open()).toMatchObject({ lastIndex });
  await store.close();
}

describe('files that are ready for appends', () => {
  it('are there while appends follow one another, and gone from a log at rest and a closed one', async () => {
    vi.useRealTimers();
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
    const { fileSystem, store } = await openFaulty();
    await append(store, 1, 3);
    const calls = observe(fileSystem);
    const appended = store.append({ entries: [entry(4)], hardState: undefined, mustSync: true });
    // Before the call returns.
    expect(calls).toEqual(['write ready-2.tmp', 'rename 4.json', 'syncDirectory ']);
    await appended;
    expect(calls.slice(3)).toEqual(['sync ready-2.tmp', 'close ready-2.tmp']);
    await store.close();
  });

  it('are filled up a few at a time', async () => {
    const { fileSystem, store } = await openFaulty();
    const calls = observe(fileSystem);
    await append(store, 1, 5);
    await store.close();
    expect(calls.filter((call) => call.startsWith('open'))).toEqual([
      ...['open 1.json', 'open 2.json'],
      ...['open ready-1.tmp', 'open ready-2.tmp', 'open ready-3.tmp', 'open ready-4.tmp'],
      ...['open ready-5.tmp', 'open ready-6.tmp', 'open ready-7.tmp'],
    ]);
    expect(calls.filter((call) => call.startsWith('remove'))).toEqual([
      ...['remove ready-4.tmp', 'remove ready-5.tmp', 'remove ready-6.tmp', 'remove ready-7.tmp'],
    ]);
  });

  it('are those of compacted entries where there are such, empty for certain before they have another name', async () => {
    const { fileSystem, store } = await openFaulty();
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
    ['could not be created', { call: 'open', path: /ready-/, code: 'EIO' }],
    ['could not be emptied', { call: 'empty', path: /wal/, code: 'EIO' }],
    ['could not be synced when it was emptied', { call: 'sync', path: /json\.tmp/, code: 'EIO' }],
  ] as const)('fail the next append where one %s', async (_, fault) => {
    const { fileSystem, store } = await openFaulty();
    await append(store, 1, fault.call === 'open' ? 1 : 4);
    if (fault.call !== 'open') await store.compact(3 as LogIndex);
    fileSystem.inject(fault);
    const last = store.lastIndex() + 1;
    await append(store, last, last);
    await expect(append(store, last + 1, last + 1)).rejects.toMatchObject({ code: 'io' });
    await expect(append(store, last + 1, last + 1)).rejects.toMatchObject({ code: 'failed' });
    await store.close();
    expectNothingLeft(fileSystem, fault.call === 'open' ? 1 : 0);
    await expectEnd(fileSystem, last);
  });

  it.each([
    ['could not be written', { call: 'write', path: /ready-/, code: 'EIO' }, 'io'],
    ['could not be written for want of space', { call: 'write', path: /ready-/, code: 'ENOSPC' }, 'diskFull'],
    ['could not be synced', { call: 'sync', path: /ready-/, code: 'EIO' }, 'io'],
    ['could not be renamed', { call: 'rename', path: /5\.json/, code: 'EIO' }, 'io'],
    ['could not get its name durably', { call: 'syncDirectory', path: /wal/, code: 'EIO' }, 'io'],
  ] as const)('fail the append whose file %s', async (_, fault, code) => {
    const { fileSystem, store } = await openFaulty();
    await append(store, 1, 4);
    fileSystem.inject(fault);
    await expect(append(store, 5, 5)).rejects.toMatchObject({ code });
    await expect(append(store, 5, 5)).rejects.toMatchObject({ code: 'failed' });
    await store.close();
    expect(fileSystem.calls.get('close')).toBe(fileSystem.calls.get('open'));
    await expectEnd(fileSystem, 4);
  });

  it('are done without where the disk was full for a moment', async () => {
    const { fileSystem, store } = await openFaulty();
    await append(store, 1, 1);
    fileSystem.inject({ call: 'open', path: /ready-/, code: 'ENOSPC' });
    await append(store, 2, 4);
    await store.compact(3 as LogIndex);
    fileSystem.inject({ call: 'sync', path: /json\.tmp/, code: 'ENOSPC' });
    await append(store, 5, 9);
    await store.close();
    expectNothingLeft(fileSystem, 1);
    await expectEnd(fileSystem, 9);
  });

  it('that cannot be removed are told of, and nothing fails', async () => {
    const { fileSystem, store, warnings } = await openFaulty();
    await append(store, 1, 3);
    vi.useRealTimers();
    fileSystem.inject({ call: 'remove', path: /ready-/, code: 'EIO' });
    await vi.waitFor(() => expect(warnings).toEqual([expect.stringMatching(/ready-2\.tmp.*EIO/)]));
    await append(store, 4, 6);
    await store.close();
    expect(fileSystem.calls.get('close')).toBe(fileSystem.calls.get('open'));
    await expectEnd(fileSystem, 6);
  });

  it('are not made any more once the log is closed, also with an append under way', async () => {
    const { fileSystem, store } = await openFaulty();
    await append(store, 1, 1);
    await store.append({ entries: [entry(2)], hardState: undefined, mustSync: true });
    const appended = store.append({ entries: [entry(3)], hardState: undefined, mustSync: true });
    await store.close();
    await appended;
    for (let turn = 0; turn < 8; turn++) await new Promise((resolve) => setImmediate(resolve));
    expectNothingLeft(fileSystem);
  });
});
