/** `/ready`: whether a node should get traffic. */
import { afterEach, describe, expect, test } from 'vitest';
import type { ClusterFacts } from '../../src/server/facts.ts';
import { readiness, type ReadinessSources } from '../../src/server/readiness.ts';
import { TestCluster, type TestNode } from '../support/test-cluster.ts';

const FACTS: ClusterFacts = {
  nodeId: 2,
  clusterId: 'test',
  role: 'follower',
  leaderId: 1,
  term: 3,
  commitIndex: 10,
  appliedIndex: 10,
  firstIndex: 1,
  lastIndex: 10,
  snapshotIndex: 1,
  members: [],
};

function readinessOf(sources: Partial<ReadinessSources>): () => Promise<readonly string[]> {
  return readiness({
    facts: () => FACTS,
    stopping: () => false,
    fatal: () => undefined,
    caughtUp: () => Promise.resolve(),
    timeoutMs: 30,
    ...sources,
  });
}

describe('a node is', () => {
  test('ready once a quorum has confirmed that it has applied what is committed', async () => {
    expect(await readinessOf({})()).toEqual([]);
  });

  test('not ready where that takes longer than the bound', async () => {
    const ask = readinessOf({ caughtUp: () => new Promise(() => undefined) });
    expect(await ask()).toEqual(['not caught up with what is committed within 30 ms']);
  });

  test('not ready where nobody confirms it, without a leader, while it stops, and after a fatal error', async () => {
    const refused = readinessOf({
      caughtUp: () => Promise.reject(new Error('no leader confirmed the read')),
    });
    expect(await refused()).toEqual(['no leader confirmed the read']);
    expect(await readinessOf({ facts: () => ({ ...FACTS, leaderId: 0 }) })()).toEqual(['no leader known']);
    expect(await readinessOf({ stopping: () => true })()).toEqual(['stopping']);
    expect(await readinessOf({ fatal: () => 'the disk failed' })()).toEqual(['the disk failed']);
  });

  test('asked by many at once with one round of the quorum', async () => {
    let rounds = 0;
    const ask = readinessOf({
      caughtUp: async () => {
        rounds += 1;
        await new Promise((resolve) => setImmediate(resolve));
      },
    });
    expect(await Promise.all([ask(), ask(), ask()])).toEqual([[], [], []]);
    expect(rounds).toBe(1);
    await ask();
    expect(rounds).toBe(2);
  });
});

describe('in a cluster', () => {
  let cluster: TestCluster | undefined;
  const statuses = (node: TestNode): Promise<readonly number[]> =>
    Promise.all(['/health', '/ready'].map(async (path) => (await node.http(path)).status));

  afterEach(async () => {
    await cluster?.stop();
  });

  test('members are healthy and ready; one that has lost the others is healthy and not ready', async () => {
    cluster = await TestCluster.start({ nodes: 3 });
    for (const node of cluster.running) await expect.poll(() => statuses(node)).toEqual([200, 200]);
    const [left, ...others] = cluster.running;
    if (left === undefined) throw new Error('three nodes run');
    for (const other of others) await other.kill('SIGKILL');
    await expect.poll(() => statuses(left)).toEqual([200, 503]);
  });
});
