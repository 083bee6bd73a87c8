/** Three voters and a learner, as real processes on real disks and sockets. */
import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { newEntryToWire, OUTCOME_KEY, type journal } from '@pact-journal/journal-proto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { all, append, call, commitOf, listing, stubs, type Stubs } from '../support/calls.ts';
import { TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;
const clients = new Map<number, Stubs>();
const LEARNER = 4;

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: 3, learners: 1 });
  for (const { id, grpc } of cluster.places) clients.set(id, stubs(grpc));
});

afterAll(async () => {
  for (const client of clients.values()) client.close();
  await cluster.stop();
});

function client(id: number): Stubs {
  const found = clients.get(id);
  if (found === undefined) throw new Error(`no client for node ${String(id)}`);
  return found;
}

/** The leader has applied whatever was acknowledged; any other replica, as reads are local, may be a moment behind. */
async function leadersLog(): Promise<string[]> {
  return listing(client((await cluster.leader()).place.id));
}

async function followerId(): Promise<number> {
  const leader = await cluster.leader();
  return leader.place.id === 1 ? 2 : 1;
}

/** A write that goes on until somebody takes it, as a client's retries do; one request id, so it happens once. */
async function appendSomewhere(message: string, deadlineMs = 20_000): Promise<number> {
  const headers = { 'x-pact-request-id': `test-${message}` };
  const deadline = performance.now() + deadlineMs;
  for (let turn = 0; ; turn += 1) {
    const { id } = cluster.running[turn % cluster.running.length]?.place ?? { id: 1 };
    try {
      return await append(
        client(id),
        commitOf(`net.${message}`, '1', 'Global', { policy_ref: message }),
        headers,
      );
    } catch (error) {
      if ((error as ServiceError).code !== status.UNAVAILABLE || performance.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** All replicas, the learner too, list the same log of at least `count` entries. */
async function sameLogEverywhere(count: number): Promise<string[]> {
  const running = cluster.running.map((node) => client(node.place.id));
  await expect
    .poll(async () => (await Promise.all(running.map(listing))).map((lines) => lines.length), {
      timeout: 15_000,
    })
    .toEqual(running.map(() => count));
  const [first = [], ...others] = await Promise.all(running.map(listing));
  for (const other of others) expect(other).toEqual(first);
  return first;
}

describe('a cluster of three voters and a learner', () => {
  test('takes a write at any member, and all replicas list the same log', async () => {
    for (const { id } of cluster.places) {
      const sequence = await append(client(id), commitOf(`vm.node${String(id)}`, '1'));
      expect(sequence).toBe(id - 1);
    }
    expect(await sameLogEverywhere(4)).toHaveLength(4);
  });

  test('forwards once: a call that was forwarded already is not sent round in circles', async () => {
    const error: ServiceError = await append(client(await followerId()), commitOf('a', '1'), {
      'x-pact-forwarded-by': '9',
    }).then(
      () => {
        throw new Error('it was accepted');
      },
      (reason: ServiceError) => reason,
    );
    expect(error.code).toBe(status.UNAVAILABLE);
    expect(error.metadata.get(OUTCOME_KEY)).toEqual([]);
  });

  test('passes the request id on: the same write at two followers happens once', async () => {
    const headers = { 'x-pact-request-id': 'once' };
    const sequences = await Promise.all(
      [1, 2, 3, 4].map((id) => append(client(id), commitOf('vm.once', '1'), headers)),
    );
    expect(new Set(sequences).size).toBe(1);
  });

  test('refuses on a follower what the leader refuses, with its words and code', async () => {
    const write = append(
      client(await followerId()),
      commitOf('a', '1', 'Global', { parent: 4_000 as never }),
    );
    const error = await write.then(
      () => undefined,
      (reason: ServiceError) => reason,
    );
    expect(error?.code).toBe(status.FAILED_PRECONDITION);
    expect(error?.metadata.get('x-pact-validation-code')).not.toEqual([]);
  });

  test('appends a stream of many at a follower, in order', async () => {
    const before = (await leadersLog()).length;
    const stream = client(await followerId()).append.appendStream();
    const sequences: number[] = [];
    const done = new Promise<void>((resolve, reject) => {
      stream.on('data', ({ outcomes }: journal.AppendStreamResponse) => {
        for (const { outcome } of outcomes) {
          if (outcome?.$case === 'appended') sequences.push(outcome.value.sequence ?? -1);
          else reject(new Error(JSON.stringify(outcome)));
        }
        if (sequences.length === 300) stream.end();
      });
      stream.on('end', resolve);
      stream.on('error', reject);
    });
    for (let batch = 0; batch < 3; batch += 1) {
      stream.write({
        items: Array.from({ length: 100 }, (_, index) => ({
          correlationId: batch * 100 + index,
          requestId: '',
          command: { $case: 'entry' as const, value: newEntryToWire(commitOf('vm.bulk', String(index))) },
        })),
      });
    }
    await done;
    expect(sequences).toEqual(Array.from({ length: 300 }, (_, index) => before + index));
  });

  test('a learner serves boots and shows how far everybody is', async () => {
    await appendSomewhere('for-boot');
    await append(client(1), commitOf('kernel.sched', '1', { VCluster: 'ml' }));
    await expect
      .poll(
        async () => {
          const chunks = await all(
            client(LEARNER).boot.streamBootConfig({
              nodeId: 'n1',
              vclusterId: 'ml',
              lastKnownVersion: undefined,
            }),
          ).catch(() => []);
          return chunks.map(({ chunk }) => chunk?.$case);
        },
        { timeout: 15_000 },
      )
      .toEqual(['baseOverlay', 'nodeDelta', 'complete']);
    const { cluster: service } = client(LEARNER);
    const { role, members } = await call(service, service.getStatus.bind(service), {});
    expect(role).toBe('learner');
    expect(members.map((member) => member.role).sort()).toEqual([
      'follower',
      'follower',
      'leader',
      'learner',
    ]);
    expect(members.every((member) => (member.matchIndex ?? 0) > 0)).toBe(true);
  });

  test('a boot that asks for what was acknowledged gets it whole, at a follower and at the learner, while commits go on', async () => {
    const leader = (await cluster.leader()).place.id;
    const replicas = [await followerId(), LEARNER];
    let acknowledged = -1;
    let running = true;
    const commits = (async () => {
      // The same value in the virtual cluster and on the node: a mixture of two states shows.
      for (let round = 0; running; round += 1) {
        await append(client(leader), commitOf('kernel.race', String(round), { Node: 'racer' }));
        acknowledged = await append(
          client(leader),
          commitOf('kernel.race', String(round), { VCluster: 'race' }),
        );
      }
    })();
    try {
      await expect.poll(() => acknowledged, { timeout: 10_000 }).toBeGreaterThan(0);
      for (let count = 0; count < 40; count += 1) {
        const atLeast = acknowledged;
        const fence = new Metadata();
        fence.set('x-pact-min-sequence', String(atLeast));
        const at = client(replicas[count % replicas.length] ?? LEARNER);
        const request = { nodeId: 'racer', vclusterId: 'race', lastKnownVersion: undefined };
        const chunks = (await all(at.boot.streamBootConfig(request, fence))).map(({ chunk }) => chunk);
        const overlay = chunks.find((chunk) => chunk?.$case === 'baseOverlay');
        const end = chunks.find((chunk) => chunk?.$case === 'complete');
        expect(overlay?.value.version).toBeGreaterThanOrEqual(atLeast);
        expect(end?.value.baseVersion).toBe(overlay?.value.version);
        // A node's commit comes first in each round: its version is one less, or one more where its round has just begun.
        expect(Math.abs((end?.value.baseVersion ?? 0) - (end?.value.nodeVersion ?? 0))).toBe(1);
      }
    } finally {
      running = false;
      await commits;
    }
  });

  test('survives kill -9 of its leader: the next commit is acknowledged within 3 s and nothing is lost', async () => {
    const sequence = await appendSomewhere('before-the-kill');
    const before = await sameLogEverywhere(sequence + 1);
    const leader = await cluster.leader();
    await leader.kill('SIGKILL');
    const startedMs = performance.now();
    const survivor = cluster.running[0]?.place.id ?? 0;
    const refusal = await append(client(survivor), commitOf('a', '1')).catch(
      (error: unknown) => error as ServiceError,
    );
    expect(refusal).toMatchObject({
      code: status.UNAVAILABLE,
      details: expect.stringMatching(/\S/) as string,
    });
    await appendSomewhere('after-the-kill');
    expect(performance.now() - startedMs).toBeLessThan(3_000);
    cluster.startNode(leader.place.id);
    await cluster.leader();
    const log = await sameLogEverywhere(before.length + 1);
    expect(log.slice(0, before.length)).toEqual(before);
    expect(log.at(-1)).toContain('after-the-kill');
  });

  test('keeps every acknowledged entry when all nodes are killed at once and started again', async () => {
    const acknowledged = await Promise.all(
      Array.from({ length: 40 }, (_, index) => appendSomewhere(`kept-${String(index)}`)),
    );
    await cluster.stopAll('SIGKILL');
    await cluster.startAll();
    const log = await sameLogEverywhere(Math.max(...acknowledged) + 1);
    for (const [index, sequence] of acknowledged.entries())
      expect(log[sequence]).toBe(`${String(sequence)} kept-${String(index)}`);
  });

  test('says UNAVAILABLE while there is no leader, still answers reads, and goes on once there is one', async () => {
    const survivor = await followerId();
    const others = [1, 2, 3].filter((id) => id !== survivor);
    await Promise.all(others.map((id) => cluster.node(id).kill('SIGKILL')));
    await expect
      .poll(async () => (await cluster.node(survivor).health())?.leader_id, { timeout: 15_000 })
      .toBe(0);
    await expect(append(client(survivor), commitOf('a', '1'))).rejects.toMatchObject({
      code: status.UNAVAILABLE,
    });
    expect((await cluster.node(survivor).http('/ready')).status).toBe(503);
    expect((await cluster.node(survivor).http('/health')).status).toBe(200);
    expect((await listing(client(survivor))).length).toBeGreaterThan(40);
    for (const id of others) cluster.startNode(id);
    await cluster.leader();
    await appendSomewhere('with-a-leader-again');
  });

  test('hands leadership over on SIGTERM, so that writers hardly notice', async () => {
    const leader = await cluster.leader();
    const stopped = leader.kill('SIGTERM');
    const startedMs = performance.now();
    await appendSomewhere('while-it-stops');
    const tookMs = performance.now() - startedMs;
    await stopped;
    expect(await leader.exited).toEqual({ code: 0, signal: null });
    // Without the hand-over it would take at least an election timeout.
    expect(tookMs).toBeLessThan(900);
    cluster.startNode(leader.place.id);
    await cluster.leader();
  });
});
