/** A full backup of a large journal, a second one after a few more entries, and the way back. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { JournalClient } from '@pact-journal/journal-client';
import { CLI, freePortRange } from '../commit/journal.ts';
import { benchEntry } from '../commit/entry.ts';
import { makeInChild } from './dataset.ts';

export interface FullFigures {
  readonly entries: number;
  readonly firstBytes: number;
  readonly firstSeconds: number;
  readonly secondBytes: number;
  readonly secondSeconds: number;
  readonly restoreSeconds: number;
}

/** Bytes of everything below a directory. */
function sizeOf(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((item) => item.isFile())
    .reduce((sum, item) => sum + statSync(join(item.parentPath, item.name)).size, 0);
}

async function pactJournal(args: readonly string[]): Promise<Record<string, unknown>> {
  const { stdout } = await promisify(execFile)(process.execPath, [CLI, ...args, '--json'], {
    maxBuffer: 2 ** 28,
  });
  return JSON.parse(stdout) as Record<string, unknown>;
}

export async function measureFull(entries: number, added: number, directory: string): Promise<FullFigures> {
  const [dataDir, store] = [join(directory, 'data'), join(directory, 'store')];
  mkdirSync(store);
  await makeInChild(entries, dataDir);
  const base = await freePortRange(3);
  const grpc = `127.0.0.1:${String(base)}`;
  const listen = ['grpc', 'raft', 'metrics'].flatMap((name, at) => [
    `--listen-${name}`,
    `127.0.0.1:${String(base + at)}`,
  ]);
  const server = spawn(process.execPath, [CLI, 'serve', '--json', '--data-dir', dataDir, ...listen], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, PACT_JOURNAL_BACKUP_URL: store },
  });
  const ended = once(server, 'exit');
  try {
    await Promise.race([once(createInterface({ input: server.stdout }), 'line'), ended]);
    const journal = new JournalClient({ endpoints: [grpc] });
    // The first one is exported by itself, as soon as there is a leader.
    const startedMs = performance.now();
    await until(async () => (await journal.backupStatus()).exported_index !== null);
    const firstSeconds = (performance.now() - startedMs) / 1_000;
    const firstBytes = sizeOf(store);
    const entry = benchEntry();
    await Promise.all(Array.from({ length: added }, () => journal.append(entry)));
    await until(async () => (await journal.backupStatus()).lag_entries === 0);
    const secondMs = performance.now();
    const { sent_bytes: sent } = await pactJournal(['--endpoint', grpc, 'backup', 'create']);
    const secondSeconds = (performance.now() - secondMs) / 1_000;
    journal.close();
    server.kill('SIGTERM');
    await ended;
    const restoreMs = performance.now();
    const restored = await pactJournal([
      'restore',
      '--from',
      store,
      '--data-dir',
      join(directory, 'restored'),
    ]);
    const restoreSeconds = (performance.now() - restoreMs) / 1_000;
    if (restored['entries'] !== entries + added)
      throw new Error(`restored ${String(restored['entries'])} entries`);
    return { entries, firstBytes, firstSeconds, secondBytes: Number(sent), secondSeconds, restoreSeconds };
  } finally {
    server.kill('SIGKILL');
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 600_000;
  for (;;) {
    // A server that is still loading does not answer yet.
    if (await condition().catch(() => false)) return;
    if (performance.now() > deadline) throw new Error('what was waited for did not happen within 10 minutes');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
