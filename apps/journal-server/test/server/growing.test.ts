/** A cluster that is grown, mended and pruned by the command line alone, while clients write. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { failureLine, runHere, type CliResult } from '../cli/run-cli.ts';
import { expectWhole, Load, type LoadReport } from '../support/load.ts';
import { TestCluster, TestNode, type NodePlace } from '../support/test-cluster.ts';

/** An election of the default timing takes at most twice 800 ms after a silence of at most twice that. */
const ELECTION_MS = 3_200;

let cluster: TestCluster;
let places: ReadonlyMap<number, NodePlace>;
const nodes = new Map<number, TestNode>();
let load: Load;

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: 1 });
  const others = await Promise.all([2, 3, 4, 5, 6].map((id) => cluster.newPlace(id)));
  places = new Map([...cluster.places, ...others].map((place) => [place.id, place]));
  load = new Load([...places.values()].map(({ grpc }) => grpc));
});

afterAll(async () => {
  await cluster.stop();
});

function place(id: number): NodePlace {
  const found = places.get(id);
  if (found === undefined) throw new Error(`no place ${String(id)}`);
  return found;
}

const endpoints = (): string => [...places.values()].map(({ grpc }) => grpc).join(',');
const member = (...args: string[]): Promise<CliResult> =>
  runHere(['member', ...args, '--json'], { env: { PACT_ENDPOINT: endpoints() } });

async function done(...args: string[]): Promise<void> {
  expect(await member(...args)).toMatchObject({ code: 0, stderr: '' });
}

async function roles(): Promise<Record<string, string>> {
  const { members } = JSON.parse((await member('list')).stdout) as {
    members: { id: number; role: string }[];
  };
  return Object.fromEntries(members.map(({ id, role }) => [String(id), role === 'learner' ? role : 'voter']));
}

async function leaderId(): Promise<number> {
  const { members } = JSON.parse((await member('list')).stdout) as {
    members: { id: number; role: string }[];
  };
  return members.find(({ role }) => role === 'leader')?.id ?? 0;
}

async function leadership(): Promise<{ readonly leader_id: number; readonly term: number }> {
  const status = await runHere(['status', '--json'], { env: { PACT_ENDPOINT: endpoints() } });
  const { leader_id, term } = JSON.parse(status.stdout) as { leader_id: number; term: number };
  return { leader_id, term };
}

function start(id: number): TestNode {
  const known = [1, 2].filter((other) => other !== id).flatMap((other) => ['--join', place(other).grpc]);
  const node = new TestNode(place(id), known);
  nodes.set(id, node);
  return node;
}

describe('under load, by the command line alone', () => {
  test('one node grows to three', async () => {
    await load.goesOn();
    start(2);
    await done('promote', '2', '--wait', '30s');
    const { raft, grpc, metrics } = place(3);
    await done(
      'add-learner',
      '3',
      '--raft',
      raft,
      '--grpc',
      grpc,
      '--metrics',
      metrics,
      '--promote-when-caught-up',
    );
    start(3);
    await expect.poll(roles, { timeout: 20_000 }).toEqual({ 1: 'voter', 2: 'voter', 3: 'voter' });
    await load.goesOn();
  });

  test('a removal that would cost the majority is refused with the reason', async () => {
    await nodes.get(3)?.kill('SIGKILL');
    await load.goesOn();
    await expect
      .poll(async () => failureLine(await member('remove', '2')), { timeout: 20_000 })
      .toMatch(/of the voters to be, 1 respond and a majority is 2; bring node 3 up or remove it first/);
    expect(Object.keys(await roles())).toEqual(['1', '2', '3']);
  });

  test('the leader is asked to leave in vain: it is refused, and goes on leading', async () => {
    const before = await leadership();
    expect(before.leader_id).toBeGreaterThan(0);
    const refused = await member('remove', String(before.leader_id));
    expect(refused.code).toBe(4);
    expect(failureLine(refused)).toMatch(/of the voters to be, 1 respond and a majority is 2/);
    expect(await leadership()).toEqual(before);
    // To hand leadership to whoever has it changes nothing.
    const kept = await member('transfer', String(before.leader_id));
    expect(kept).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(kept.stdout)).toEqual(before);
    expect(await leadership()).toEqual(before);
  });

  test('a newcomer at the address of a member that responds is refused with words', async () => {
    const { raft, grpc } = place(2);
    const refused = await member('add-learner', '9', '--raft', raft, '--grpc', '127.0.0.1:9');
    expect({ code: refused.code, why: failureLine(refused) }).toEqual({
      code: 4,
      why: expect.stringContaining(`${raft} is the raft address of node 2, which responds`) as string,
    });
    const other = await member('add-learner', '9', '--raft', '127.0.0.1:9', '--grpc', grpc);
    expect(failureLine(other)).toContain(`${grpc} is the grpc address of node 2, which responds`);
    expect(Object.keys(await roles())).toEqual(['1', '2', '3']);
  });

  test('leadership is not handed to the dead voter, and nobody tries for long', async () => {
    const startedMs = performance.now();
    const refused = await member('transfer', '3');
    expect({ code: refused.code, why: failureLine(refused) }).toEqual({
      code: 4,
      why: expect.stringMatching(
        /node 3: it (cannot be reached|did not take over by the deadline)/,
      ) as string,
    });
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    await load.goesOn();
  });

  test('the dead voter is replaced by a new node', async () => {
    start(4);
    await done('replace', '3', '4', '--wait', '30s');
    expect(Object.keys(await roles())).toEqual(['1', '2', '4']);
    await load.goesOn();
  });

  test('two learners are added and one is removed', async () => {
    start(5);
    start(6);
    await expect.poll(roles, { timeout: 20_000 }).toMatchObject({ 5: 'learner', 6: 'learner' });
    await done('remove', '5');
    expect(Object.keys(await roles())).toEqual(['1', '2', '4', '6']);
    await load.goesOn();
  });

  test('the leader is removed: it hands over first', async () => {
    const leader = await leaderId();
    await done('remove', String(leader));
    expect(Object.keys(await roles())).not.toContain(String(leader));
    await load.goesOn();
  });

  test('no commit was refused for longer than an election, and none was lost or done twice', async () => {
    const report: LoadReport = await load.stop();
    expect(report.failures).toEqual([]);
    expect(report.slowestMs).toBeLessThan(ELECTION_MS);
    await expectWhole(report, place(2).grpc);
  });
});
