/** How a server starts, refuses to, and stops. */
import { createServer, type Server } from 'node:net';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  credentials,
  loadPackageDefinition,
  status,
  type ClientReadableStream,
  type GrpcObject,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { newEntryToWire } from '@pact-journal/journal-proto';
import { protoPath } from 'grpc-health-check';
import { failureLine, runCli } from '../cli/run-cli.ts';
import { append, call, commitOf, listing, stubs } from '../support/calls.ts';
import { logFiles } from '../support/log-files.ts';
import { freePorts, killAllNodes, TestNode, type NodePlace } from '../support/test-cluster.ts';

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pact-startup-'));
});

afterAll(async () => {
  await killAllNodes();
  await rm(folder, { recursive: true, force: true });
});

async function newPlace(name: string): Promise<NodePlace> {
  const base = await freePorts(3);
  const at = (offset: number): string => `127.0.0.1:${String(base + offset)}`;
  return { id: 1, grpc: at(0), raft: at(1), metrics: at(2), dataDir: join(folder, name) };
}

function serveFlags(place: NodePlace): readonly string[] {
  return [
    'serve',
    '--data-dir',
    place.dataDir,
    '--listen-grpc',
    place.grpc,
    '--listen-raft',
    place.raft,
    '--listen-metrics',
    place.metrics,
  ];
}

function watchHealth(endpoint: string): ClientReadableStream<unknown> {
  const health = (loadPackageDefinition(loadSync(protoPath))['grpc'] as GrpcObject)['health'] as GrpcObject;
  const service = (health['v1'] as GrpcObject)['Health'] as ServiceClientConstructor;
  const client = new service(endpoint, credentials.createInsecure()) as unknown as {
    watch(request: { readonly service: string }): ClientReadableStream<unknown>;
  };
  return client.watch({ service: '' });
}

async function holding<Result>(address: string, work: () => Promise<Result>): Promise<Result> {
  const port = Number(address.split(':')[1]);
  const server = await new Promise<Server>((resolve) => {
    const holder = createServer().listen(port, '127.0.0.1', () => {
      resolve(holder);
    });
  });
  try {
    return await work();
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

describe('a port that is taken', () => {
  test.each(['grpc', 'raft', 'metrics'] as const)(
    '%s: one line with the port, the flag, and who holds it',
    async (name) => {
      const place = await newPlace('taken');
      const port = String(place[name].split(':')[1]);
      const line = failureLine(await holding(place[name], () => runCli(serveFlags(place))));
      expect(line).toContain(`port ${port} `);
      expect(line).toContain(`--listen-${name}`);
      if (process.platform === 'linux') expect(line).toContain(`process ${String(process.pid)} `);
    },
  );

  test('dev names its own flag', async () => {
    const base = await freePorts(3);
    const result = await holding(`127.0.0.1:${String(base)}`, () =>
      runCli(['dev', '--nodes', '1', '--base-port', String(base), '--data-dir', join(folder, 'dev-taken')]),
    );
    expect(result.code).toBe(1);
    expect(failureLine(result)).toMatch(new RegExp(`port ${String(base)} .*--base-port`));
  });
});

describe('a configuration that cannot be used', () => {
  test.each([
    [
      'an unknown key',
      '[node]\ndata_dri = "/x"\n',
      [],
      /bad\.toml:2: unknown key node\.data_dri; did you mean node\.data_dir\?/,
    ],
    [
      'a bad address',
      '[listen]\ngrpc = "nine"\n',
      [],
      /bad\.toml:2: listen\.grpc is "nine": expected host:port/,
    ],
    [
      'an address that others reach, unless --insecure',
      '',
      ['--listen-grpc', '0.0.0.0:9443'],
      /--listen-grpc: .*--insecure/,
    ],
    [
      'a flag that is no number',
      '',
      ['--node-id', 'first'],
      /--node-id: node\.id is "first": expected a whole number/,
    ],
  ])('%s: one line, exit status 2, and nothing is touched', async (_name, toml, flags, message) => {
    const file = join(folder, 'bad.toml');
    await writeFile(file, toml);
    const dataDir = join(folder, 'untouched');
    for (const command of [['serve'], ['config', 'check']]) {
      const result = await runCli([...command, '--config', file, '--data-dir', dataDir, ...flags]);
      expect(result.code).toBe(2);
      expect(result.stdout).toBe('');
      expect(failureLine(result)).toMatch(message);
    }
    await expect(readdir(dataDir)).rejects.toThrow('ENOENT');
  });

  test('an unknown flag is answered with the nearest one', async () => {
    const result = await runCli(['serve', '--listen-gprc', '127.0.0.1:1']);
    expect(result.code).toBe(2);
    expect(failureLine(result)).toContain('--listen-grpc');
  });
});

describe('config check', () => {
  test('prints each value and where it came from', async () => {
    const file = join(folder, 'good.toml');
    await writeFile(file, '[node]\nid = 3\n');
    const result = await runCli(['config', 'check', '--config', file, '--log-level', 'debug', '--json'], {
      env: { PACT_JOURNAL_DATA_DIR: '/somewhere' },
    });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(result.stdout)).toMatchObject({
      'node.id': { value: 3, origin: `${file}:2` },
      'node.data_dir': { value: '/somewhere', origin: '$PACT_JOURNAL_DATA_DIR' },
      'log.level': { value: 'debug', origin: '--log-level' },
      'listen.grpc': { value: '127.0.0.1:9443', origin: 'default' },
    });
    expect((await runCli(['config', 'check', '--config', file])).stdout).toMatch(
      /node\.id +3 +.*good\.toml:2/,
    );
  });
});

describe('a data directory', () => {
  test('of another node, of another cluster, or of a process that runs is refused with words and status 4', async () => {
    const place = await newPlace('owned');
    const node = new TestNode(place, []);
    await node.ready();
    const elsewhere = { ...(await newPlace('unused')), dataDir: place.dataDir };
    const second = await runCli(serveFlags(elsewhere));
    expect(second.code).toBe(4);
    expect(failureLine(second)).toContain(place.dataDir);
    await node.kill('SIGTERM');
    const otherNode = await runCli([...serveFlags(elsewhere), '--node-id', '2']);
    expect(otherNode.code).toBe(4);
    expect(failureLine(otherNode)).toContain(place.dataDir);
    const otherCluster = await runCli([...serveFlags(elsewhere), '--cluster-id', 'other']);
    expect(otherCluster.code).toBe(4);
    expect(failureLine(otherCluster)).toMatch(/other/);
  });

  test('with damage in it stops the node with the file and the way out, status 5, and is left as it is', async () => {
    const place = await newPlace('damaged');
    const node = new TestNode(place, ['--entries-per-file', '1']);
    const { grpc } = await node.ready();
    const client = stubs(grpc);
    for (const value of ['1', '2', '3']) await append(client, commitOf('vm.x', value));
    client.close();
    await node.kill('SIGKILL');
    const { folder, names } = logFiles(place.dataDir);
    const victim = join(folder, names.at(-3) ?? '');
    const bytes = await readFile(victim);
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 20) ^ 1, bytes.length - 20);
    await writeFile(victim, bytes);
    const result = await runCli(serveFlags(place));
    expect(result.code).toBe(5);
    expect(failureLine(result)).toContain(victim);
    expect(await readFile(victim)).toEqual(bytes);
  });
});

describe('a disk that fails while the server runs', () => {
  test('ends the process with the reason in one line and status 1: it does not go on without its log', async () => {
    const place = await newPlace('gone');
    const node = new TestNode(place, []);
    await node.ready();
    await rm(join(place.dataDir, 'raft', 'wal'), { recursive: true });
    const client = stubs(place.grpc);
    await expect(append(client, commitOf('vm.x', '1'))).rejects.toMatchObject({ code: 14 });
    client.close();
    expect(await node.exited).toEqual({ code: 1, signal: null });
    const last = node.log.trim().split('\n').at(-1) ?? '';
    expect(last).toMatch(/^pact-journal: .*raft\/wal/);
  });
});

describe('a single server', () => {
  test('prints one ready line, keeps what was acknowledged through kill -9, and stops on SIGTERM with status 0', async () => {
    const place = await newPlace('single');
    const first = new TestNode(place, []);
    expect(await first.ready()).toEqual({
      id: 1,
      role: 'leader',
      grpc: place.grpc,
      raft: place.raft,
      metrics: place.metrics,
      data_dir: place.dataDir,
      pid: first.pid,
    });
    const client = stubs(place.grpc);
    await append(client, commitOf('vm.kept', '1', 'Global', { policy_ref: 'kept' }));
    await first.kill('SIGKILL');
    const second = new TestNode(place, []);
    await second.ready();
    const again = stubs(place.grpc);
    expect(await listing(again)).toEqual(['0 kept']);
    client.close();
    again.close();
    await second.kill('SIGTERM');
    expect(await second.exited).toEqual({ code: 0, signal: null });
  });

  test('is not held up by those who listen: their calls end, and they are told to go elsewhere', async () => {
    const place = await newPlace('listeners');
    const node = new TestNode(place, []);
    await node.ready();
    const client = stubs(place.grpc);
    const endOf = (call: ClientReadableStream<unknown>): Promise<number> =>
      new Promise((resolve) => {
        call.on('data', () => undefined);
        call.on('error', ({ code }: ServiceError) => {
          resolve(code);
        });
        call.on('end', () => {
          resolve(status.OK);
        });
      });
    const appending = client.append.appendStream();
    const outcome = new Promise((resolve) => appending.once('data', resolve));
    appending.write({
      items: [
        {
          correlationId: 1,
          requestId: '',
          command: { $case: 'entry', value: newEntryToWire(commitOf('vm.x', '1')) },
        },
      ],
    });
    await outcome;
    const subscribed = client.boot.subscribeConfigUpdates({
      nodeId: 'n1',
      vclusterId: 'ml',
      fromSequence: 0,
    });
    const watching = watchHealth(place.grpc);
    const told = new Promise((resolve) => subscribed.once('metadata', resolve));
    const serving = new Promise((resolve) => watching.once('data', resolve));
    await Promise.all([told, serving]);
    const ends = Promise.all([endOf(appending), endOf(subscribed), endOf(watching)]);
    const startedMs = performance.now();
    await node.kill('SIGTERM');
    expect(performance.now() - startedMs).toBeLessThan(5_000);
    expect((await node.exited).code).toBe(0);
    expect((await ends).slice(0, 2)).toEqual([status.UNAVAILABLE, status.UNAVAILABLE]);
    client.close();
  });

  test('logs JSON lines to stdout when nobody asked for the ready line', async () => {
    const place = await newPlace('logs');
    const { startCli } = await import('../cli/run-cli.ts');
    const child = startCli(serveFlags(place));
    let out = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
    await expect.poll(() => out, { timeout: 15_000 }).toContain('"msg":"serving"');
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(code).toBe(0);
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { msg: string; level: string });
    expect(lines.map(({ msg }) => msg)).toEqual(
      expect.arrayContaining(['leader', 'serving', 'stopping', 'stopped']),
    );
  });

  test('listens off loopback where --insecure says so, and says it loudly', async () => {
    const place = await newPlace('insecure');
    const wildcard = place.grpc.replace('127.0.0.1', '0.0.0.0');
    const node = new TestNode(place, [
      '--listen-grpc',
      wildcard,
      '--advertise-grpc',
      place.grpc,
      '--insecure',
    ]);
    expect((await node.ready()).grpc).toBe(wildcard);
    await expect.poll(() => node.log, { timeout: 15_000 }).toContain('INSECURE');
    const { cluster, close } = stubs(place.grpc);
    const shown = await call(cluster, cluster.getStatus.bind(cluster), {});
    expect(shown).toMatchObject({ insecure: true, members: [{ grpc: place.grpc }] });
    close();
    await node.kill('SIGTERM');
  });

  test.each(['standalone', 'co-located'])('config/%s.toml runs', async (mode) => {
    const place = await newPlace(mode);
    const file = new URL(`../../config/${mode}.toml`, import.meta.url).pathname;
    const node = new TestNode(place, ['--config', file]);
    expect((await node.ready()).role).toBe('leader');
    const client = stubs(place.grpc);
    expect(await append(client, commitOf('vm.x', '1'))).toBe(0);
    client.close();
    if (mode === 'co-located' && process.platform === 'linux') {
      const stat = await readFile(`/proc/${String(node.pid)}/stat`, 'utf8');
      expect(stat.slice(stat.lastIndexOf(')')).split(' ')[17]).toBe('5');
    }
    await node.kill('SIGTERM');
    expect((await node.exited).code).toBe(0);
  });
});
