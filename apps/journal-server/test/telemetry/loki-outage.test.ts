/** A cluster whose Loki is away, hangs, or comes back under another leader. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { append, commitOf, stubs } from '../support/calls.ts';
import { LokiReceiver } from '../support/loki-receiver.ts';
import { TestCluster, type TestNode } from '../support/test-cluster.ts';

let cluster: TestCluster;
let loki: LokiReceiver;

beforeAll(async () => {
  loki = await LokiReceiver.start();
  cluster = await TestCluster.start({
    nodes: 3,
    flags: ['--loki-url', loki.url, '--loki-batch-wait', '20ms', '--loki-timeout', '2m'],
  });
});

afterAll(async () => {
  await cluster.stop();
  await loki.close();
});

/** Commits one after the other. */
async function commit(count: number): Promise<void> {
  const client = stubs((await cluster.leader()).place.grpc);
  for (let i = 0; i < count; i += 1)
    await append(client, commitOf('vm.outage', String(i), { VCluster: 'ml' }));
  client.close();
}

async function lagOf(node: TestNode): Promise<number> {
  const text = await (await node.http('/metrics')).text();
  return Number(/^pact_loki_lag_entries (\S+)$/m.exec(text)?.[1]);
}

test('commits do not wait for a Loki that hangs, and its lag shows on every member', async () => {
  await commit(5);
  await expect.poll(() => loki.stored).toBe(5);
  loki.fault = () => ({ kind: 'hang' });
  // A request to Loki is given up after two minutes: a commit that waited for it would fail before.
  await commit(50);
  for (const node of cluster.running) await expect.poll(() => lagOf(node)).toBe(50);
});

test('the next leader sends what its predecessor could not, once each and in order', async () => {
  const leader = await cluster.leader();
  await leader.kill('SIGTERM');
  await commit(10);
  await loki.close();
  await commit(10);
  loki.fault = () => undefined;
  await loki.listen();
  await expect.poll(() => loki.stored, { timeout: 40_000 }).toBe(75);
  expect(loki.sequences()).toEqual(Array.from({ length: 75 }, (_, index) => index));
  expect(loki.violations).toEqual([]);
  for (const node of cluster.running) await expect.poll(() => lagOf(node)).toBe(0);
});
