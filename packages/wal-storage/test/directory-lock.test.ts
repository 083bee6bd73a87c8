import { createServer } from 'node:net';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LOCK_FILE_NAME, acquireDirectoryLock } from '../src/fs/directory-lock.ts';
import { temporaryDirectory } from './temporary-directory.ts';

describe('the lock of a directory', () => {
  it('is held once, says by whom, and can be taken again after its release', async () => {
    const directory = join(temporaryDirectory(), 'raft');
    const lock = await acquireDirectoryLock(directory);
    await expect(acquireDirectoryLock(directory)).rejects.toMatchObject({
      code: 'locked',
      message: /this process/,
    });
    await lock.release();
    const again = await acquireDirectoryLock(directory);
    await again.release();
    expect(existsSync(join(directory, LOCK_FILE_NAME))).toBe(false);
  });

  it('goes to one of many that try at once', async () => {
    const directory = temporaryDirectory();
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, () => acquireDirectoryLock(directory)),
    );
    const held = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(held).toHaveLength(1);
    for (const lock of held) await lock.release();
  });

  it('is seen through its file where the abstract name is not, and stale leftovers are replaced', async () => {
    const directory = temporaryDirectory();
    const path = join(directory, LOCK_FILE_NAME);
    const other = createServer((socket) => socket.end('4242\n')).listen(path);
    await once(other, 'listening');
    await expect(acquireDirectoryLock(directory)).rejects.toMatchObject({
      code: 'locked',
      message: /process 4242/,
    });
    other.close();
    await once(other, 'close');
    mkdirSync(join(directory, 'unrelated'));
    const lock = await acquireDirectoryLock(directory);
    await lock.release();
  });

  it('works for paths that are too long for a socket address', async () => {
    const directory = join(temporaryDirectory(), 'd'.repeat(90), 'e'.repeat(90));
    const lock = await acquireDirectoryLock(directory);
    await expect(acquireDirectoryLock(directory)).rejects.toMatchObject({ code: 'locked' });
    expect(existsSync(join(directory, LOCK_FILE_NAME))).toBe(true);
    await lock.release();
  });
});
