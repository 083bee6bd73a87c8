/** A cluster that grows, shrinks and catches up, by the command line and by joining. */
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failureLine, runCli, type CliResult } from '../cli/run-cli.ts';
import { append, call, commitOf, listing, stubs, type Stubs } from '../support/calls.ts';
import { TestCluster, TestNode } from '../support/test-cluster.ts';

/** Small steps, so that a member that was away finds the log gone and needs a snapshot. */
const FLAGS = ['--snapshot-interval-entries', '100', '--retained-entries', '0'];

let cluster: TestCluster;
let founder: Stubs;
let endpoint = '';

beforeAll(async () => {
  cluster = await TestCluster.start({ flags: FLAGS });
  endpoint = cluster.places[0]?.grpc ?? '';
  founder = stubs(endpoint);
});

afterAll(async () => {
  founder.close();
  await cluster.stop();
});

const run = (...args: string[]): Promise<CliResult> =>
  runCli([...args, '--json'], { env: { PACT_ENDPOINT: endpoint } });

async function roles(): Promise<string[]> {
  const { members } = JSON.parse((await run('status')).stdout) as { members: { id: number; role: string }[] };
  return members.map(({ id, role }) => `${String(id)} ${role}`);
}

async function digestOf({ cluster: service }: Stubs): Promise<string> {
  const { digest, appliedIndex } = await call(service, service.getDigest.bind(service), {});
  return `${String(appliedIndex)} ${digest}`;
}

async function appendMany(count: number, name: string): Promise<void> {
  await Promise.all(
    Array.from({ length: count }, (_, index) =>
      append(
        founder,
        commitOf(`${name}.${String(index % 7)}`, String(index), { Node: `n${String(index % 5)}` }),
      ),
    ),
  );
}

describe('membership', () => {
  test('a new node joins behind a compacted log, is promoted, comes back after an absence, and is removed', async () => {
    await appendMany(250, 'before');
    await expect
      .poll(
        async () =>
          (await call(founder.cluster, founder.cluster.getStatus.bind(founder.cluster), {})).snapshotIndex,
        { timeout: 15_000 },
      )
      .toBeGreaterThan(0);

    const place = await cluster.newPlace(2);
    const joined = new TestNode(place, ['--join', endpoint, ...FLAGS]);
    await joined.ready();
    const newcomer = stubs(place.grpc);
    await expect.poll(async () => (await listing(newcomer)).length, { timeout: 15_000 }).toBe(250);
    await expect.poll(() => digestOf(newcomer), { timeout: 15_000 }).toBe(await digestOf(founder));
    expect(await roles()).toEqual(['1 leader', '2 learner']);

    await joined.kill('SIGKILL');
    await appendMany(250, 'while-away');
    const back = new TestNode(place, ['--join', endpoint, ...FLAGS]);
    await back.ready();
    const again = stubs(place.grpc);
    await expect
      .poll(() => digestOf(again).catch(() => ''), { timeout: 15_000 })
      .toBe(await digestOf(founder));

    expect((await run('member', 'promote', '2')).code).toBe(0);
    expect(await roles()).toEqual(['1 leader', '2 follower']);
    await append(again, commitOf('vm.x', '2'));
    expect((await run('member', 'remove', '2')).code).toBe(0);
    expect(await roles()).toEqual(['1 leader']);
    const { alarms } = await call(again.cluster, again.cluster.getStatus.bind(again.cluster), {});
    expect(alarms).toMatchObject([{ code: 'removed', nodeId: 2 }]);
    await back.kill('SIGTERM');
    const once = new TestNode(place, FLAGS);
    await once.ready();
    await expect
      .poll(async () => (await call(again.cluster, again.cluster.getStatus.bind(again.cluster), {})).alarms, {
        timeout: 15_000,
      })
      .toMatchObject([{ code: 'removed', nodeId: 2 }]);
    await once.kill('SIGTERM');
    await append(founder, commitOf('vm.x', '3'));
    expect((await listing(founder)).length).toBe(502);
    newcomer.close();
    again.close();
  });

  test('what would lose the quorum, or makes no sense, is refused with the reason', async () => {
    const absent = await cluster.newPlace(7);
    const unreachable = ['--raft', absent.raft, '--grpc', absent.grpc];
    expect((await run('member', 'add-learner', '7', ...unreachable)).code).toBe(0);
    const promoted = await run('member', 'promote', '7');
    expect(promoted.code).toBe(4);
    expect(failureLine(promoted)).toMatch(/does not respond/);
    const twice = await run('member', 'add-learner', '7', ...unreachable);
    expect(twice.code).toBe(4);
    expect(failureLine(twice)).toMatch(/node 7 is a member already/);
    expect((await run('member', 'remove', '7')).code).toBe(0);
    await expect(
      call(founder.cluster, founder.cluster.removeMember.bind(founder.cluster), { id: 1 }),
    ).rejects.toMatchObject({ code: status.FAILED_PRECONDITION });
  });

  test('a node whose id is taken is not let in, and says so', async () => {
    const elsewhere = { ...(await cluster.newPlace(1)) };
    const result = await runCli([
      'serve',
      '--node-id',
      '1',
      '--data-dir',
      `${elsewhere.dataDir}-impostor`,
      '--listen-grpc',
      elsewhere.grpc,
      '--listen-raft',
      elsewhere.raft,
      '--listen-metrics',
      elsewhere.metrics,
      '--join',
      endpoint,
    ]);
    expect(result.code).toBe(4);
    expect(result.stderr).toMatch(/node 1 is a member already \(leader at .*--node-id/);
  });

  test('a node that waits for a cluster to join stops when it is told to', async () => {
    const place = await cluster.newPlace(8);
    const nobody = await cluster.newPlace(9);
    const node = new TestNode(place, ['--join', nobody.grpc]);
    await expect.poll(() => node.log, { timeout: 15_000 }).toContain('no answer yet');
    const startedMs = performance.now();
    await node.kill('SIGTERM');
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    expect((await node.exited).code).toBe(0);
  });
});
