/** Repairing a node's log from another node's directory. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toLogIndex, toNodeId, toTerm, type Entry } from '@pact-journal/raft-core';
import { openWalStorage } from '@pact-journal/wal-storage';
import { afterEach, expect, test } from 'vitest';
import { failureLine, runHere } from './run-cli.ts';

const made: string[] = [];

afterEach(() => {
  for (const path of made.splice(0)) rmSync(path, { recursive: true });
});

/** A node's directory with five entries in as many files, the first four of them committed. */
async function nodeDirectory(nodeId: number): Promise<string> {
  const dataDir = mkdtempSync(join(tmpdir(), 'pact-cli-repair-'));
  made.push(dataDir);
  const { log } = openWalStorage({ dataDir, clusterId: 'repair', nodeId });
  await log.open();
  for (let index = 1; index <= 5; index++) {
    const data = Buffer.from(JSON.stringify({ command: index }));
    const entry: Entry = { index: toLogIndex(index), term: toTerm(1), type: 'normal', data };
    const hardState = { term: toTerm(1), vote: toNodeId(1), commit: toLogIndex(index - 1) };
    await log.append({ entries: [entry], hardState, mustSync: true });
  }
  await log.close();
  return dataDir;
}

function damage(dataDir: string, file: number): void {
  const path = join(dataDir, 'raft', 'wal', `${file}.json`);
  const bytes = readFileSync(path);
  bytes[80] = (bytes[80] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

test('a damaged entry is taken from another node that knows it to be committed', async () => {
  const [mine, theirs] = [await nodeDirectory(1), await nodeDirectory(2)];
  damage(mine, 3);
  const tried = await runHere(['wal', 'repair', mine, '--from', theirs, '--dry-run', '--json']);
  expect(tried).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(tried.stdout)).toMatchObject({
    dry_run: true,
    fetched: [{ from: 3, to: 3 }],
    damaged_log: null,
  });
  expect((await runHere(['wal', 'verify', mine])).code).toBe(5);

  const repaired = await runHere(['wal', 'repair', mine, '--from', theirs]);
  expect(repaired).toMatchObject({ code: 0, stderr: '' });
  expect(repaired.stdout).toContain(join(mine, 'raft', 'wal.damaged-1'));
  const verified = await runHere(['wal', 'verify', mine, '--json']);
  expect(verified.code).toBe(0);
  expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true, entries: 5 });
  expect((await runHere(['wal', 'repair', mine, '--from', theirs])).stdout).toContain('nothing is damaged');
});

test('an entry that nobody knows to be committed is refused, and nothing is changed', async () => {
  const [mine, theirs] = [await nodeDirectory(1), await nodeDirectory(2)];
  damage(mine, 5);
  const refused = await runHere(['wal', 'repair', mine, '--from', theirs]);
  expect(refused).toMatchObject({ code: 4, stdout: '' });
  expect(failureLine(refused)).toContain('entry 5');
  expect((await runHere(['wal', 'verify', mine])).code).toBe(5);
});
