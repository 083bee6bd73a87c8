/** What the log tells of a commit, and how much of it is told while a server runs. */
import { afterEach, expect, test } from 'vitest';
import { newEntryToFieldedWire, type journal } from '@pact-journal/journal-proto';
import { append, commitOf, stubs } from '../support/calls.ts';
import { TestCluster, type TestNode } from '../support/test-cluster.ts';

let cluster: TestCluster | undefined;

afterEach(async () => {
  await cluster?.stop();
});

interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly node_id: number;
  readonly request_id?: string;
}

function linesOf(node: TestNode): readonly LogLine[] {
  const whole = node.log.slice(0, node.log.lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LogLine);
}

/** What the node said about a request, in order. */
function saidOf(node: TestNode, requestId: string): readonly string[] {
  return linesOf(node)
    .filter(({ request_id }) => request_id === requestId)
    .map(({ msg }) => msg);
}

test('a request id leads through a commit on every node that took part', async () => {
  cluster = await TestCluster.start({ nodes: 3, flags: ['--log-level', 'debug'] });
  const leader = await cluster.leader();
  const [follower, other] = cluster.running.filter((node) => node !== leader);
  if (follower === undefined || other === undefined) throw new Error('three nodes run');
  const client = stubs(follower.place.grpc);

  await append(client, commitOf('vm.traced', '1'), { 'x-pact-request-id': 'unary-1' });
  const atLeader = ['applied', 'committed', 'call answered'];
  await expect.poll(() => [...saidOf(leader, 'unary-1')].sort()).toEqual([...atLeader].sort());
  await expect
    .poll(() => [...saidOf(follower, 'unary-1')].sort())
    .toEqual(['applied', 'call answered', 'passed on to the leader']);
  await expect.poll(() => saidOf(other, 'unary-1')).toEqual(['applied']);

  const entry = { entry: newEntryToFieldedWire(commitOf('vm.traced', '2')), message: '' };
  const item = {
    correlationId: 1,
    requestId: 'stream-1',
    command: { $case: 'entry', value: entry },
  } as const;
  const call = client.append.appendStream();
  const answer = new Promise<journal.AppendStreamResponse>((resolve, reject) => {
    call.once('data', resolve).once('error', reject);
  });
  call.write({ items: [item] });
  expect((await answer).outcomes[0]?.outcome?.$case).toBe('appended');
  call.end();
  client.close();
  await expect.poll(() => [...saidOf(leader, 'stream-1')].sort()).toEqual(['applied', 'committed']);
  await expect
    .poll(() => [...saidOf(follower, 'stream-1')].sort())
    .toEqual(['applied', 'passed on to the leader']);
  await expect.poll(() => saidOf(other, 'stream-1')).toEqual(['applied']);
});

test('SIGUSR2 steps a running server to debug, to trace, and back to the configured level', async () => {
  cluster = await TestCluster.start();
  const node = await cluster.leader();
  const client = stubs(node.place.grpc);
  const levels = (): readonly unknown[] =>
    linesOf(node).flatMap((line) => ('log_level' in line ? [line.log_level] : []));
  const commit = (id: string): Promise<number> =>
    append(client, commitOf('vm.level', id), { 'x-pact-request-id': id });

  await commit('quiet-1');
  process.kill(node.pid, 'SIGUSR2');
  await expect.poll(levels).toEqual(['debug']);
  await commit('told');
  await expect.poll(() => saidOf(node, 'told')).toContain('applied');
  process.kill(node.pid, 'SIGUSR2');
  await expect.poll(levels).toEqual(['debug', 'trace']);
  process.kill(node.pid, 'SIGUSR2');
  await expect.poll(levels).toEqual(['debug', 'trace', 'info']);
  await commit('quiet-2');
  await node.kill('SIGTERM');
  client.close();
  expect(saidOf(node, 'quiet-1')).toEqual([]);
  expect(saidOf(node, 'quiet-2')).toEqual([]);
});
