import { describe, expect, it } from 'vitest';
import type { StorageWarning } from '../src/index.ts';
import { WalLogStore, isWalStorageError } from '../src/index.ts';
import { scanFile } from '../src/log/scan.ts';
import { FaultyFileSystem } from '../src/testing/index.ts';
import { ModelledLog, contentsOf } from './log-model.ts';
import type { LogContents } from './log-model.ts';

const LOG_SIZE_BYTES = 64 * 1024;

function openLog(fileSystem: FaultyFileSystem, onWarning: (warning: StorageWarning) => void): WalLogStore {
  return new WalLogStore({
    dataDir: '/data',
    identity: { clusterId: 'c', nodeId: 1 },
    fileSystem,
    onWarning,
    payload: 'json',
    entriesPerFile: 4096,
    tailCacheSizeBytes: 0,
  });
}

/** A log of at least that size: appends of 1 to 7 entries, one of them with binary data. */
async function makeLog(sizeBytes: number): Promise<{ fileSystem: FaultyFileSystem; contents: LogContents }> {
  const fileSystem = new FaultyFileSystem();
  const store = openLog(fileSystem, () => undefined);
  const model = new ModelledLog(store);
  await model.open();
  let index = 1;
  for (let turn = 0; store.sizeBytes < sizeBytes; turn++) {
    const count = 1 + (turn % 7);
    await model.append(
      index,
      count,
      1 + Math.floor(turn / 5),
      { term: 100 + turn, vote: 1 },
      40 + ((turn * 53) % 300),
    );
    index += count;
  }
  await model.commit(index - 1);
  await store.close();
  return { fileSystem, contents: contentsOf(store) };
}

function walFiles(fileSystem: FaultyFileSystem): { path: string; first: number; content: Uint8Array }[] {
  return [...fileSystem.disk.contents()]
    .filter(([path]) => path.includes('/wal/'))
    .map(([path, content]) => ({ path, content, first: Number(/([0-9]+)\.json$/.exec(path)?.[1]) }));
}

async function reopen(
  fileSystem: FaultyFileSystem,
): Promise<{ found: LogContents | undefined; error: unknown; warnings: StorageWarning[] }> {
  const warnings: StorageWarning[] = [];
  const store = openLog(new FaultyFileSystem(fileSystem.disk.afterShutdown()), (warning) =>
    warnings.push(warning),
  );
  try {
    await store.open();
    const found = contentsOf(store);
    await store.close();
    return { found, error: undefined, warnings };
  } catch (error) {
    return { found: undefined, error, warnings };
  }
}

describe('a single flipped bit', () => {
  it('anywhere in a 64 KiB log makes the file damaged, never torn and never whole', async () => {
    const { fileSystem } = await makeLog(LOG_SIZE_BYTES);
    let flips = 0;
    const accepted: string[] = [];
    for (const { path, first, content } of walFiles(fileSystem)) {
      const bytes = Uint8Array.from(content);
      expect(scanFile(bytes, first, () => undefined).kind).toBe('whole');
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const at = bit >>> 3;
        const good = bytes[at] ?? 0;
        bytes[at] = good ^ (1 << (bit & 7));
        if (scanFile(bytes, first, () => undefined).kind !== 'damaged') accepted.push(`${path}, bit ${bit}`);
        bytes[at] = good;
        flips++;
      }
    }
    expect(accepted).toEqual([]);
    expect(flips).toBeGreaterThanOrEqual(LOG_SIZE_BYTES * 8);
  });

  it('in any log file stops the store from opening, with file, line, index and ways to repair', async () => {
    const { fileSystem } = await makeLog(LOG_SIZE_BYTES);
    const files = walFiles(fileSystem);
    for (const [position, { path, first, content }] of files.entries()) {
      for (const bit of [
        0,
        5,
        content.length * 4 + position,
        content.length * 8 - 8,
        content.length * 8 - 1,
      ]) {
        fileSystem.flipBit(path, bit);
        const { error } = await reopen(fileSystem);
        fileSystem.flipBit(path, bit);
        const line = Buffer.from(content.subarray(0, bit >>> 3))
          .toString('latin1')
          .split('\n').length;
        expect(error, `${path}, bit ${bit}`).toMatchObject({
          code: 'corrupt',
          path,
          line,
          index: first + line - 1,
        });
        expect(isWalStorageError(error) && error.repair.length).toBeGreaterThan(0);
      }
    }
    expect((await reopen(fileSystem)).error).toBeUndefined();
  });

  it.each(['identity.json', 'vote.json', 'bounds.json'])(
    'in %s stops the store from opening',
    async (name) => {
      const { fileSystem } = await makeLog(2000);
      const path = `/data/raft/${name}`;
      for (let bit = 0; bit < fileSystem.content(path).length * 8; bit++) {
        fileSystem.flipBit(path, bit);
        const { error } = await reopen(fileSystem);
        fileSystem.flipBit(path, bit);
        expect(error, `bit ${bit}`).toMatchObject({
          code: name === 'vote.json' ? 'voteCorrupt' : 'corrupt',
          path,
        });
      }
    },
  );

  it('in the commit hint costs the hint, not the log', async () => {
    const { fileSystem, contents } = await makeLog(2000);
    const path = '/data/raft/committed.json';
    for (let bit = 0; bit < fileSystem.content(path).length * 8; bit++) {
      fileSystem.flipBit(path, bit);
      const { found, warnings } = await reopen(fileSystem);
      fileSystem.flipBit(path, bit);
      expect(found, `bit ${bit}`).toEqual(contents);
      expect(warnings.map((warning) => warning.code)).toEqual(['commitHintIgnored']);
    }
  });
});
