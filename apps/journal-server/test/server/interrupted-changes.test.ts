/** Membership changes that somebody dies in the middle of, and how the cluster looks to an operator meanwhile. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runHere, startCli } from '../cli/run-cli.ts';
import { expectWhole, Load } from '../support/load.ts';
import { TestCluster, TestNode, type NodePlace } from '../support/test-cluster.ts';

interface Member {
  readonly id: number;
  readonly role: string;
  readonly reachable?: boolean;
}

let cluster: TestCluster;
let newcomer: NodePlace;
let newcomers: NodePlace[];
const endpoints = (): string => [...cluster.places, ...newcomers].map(({ grpc }) => grpc).join(',');

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: 3, learners: 1 });
  newcomer = await cluster.newPlace(5);
  newcomers = [newcomer];
});

afterAll(async () => {
  await cluster.stop();
});

async function cli(...args: string[]): Promise<string> {
  const result = await runHere(args, { env: { PACT_ENDPOINT: endpoints() } });
  expect(result).toMatchObject({ code: 0, stderr: '' });
  return result.stdout;
}

async function members(): Promise<readonly Member[]> {
  return (JSON.parse(await cli('member', 'list', '--json')) as { members: Member[] }).members;
}

const voters = async (): Promise<number[]> =>
  (await members()).filter(({ role }) => role !== 'learner').map(({ id }) => id);

test('status shows each member as it is, one that is down too', async () => {
  const { node } = { node: cluster.node((await cluster.leader()).place.id === 3 ? 2 : 3) };
  const down = node.place.id;
  await node.kill('SIGKILL');
  await expect
    .poll(
      async () => (JSON.parse(await cli('status', '--json')) as { members: { active: boolean }[] }).members,
      {
        timeout: 15_000,
      },
    )
    .toContainEqual(expect.objectContaining({ id: down, active: false, reachable: false, disk: null }));
  const report = JSON.parse(await cli('status', '--json')) as Record<string, unknown> & { members: Member[] };
  expect(report).toMatchObject({ leader_id: expect.any(Number) as number, alarms: [], certificates: [] });
  expect(report.members.find(({ id }) => id === 4)).toMatchObject({
    role: 'learner',
    active: true,
    reachable: true,
    promoting: false,
    version: report['version'],
    lag_entries: expect.any(Number) as number,
    lag_ms: expect.any(Number) as number,
    uptime_ms: expect.any(Number) as number,
    disk: { data_dir: cluster.node(4).place.dataDir, total_bytes: expect.any(Number) as number },
    certificates: [],
  });
  const table = await cli('status');
  expect(table).toMatch(new RegExp(`^${String(down)} .*silent, no answer`, 'mu'));
  expect(table).toMatch(/^4 +learner +up +0 +\d+\.\d+\.\d+ +\d+ .*iB +.*iB \(\d+%\)/mu);
  cluster.startNode(down);
  await cluster.leader();
});

describe('a change in the middle of which', () => {
  test('the leader is killed, between the two configurations, comes to its end under the next one', async () => {
    const load = new Load(
      cluster.places.map(({ grpc }) => grpc),
      2,
    );
    await load.goesOn();
    const leader = await cluster.leader();
    const leaving = [1, 2, 3].find((id) => id !== leader.place.id) ?? 0;
    const replacing = startCli(['member', 'replace', String(leaving), '4', '--endpoint', leader.place.grpc]);
    const replaced = new Promise((resolve) => replacing.once('close', resolve));
    // The joint configuration is applied: the old voters and the new ones must agree on everything.
    await expect.poll(() => leader.log, { timeout: 15_000, interval: 1 }).toContain('"role":"outgoing"');
    await leader.kill('SIGKILL');
    await replaced;
    const expected = [...[1, 2, 3].filter((id) => id !== leaving), 4];
    await expect.poll(voters, { timeout: 15_000 }).toEqual(expected);
    await load.goesOn();
    cluster.startNode(leader.place.id);
    await expect.poll(() => cluster.node(leader.place.id).log, { timeout: 15_000 }).toContain('"leader"');
    const report = await load.stop();
    expect(report.failures).toEqual([]);
    await expectWhole(report, leader.place.grpc);
    await cluster.node(leaving).kill('SIGTERM');
  });

  test('the command line is killed goes on without it, and so does one whose new node is killed', async () => {
    const { raft, grpc } = newcomer;
    const adding = startCli(
      ['member', 'add-learner', '5', '--raft', raft, '--grpc', grpc].concat(
        '--promote-when-caught-up',
        '--wait',
        '5m',
        '--endpoint',
        endpoints(),
      ),
    );
    const ended = new Promise((resolve) => adding.once('close', resolve));
    await expect
      .poll(members, { timeout: 15_000 })
      .toContainEqual(expect.objectContaining({ id: 5, role: 'learner', promoting: true }));
    adding.kill('SIGKILL');
    await ended;
    const join = cluster.places.flatMap((place) => ['--join', place.grpc]);
    const first = new TestNode(newcomer, join);
    await expect.poll(() => first.log, { timeout: 15_000 }).toContain('connected to a peer');
    await first.kill('SIGKILL');
    await new TestNode(newcomer, join).ready();
    await expect.poll(voters, { timeout: 20_000 }).toContain(5);
  });
});
