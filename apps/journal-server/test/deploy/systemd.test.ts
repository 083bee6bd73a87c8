/** The systemd unit, held against systemd's own checks, and what the service tells it while it lives. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { settings } from '../../src/config/settings.ts';
import { requireDebianPackage } from '../support/debian.ts';
import { freePorts, killAllNodes, TestNode } from '../support/test-cluster.ts';

const run = promisify(execFile);
const UNITS = fileURLToPath(new URL('../../deploy/systemd', import.meta.url));
const UNIT = 'pact-journal.service';

let directory = '';

beforeAll(async () => {
  await requireDebianPackage('systemd-analyze', 'systemd');
  directory = await mkdtemp(join(tmpdir(), 'pact-systemd-'));
}, 120_000);

afterAll(async () => {
  await killAllNodes();
  await rm(directory, { recursive: true, force: true });
});

test('systemd-analyze finds nothing wrong with the unit and its drop-in, and little that they leave open', async () => {
  // As on a machine that it is installed on.
  const root = join(directory, 'root');
  const installed = join(root, 'etc/systemd/system');
  await mkdir(join(root, 'usr/bin'), { recursive: true });
  await writeFile(join(root, 'usr/bin/pact-journal'), '#!/bin/sh\n');
  await chmod(join(root, 'usr/bin/pact-journal'), 0o755);
  await cp('/usr/lib/systemd/system', join(root, 'usr/lib/systemd/system'), {
    recursive: true,
    verbatimSymlinks: true,
  });
  await cp(UNITS, installed, { recursive: true });
  const verify = ['verify', `--root=${root}`, '--man=no', join(installed, UNIT)];
  expect(await run('systemd-analyze', verify)).toEqual({ stdout: '', stderr: '' });
  // 0 is locked up, 10 is open: 2.0 at most.
  await run('systemd-analyze', ['security', '--offline=true', '--threshold=20', join(UNITS, UNIT)]);
});

test('the unit allows what the settings promise', async () => {
  const unit = await readFile(join(UNITS, UNIT), 'utf8');
  const value = (key: string): string => new RegExp(`^${key}=(.*)$`, 'mu').exec(unit)?.[1] ?? '';
  const { drainTimeout, maxConnections } = settings.limits;
  expect(Number.parseInt(value('TimeoutStopSec'), 10) * 1_000).toBeGreaterThan(2 * drainTimeout.fallback);
  expect(Number(value('LimitNOFILE'))).toBeGreaterThan(maxConnections.fallback);
  expect(`/var/lib/${value('StateDirectory')}`).toBe(settings.node.dataDir.fallback);
});

test('a service says that it is ready, that it is alive, and that it is stopping', async () => {
  const socket = join(directory, 'notify');
  // What systemd does with its end: Node has no sockets of this kind.
  const listener = spawn('python3', [
    '-uc',
    'import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.bind(sys.argv[1])\nprint("bound")\nwhile True: print(s.recv(4096).decode())',
    socket,
  ]);
  let heard = '';
  listener.stdout.setEncoding('utf8').on('data', (text: string) => (heard += text));
  await once(listener.stdout, 'data');
  const base = await freePorts(3);
  const at = (offset: number): string => `127.0.0.1:${String(base + offset)}`;
  const place = { id: 1, grpc: at(0), raft: at(1), metrics: at(2), dataDir: join(directory, 'data') };
  const node = new TestNode(place, [], { env: { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '900000' } });
  await expect
    .poll(() => heard, { timeout: 15_000 })
    .toMatch(/READY=1\nSTATUS=serving as leader, node 1 of pact\n[^]*WATCHDOG=1\n[^]*WATCHDOG=1\n/u);
  await node.kill('SIGTERM');
  expect(await node.exited).toEqual({ code: 0, signal: null });
  await expect.poll(() => heard, { timeout: 5_000 }).toContain('STOPPING=1');
  listener.kill();
  expect(node.log).not.toContain('systemd could not be told');
});
