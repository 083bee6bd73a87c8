import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { NewAdminOperation, NewConfigEntry } from '@pact-journal/journal-state';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { JournalClient, openSpool } from '../src/index.ts';
import type { Spool, SpoolEvent, SpoolOptions } from '../src/index.ts';
import { stopServers, TestServer } from './support/server.ts';

const WAIT = { timeout: 20_000, interval: 10 };
const packageRoot = join(import.meta.dirname, '..');

function drift(message: string): NewConfigEntry {
  return {
    entry_type: 'DriftDetected',
    scope: { Node: 'node-1' },
    author: { principal: 'node-1', principal_type: 'Agent', role: 'pact-agent' },
    parent: null,
    state_delta: null,
    policy_ref: null,
    ttl_seconds: null,
    emergency_reason: null,
    message,
  };
}

const clients: JournalClient[] = [];
const spools: Spool[] = [];
const directories: string[] = [];

afterEach(async () => {
  await Promise.all(spools.splice(0).map((spool) => spool.close()));
  for (const client of clients.splice(0)) client.close();
  stopServers();
  await Promise.all(
    directories.splice(0).map((directory) => rm(directory, { recursive: true, force: true })),
  );
});

async function freshDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'pact-spool-'));
  directories.push(directory);
  return directory;
}

function clientOf(server: TestServer): JournalClient {
  const client = new JournalClient({ endpoints: [server.address] });
  clients.push(client);
  return client;
}

async function spoolOf(
  server: TestServer,
  options: Partial<SpoolOptions> = {},
): Promise<Spool & { events: SpoolEvent[] }> {
  const events: SpoolEvent[] = [];
  const spool = await openSpool({
    directory: options.directory ?? (await freshDirectory()),
    client: clientOf(server),
    onEvent: (event) => events.push(event),
    ...options,
  });
  spools.push(spool);
  return Object.assign(spool, { events });
}

function messages(server: TestServer): (string | undefined)[] {
  return server.journal.entries.map(({ message }) => message);
}

describe('a spool', () => {
  it('forwards entries and operations in the order in which they were kept', async () => {
    const server = await TestServer.start();
    const spool = await spoolOf(server);
    for (let at = 0; at < 5; at += 1) await spool.append(drift(`${at}`));
    const operation: NewAdminOperation = {
      operation_id: 'op-1',
      operation_type: 'Exec',
      author: drift('').author,
      scope: { Node: 'node-1' },
      detail: 'uptime',
      exit_code: 0,
      occurred_at: '2026-11-24T08:00:00.000Z',
    };
    await spool.recordOperation(operation);
    await spool.drain();
    expect(messages(server)).toEqual(['0', '1', '2', '3', '4']);
    expect(spool.status()).toMatchObject({ waiting: 0, forwarded: 6, rejected: 0 });
  });

  it('keeps what comes while the journal is away, and forwards it once it is back', async () => {
    const server = await TestServer.start();
    server.stop();
    const spool = await spoolOf(server);
    await Promise.all(Array.from({ length: 300 }, (_, at) => spool.append(drift(`${at}`))));
    expect(spool.status().waiting).toBe(300);
    await server.listen();
    await spool.drain();
    expect(messages(server)).toEqual(Array.from({ length: 300 }, (_, at) => `${at}`));
  });

  it('goes on after a restart with what was left', async () => {
    const server = await TestServer.start();
    server.stop();
    const directory = await freshDirectory();
    const first = await spoolOf(server, { directory });
    await first.append(drift('before'));
    await first.close();
    await server.listen();
    const second = await spoolOf(server, { directory });
    await second.append(drift('after'));
    await second.drain();
    expect(messages(server)).toEqual(['before', 'after']);
  });

  it('delivers nothing twice when answers get lost', async () => {
    const server = await TestServer.start();
    server.behaviours = ['dropAnswer', 'dropAnswer', 'answer'];
    const spool = await spoolOf(server);
    await Promise.all(Array.from({ length: 20 }, (_, at) => spool.append(drift(`${at}`))));
    await spool.drain();
    expect(new Set(messages(server)).size).toBe(20);
    expect(server.journal.entries).toHaveLength(20);
  });

  it('sets aside what the journal will never take, and goes on with the rest', async () => {
    const server = await TestServer.start();
    server.behaviours = ['refuse', 'answer'];
    const directory = await freshDirectory();
    const spool = await spoolOf(server, { directory });
    await spool.append(drift('bad'));
    await spool.drain();
    await spool.append(drift('good'));
    await spool.drain();
    expect(messages(server)).toEqual(['good']);
    expect(spool.status().rejected).toBe(1);
    expect(spool.events).toContainEqual(expect.objectContaining({ type: 'rejected', number: 0 }));
    expect(await readFile(join(directory, 'rejected.jsonl'), 'utf8')).toContain('"message":"bad"');
  });

  it('refuses at once what cannot be sent, and keeps none of it', async () => {
    const server = await TestServer.start();
    const spool = await spoolOf(server);
    const gpu = [{ action: 'Add', key: 'first', value: null, previous: null }] as const;
    const none = { mounts: [], files: [], network: [], services: [], kernel: [], packages: [] };
    await expect(spool.append({ ...drift('x'), state_delta: { ...none, gpu } })).rejects.toMatchObject({
      code: 'malformed',
    });
    expect(spool.status().waiting).toBe(0);
  });
});

describe('bounds', () => {
  it('a full spool refuses, keeps what it has, and takes more once that is forwarded', async () => {
    const server = await TestServer.start();
    server.stop();
    const spool = await spoolOf(server, { maxBytes: 8_192 });
    let kept = 0;
    const fill = async () => {
      for (;;) {
        await spool.append(drift(`${kept}`));
        kept += 1;
      }
    };
    await expect(fill()).rejects.toMatchObject({ code: 'spoolFull', retryable: true });
    expect(kept).toBeGreaterThan(10);
    expect(spool.status().sizeBytes).toBeLessThanOrEqual(8_192);
    await server.listen();
    await spool.drain();
    expect(messages(server)).toEqual(Array.from({ length: kept }, (_, at) => `${at}`));
    await spool.append(drift('more'));
    await spool.drain();
    expect(messages(server).at(-1)).toBe('more');
  });

  it('what is forwarded leaves the disk', async () => {
    const server = await TestServer.start();
    const directory = await freshDirectory();
    const spool = await spoolOf(server, { directory, maxBytes: 65_536 });
    for (let round = 0; round < 20; round += 1) {
      await Promise.all(Array.from({ length: 50 }, (_, at) => spool.append(drift(`${round}.${at}`))));
      await spool.drain();
    }
    expect(server.journal.entries).toHaveLength(1_000);
    expect(spool.status().sizeBytes).toBeLessThanOrEqual(65_536 / 4);
    expect((await readdir(directory)).filter((name) => name.endsWith('.jsonl')).length).toBeLessThanOrEqual(
      2,
    );
  });
});

describe('crashes and damage', () => {
  it('SIGKILL at any moment loses nothing that was acknowledged, and repeats nothing', async () => {
    const server = await TestServer.start();
    const directory = await freshDirectory();
    const acknowledged: string[] = [];
    for (let life = 0; life < 4; life += 1) {
      const child = spawn(
        process.execPath,
        [
          '--conditions=@pact-journal/source',
          join(packageRoot, 'test/support/spooling-child.ts'),
          directory,
          server.address,
          `${life}`,
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const lines = createInterface({ input: child.stdout });
      const exited = once(child, 'exit');
      let before = acknowledged.length + 40 + life * 37;
      lines.on('line', (line) => {
        acknowledged.push(line);
        if (acknowledged.length >= before) {
          before = Infinity;
          child.kill('SIGKILL');
        }
      });
      await exited;
    }
    const spool = await spoolOf(server, { directory });
    await spool.drain();
    const arrived = messages(server);
    expect(new Set(arrived).size).toBe(arrived.length);
    expect(acknowledged.filter((message) => !arrived.includes(message))).toEqual([]);
  });

  async function leaveBehind(
    server: TestServer,
    count: number,
  ): Promise<{ directory: string; segment: string }> {
    const directory = await freshDirectory();
    server.stop();
    const spool = await spoolOf(server, { directory });
    for (let at = 0; at < count; at += 1) await spool.append(drift(`${at}`));
    await spool.close();
    const segment = (await readdir(directory)).find((name) => /^\d+\.jsonl$/u.test(name));
    await server.listen();
    return { directory, segment: join(directory, segment ?? 'none') };
  }

  it('a line that was cut off while it was written is dropped', async () => {
    const server = await TestServer.start();
    const { directory, segment } = await leaveBehind(server, 3);
    await appendFile(segment, '0badc0de {"number":3,"ki');
    const spool = await spoolOf(server, { directory });
    await spool.append(drift('3'));
    await spool.drain();
    expect(messages(server)).toEqual(['0', '1', '2', '3']);
    expect(spool.events).toEqual([]);
  });

  it('a damaged line is reported and its file kept; the others are forwarded', async () => {
    const server = await TestServer.start();
    const { directory, segment } = await leaveBehind(server, 4);
    await writeFile(
      segment,
      (await readFile(segment, 'utf8'))
        .replace('"message":"1"', '"message":"X"')
        .replace('"message":"3"', '"message":"Y"'),
    );
    const spool = await spoolOf(server, { directory });
    await spool.append(drift('new'));
    await spool.drain();
    expect(messages(server)).toEqual(['0', '2', 'new']);
    expect(spool.events).toEqual([{ type: 'damaged', file: `${segment}.damaged`, lines: 2 }]);
    expect(await readFile(`${segment}.damaged`, 'utf8')).toContain('"message":"X"');
  });

  it('a lost cursor means sending again, under the same request ids', async () => {
    const server = await TestServer.start();
    const directory = await freshDirectory();
    const first = await spoolOf(server, { directory });
    for (let at = 0; at < 3; at += 1) await first.append(drift(`${at}`));
    await first.drain();
    await first.close();
    await writeFile(join(directory, 'cursor.json'), '{"ne');
    const second = await spoolOf(server, { directory });
    await second.append(drift('3'));
    await second.drain();
    expect(messages(server)).toEqual(['0', '1', '2', '3']);
  });
});

describe('a directory', () => {
  it('has one spool at a time; one left by a dead process is taken over', async () => {
    const server = await TestServer.start();
    const directory = await freshDirectory();
    const spool = await spoolOf(server, { directory });
    await expect(openSpool({ directory, client: clientOf(server) })).rejects.toMatchObject({
      code: 'spoolLocked',
      message: expect.stringContaining(`process ${process.pid}`) as string,
    });
    await spool.close();
    await expect(spool.append(drift('late'))).rejects.toMatchObject({ code: 'closed' });

    await writeFile(join(directory, 'lock'), JSON.stringify({ pid: process.pid, started: '1' }));
    const next = await spoolOf(server, { directory });
    await next.append(drift('on'));
    await vi.waitFor(() => expect(messages(server)).toEqual(['on']), WAIT);
  });
});
