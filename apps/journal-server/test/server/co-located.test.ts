/**
 * The shipped configurations, run as they are. Co-located: three hosts (loopback addresses), on each of them a journal
 * from config/co-located.toml and, on lattice-server's ports, a member of an independent Raft group.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { getPriority, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failureLine, runCli, runHere } from '../cli/run-cli.ts';
import { append, commitOf, stubs } from '../support/calls.ts';
import {
  freePorts,
  killAllNodes,
  TestNode,
  type NodeHealth,
  type NodePlace,
} from '../support/test-cluster.ts';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));
const CO_LOCATED = path('../../config/co-located.toml');
const STANDALONE = path('../../config/standalone.toml');
const LATTICE = path('../support/lattice-stand-in.ts');
/** As its documentation has them. */
const LATTICE_PORTS = { Raft: 9000, gRPC: 50051, REST: 8080 } as const;

let directory = '';
/** Of their own for this process, so that the documented ports are free on them. */
const network = `127.${String(20 + (process.pid % 200))}.${String(1 + ((process.pid >> 8) % 250))}`;
const host = (id: number): string => `${network}.${String(id)}`;
const IDS = [1, 2, 3] as const;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pact-located-'));
});

afterAll(async () => {
  await killAllNodes();
  await Promise.all([...others.keys()].map(killOther));
  await rm(directory, { recursive: true, force: true });
});

// -- the other group --------------------------------------------------------------------------------------------

const others = new Map<number, ChildProcess>();
const otherDir = (id: number): string => join(directory, `lattice-${String(id)}`);
const otherAt = (id: number, port: keyof typeof LATTICE_PORTS): string =>
  `${host(id)}:${String(LATTICE_PORTS[port])}`;
const otherMembers = IDS.map((id) => `${String(id)}=${otherAt(id, 'Raft')}/${otherAt(id, 'REST')}`).join(',');

async function startOther(id: number): Promise<void> {
  const group = ['--id', String(id), '--dir', otherDir(id), '--members', otherMembers];
  const program = ['--conditions=@pact-journal/source', LATTICE, otherAt(id, 'gRPC')];
  const child = spawn(process.execPath, [...program, ...group], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  others.set(id, child);
  await once(child.stdout, 'data');
}

async function killOther(id: number): Promise<void> {
  const child = others.get(id);
  others.delete(id);
  if (child?.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

interface OtherStatus {
  readonly term: number;
  readonly leaderId: number;
}

async function otherStatus(): Promise<OtherStatus> {
  const views = await Promise.all(
    [...others.keys()].map(async (id) => {
      const response = await fetch(`http://${otherAt(id, 'REST')}/status`);
      return (await response.json()) as OtherStatus;
    }),
  );
  const [first] = views;
  const agreed = views.every(({ term, leaderId }) => term === first?.term && leaderId === first.leaderId);
  return first !== undefined && agreed
    ? { term: first.term, leaderId: first.leaderId }
    : { term: 0, leaderId: 0 };
}

async function put(key: string): Promise<number> {
  const [id = 0] = others.keys();
  const response = await fetch(`http://${otherAt(id, 'REST')}/${key}`, { method: 'PUT', body: 'x' }).catch(
    () => undefined,
  );
  return response?.status ?? 0;
}

// -- the journals -----------------------------------------------------------------------------------------------

const nodes = new Map<number, TestNode>();
const place = (id: number): NodePlace => ({
  id,
  grpc: `${host(id)}:9443`,
  raft: `${host(id)}:9444`,
  metrics: `${host(id)}:9091`,
  dataDir: join(directory, `journal-${String(id)}`),
});
const members = IDS.flatMap((id) => {
  const { grpc, raft, metrics } = place(id);
  return ['--member', `${String(id)}=${raft},${grpc},${metrics}`];
});

function startJournal(id: number): void {
  const flags = ['--config', CO_LOCATED, '--lattice-data-dir', otherDir(id), ...members];
  nodes.set(id, new TestNode(place(id), flags));
}

async function journalStatus(): Promise<Pick<NodeHealth, 'term' | 'leader_id'>> {
  const running = [...nodes.values()].filter((node) => node.running);
  const views = await Promise.all(running.map((node) => node.health()));
  const [first] = views;
  const agreed = views.every((view) => view?.term === first?.term && view?.leader_id === first?.leader_id);
  return first !== undefined && agreed
    ? { term: first.term, leader_id: first.leader_id }
    : { term: 0, leader_id: 0 };
}

async function commit(key: string): Promise<number> {
  const id = [...nodes.values()].find((node) => node.running)?.place.id ?? 0;
  const client = stubs(place(id).grpc);
  const sequence = await append(client, commitOf(key, '1')).catch(() => -1);
  client.close();
  return sequence;
}

function connected(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, address, () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

const LONG = { timeout: 30_000 };

describe('co-located with another group on the same three hosts', () => {
  beforeAll(async () => {
    await Promise.all(IDS.map(startOther));
    for (const id of IDS) startJournal(id);
    await Promise.all([...nodes.values()].map((node) => node.ready()));
  }, 60_000);

  test('both groups work', async () => {
    await expect.poll(() => put('first'), LONG).toBe(201);
    await expect.poll(() => commit('vm.first'), LONG).toBeGreaterThanOrEqual(0);
    await expect.poll(async () => (await journalStatus()).leader_id, LONG).toBeGreaterThan(0);
    await expect.poll(async () => (await otherStatus()).leaderId, LONG).toBeGreaterThan(0);
  });

  test('the other system listens on all of its ports', async () => {
    for (const id of IDS) {
      for (const [, port] of Object.entries(LATTICE_PORTS)) await connected(host(id), port);
    }
  });

  test('the journal lowers its priority, the other system keeps its own', () => {
    for (const node of nodes.values()) expect(getPriority(node.pid)).toBe(5);
    for (const other of others.values()) expect(getPriority(other.pid ?? 0)).toBe(0);
  });

  test('discovery tells the other system where to place itself and what to keep clear of', async () => {
    const answer: unknown = await (await nodes.get(2)?.http('/discovery'))?.json();
    expect(answer).toMatchObject({
      cluster_id: 'pact',
      mode: 'co-located',
      members: IDS.map((id) => ({
        id,
        voter: true,
        host: host(id),
        raft: place(id).raft,
        grpc: place(id).grpc,
      })),
      node: { id: 2, ports: { grpc: 9443, raft: 9444, metrics: 9091 }, data_dir: place(2).dataDir },
      lattice: { raft_port: 9000, grpc_port: 50051, rest_port: 8080 },
    });
  });

  test("the other group's failover leaves the journal's term and leader as they are", async () => {
    const [before, theirs] = [await journalStatus(), await otherStatus()];
    await killOther(theirs.leaderId);
    await expect.poll(() => put('after-failover'), LONG).toBe(201);
    expect((await otherStatus()).term).toBeGreaterThan(theirs.term);
    expect(await commit('vm.beside-a-failover')).toBeGreaterThanOrEqual(0);
    expect(await journalStatus()).toEqual(before);
    await startOther(theirs.leaderId);
  });

  test("the journal's failover leaves the other group's term and leader as they are", async () => {
    const ours = await journalStatus();
    await expect.poll(async () => (await otherStatus()).leaderId, LONG).toBeGreaterThan(0);
    const before = await otherStatus();
    await nodes.get(ours.leader_id)?.kill('SIGKILL');
    await expect.poll(() => commit('vm.after-failover'), LONG).toBeGreaterThanOrEqual(0);
    expect((await journalStatus()).term).toBeGreaterThan(ours.term);
    expect(await put('beside-a-failover')).toBe(201);
    expect(await otherStatus()).toEqual(before);
    startJournal(ours.leader_id);
    await nodes.get(ours.leader_id)?.ready();
  });

  test.each([
    ...Object.entries(LATTICE_PORTS).flatMap(([what, port]) => [
      {
        what: `${what} port ${String(port)} that the configuration gives to lattice`,
        flags: () => ['--listen-raft', `${host(9)}:${String(port)}`],
        code: 2,
        words: `listen.raft uses port ${String(port)}, which is lattice-server's ${what} port`,
      },
      {
        what: `${what} port ${String(port)} that the other system really holds`,
        // As if the configuration did not know of it.
        flags: () => [
          `--lattice-${what.toLowerCase()}-port`,
          '65000',
          '--listen-metrics',
          `${host(1)}:${String(port)}`,
        ],
        code: 1,
        words: `port ${String(port)} for metrics is taken by process`,
      },
    ]),
    {
      what: 'directory inside that of lattice',
      flags: () => ['--data-dir', join(otherDir(1), 'journal')],
      code: 2,
      words: 'the two systems share nothing',
    },
    {
      what: 'directory that the other system really uses',
      flags: () => ['--lattice-data-dir', '', '--data-dir', otherDir(1)],
      code: 4,
      words: 'owns it',
    },
  ])('a $what is refused at start, with words', async ({ flags, code, words }) => {
    const base = await freePorts(3);
    const listen = ['grpc', 'raft', 'metrics'].flatMap((name, at) => [
      `--listen-${name}`,
      `127.0.0.1:${String(base + at)}`,
    ]);
    const standard = [
      '--config',
      CO_LOCATED,
      '--data-dir',
      join(directory, 'clash'),
      '--lattice-data-dir',
      otherDir(1),
    ];
    const result = await runCli(['serve', ...standard, ...listen, ...flags()]);
    expect(failureLine(result)).toContain(words);
    expect(result.code).toBe(code);
  });
});

test('standalone.toml runs from the first commit to a boot, told by variables where to listen', async () => {
  const base = await freePorts(3);
  const at = (offset: number): string => `127.0.0.1:${String(base + offset)}`;
  const standalone = {
    id: 1,
    grpc: at(0),
    raft: at(1),
    metrics: at(2),
    dataDir: join(directory, 'standalone'),
  };
  const node = new TestNode(standalone, ['--config', STANDALONE], {
    env: { PACT_JOURNAL_LOG_LEVEL: 'debug' },
  });
  expect(await node.ready()).toMatchObject({ id: 1, role: 'leader', data_dir: standalone.dataDir });
  const cli = async (stdin: string, ...args: string[]): Promise<unknown> => {
    const result = await runHere([...args, '--json'], { env: { PACT_ENDPOINT: standalone.grpc }, stdin });
    expect(result).toMatchObject({ code: 0, stderr: '' });
    return JSON.parse(result.stdout);
  };
  const delta = JSON.stringify({ kernel: [{ action: 'Add', key: 'vm.swappiness', value: '10' }] });
  expect(await cli(delta, 'commit', '--vcluster', 'ml', '-f', '-')).toMatchObject({ sequence: 0 });
  expect(await cli('', 'boot', 'n1', '--vcluster', 'ml')).toMatchObject({
    config: { kernel: { 'vm.swappiness': { value: '10' } } },
  });
  expect(await (await node.http('/discovery')).json()).toMatchObject({ mode: 'standalone', lattice: null });
  expect(node.log).toContain('"level":"debug"');
  await node.kill('SIGTERM');
  expect((await node.exited).code).toBe(0);
});
