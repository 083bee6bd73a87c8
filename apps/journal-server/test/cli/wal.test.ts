/** Looking at a data directory that a real server wrote. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { logFiles } from '../support/log-files.ts';
import { startJournal, type RunningJournal } from './journal-process.ts';
import { failureLine, runHere } from './run-cli.ts';

let journal: RunningJournal;
let dataDir: string;
let empty: string;

beforeAll(async () => {
  empty = mkdtempSync(join(tmpdir(), 'pact-cli-wal-'));
  journal = await startJournal();
  dataDir = join(journal.dataDir, 'node-1');
  for (const value of ['1', '2', '3']) {
    const stdin = JSON.stringify({ kernel: [{ action: 'Add', key: 'vm.wal', value }] });
    const result = await runHere(['commit', '--vcluster', 'wal', '-f', '-'], { env: journal.env, stdin });
    expect(result).toMatchObject({ code: 0, stderr: '' });
  }
});

afterAll(async () => {
  await journal.stop();
  rmSync(empty, { recursive: true });
});

test('a running server may be inspected, and is left alone by verify', async () => {
  const inspected = await runHere(['wal', 'inspect', dataDir, '--json']);
  expect(inspected).toMatchObject({ code: 0, stderr: '' });
  const found = JSON.parse(inspected.stdout) as Record<string, unknown>;
  expect(found).toMatchObject({ node_id: 1, path: join(dataDir, 'raft') });
  expect(found['log_files']).toBeGreaterThan(0);
  const verified = await runHere(['wal', 'verify', dataDir]);
  expect(verified).toMatchObject({ code: 4, stdout: '' });
  expect(failureLine(verified)).toContain(dataDir);
});

test('a folder that is no data directory is a usage error', async () => {
  for (const verb of ['inspect', 'verify']) {
    const result = await runHere(['wal', verb, empty]);
    expect(failureLine(result)).toContain(`${empty}: is no data directory`);
    expect(result).toMatchObject({ code: 2, stdout: '' });
  }
});

test('after the server has stopped the directory is whole, and one changed byte is found', async () => {
  await journal.pause();
  const whole = await runHere(['wal', 'verify', dataDir, '--json']);
  expect(whole).toMatchObject({ code: 0, stderr: '' });
  const found = JSON.parse(whole.stdout) as { ok: boolean; entries: number };
  expect(found).toMatchObject({ ok: true, missing: [] });
  expect(found.entries).toBeGreaterThanOrEqual(3);

  const { folder, names } = logFiles(dataDir);
  const [first = ''] = names;
  const path = join(folder, first);
  const bytes = readFileSync(path);
  bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 1;
  writeFileSync(path, bytes);
  const damaged = await runHere(['wal', 'verify', dataDir]);
  expect(damaged.code).toBe(5);
  expect(failureLine(damaged)).toContain(first);
  expect(damaged.stdout).toMatch(/^damage /mu);
});
