/** Real processes, a real disk, and SIGKILL. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { toLogIndex } from '@pact-journal/raft-core';
import { describe, expect, it } from 'vitest';
import { openWalStorage } from '../src/index.ts';
import type { WalLogStore } from '../src/index.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const APPENDER = fileURLToPath(new URL('./appender.ts', import.meta.url));

function startAppender(dataDir: string): { child: ChildProcess; lines: AsyncIterableIterator<string> } {
  const child = spawn(process.execPath, ['--conditions=@pact-journal/source', APPENDER, dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
}

function openLog(dataDir: string): WalLogStore {
  return openWalStorage({ dataDir, clusterId: 'c', nodeId: 1 }).log;
}

/** What the killed process said: the last acknowledged index, and from where on entries may have been replaced since. */
class Account {
  acknowledged = 0;
  cut = Infinity;

  read(line: string): void {
    const [word, number = ''] = line.split(' ');
    if (word === 'failed') throw new Error(line);
    if (word === 'open') this.acknowledged = Number(number);
    if (word === 'cut') this.cut = Number(number);
    if (word === 'ack') {
      this.acknowledged = Number(number);
      this.cut = Infinity;
    }
  }
}

describe('a process killed in the middle of its work', () => {
  it('has lost nothing that it acknowledged, and its lock is free at once', async () => {
    const dataDir = temporaryDirectory();
    for (let round = 0; round < 6; round++) {
      const { child, lines } = startAppender(dataDir);
      const account = new Account();
      const killAfter = 8 + round * 13;
      for (let read = 0; read < killAfter; read++) account.read(String((await lines.next()).value));
      if (round === 0) {
        await expect(openLog(dataDir).open()).rejects.toMatchObject({
          code: 'locked',
          message: expect.stringContaining(`process ${child.pid}`) as unknown,
        });
      }
      const exited = once(child, 'exit');
      child.kill('SIGKILL');
      await exited;
      for (;;) {
        const { value, done } = await lines.next();
        if (done === true) break;
        account.read(String(value));
      }

      const log = openLog(dataDir);
      const { lastIndex } = await log.open();
      expect(lastIndex).toBeGreaterThanOrEqual(Math.min(account.acknowledged, account.cut - 1));
      for (let next = 1; next <= lastIndex;) {
        const found = log.entries(toLogIndex(next), toLogIndex(lastIndex + 1), 1 << 20);
        for (const entry of found) {
          expect(JSON.parse(Buffer.from(entry.data).toString())).toMatchObject({
            index: next,
            term: entry.term,
          });
          next++;
        }
      }
      await log.close();
    }
  });
});
