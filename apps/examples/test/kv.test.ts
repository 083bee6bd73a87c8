import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';

const main = join(import.meta.dirname, '..', 'src', 'kv', 'main.ts');
const running = new Map<number, ChildProcess>();
const scratches: string[] = [];

afterEach(async () => {
  await Promise.all([...running.keys()].map((id) => end(id, 'SIGKILL')));
  for (const directory of scratches.splice(0)) rmSync(directory, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function begin(id: number, directory: string, members: string): Promise<void> {
  const args = [
    '--conditions=@pact-journal/source',
    main,
    '--id',
    String(id),
    '--dir',
    join(directory, String(id)),
  ];
  const child = spawn(process.execPath, [...args, '--members', members], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.set(id, child);
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`node ${String(id)} ended`)));
  await Promise.race([once(child.stdout, 'data'), ended]);
  ended.catch(() => undefined);
}

async function end(id: number, signal: NodeJS.Signals): Promise<void> {
  const child = running.get(id);
  running.delete(id);
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

it('three processes agree, survive the death of their leader, and remember everything after a restart', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pact-journal-kv-'));
  scratches.push(directory);
  const http: string[] = [];
  const parts: string[] = [];
  for (const id of [1, 2, 3]) {
    const address = `127.0.0.1:${String(await freePort())}`;
    http.push(address);
    parts.push(`${String(id)}=127.0.0.1:${String(await freePort())}/${address}`);
  }
  const members = parts.join(',');
  await Promise.all([1, 2, 3].map((id) => begin(id, directory, members)));

  // `fetch` follows the redirect to the leader.
  const url = (id: number, path: string) => `http://${String(http[id - 1])}/${path}`;
  const put = (id: number, key: string, body: string) =>
    fetch(url(id, key), { method: 'PUT', body }).then(
      ({ status }) => status,
      () => 0,
    );
  const get = (id: number, key: string) => fetch(url(id, key)).then((response) => response.text(), String);
  const leaderOf = async (id: number) => {
    const status = (await (await fetch(url(id, 'status'))).json()) as { leaderId: number };
    return status.leaderId;
  };

  await expect.poll(() => put(2, 'greeting', 'hello'), { timeout: 20_000 }).toBe(201);
  for (const id of [1, 2, 3]) expect(await get(id, 'greeting')).toBe('hello');

  const leader = await leaderOf(2);
  await end(leader, 'SIGKILL');
  const survivor = (leader % 3) + 1;
  await expect.poll(() => put(survivor, 'greeting', 'hello again'), { timeout: 20_000 }).toBe(200);
  expect(await get(survivor, 'greeting')).toBe('hello again');

  await Promise.all([...running.keys()].map((id) => end(id, 'SIGTERM')));
  await Promise.all([1, 2, 3].map((id) => begin(id, directory, members)));
  for (const id of [1, 2, 3]) {
    await expect.poll(() => get(id, 'greeting'), { timeout: 20_000 }).toBe('hello again');
  }
  expect((await fetch(url(1, 'greeting'), { method: 'DELETE' })).status).toBe(200);
  expect((await fetch(url(3, 'greeting'))).status).toBe(404);
});
