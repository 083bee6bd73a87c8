import { credentials, status } from '@grpc/grpc-js';
import type { ClientReadableStream, ServiceError } from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { stream } from '@pact-journal/journal-proto';
import type { ConfigEntry, Scope } from '@pact-journal/journal-state';
import { aCommit, aPolicy, node, vcluster } from '@pact-journal/journal-state/testing';
import { BLACKLIST_KEY } from '../src/index.ts';
import { Replica } from './support/replica.ts';
import type { ReplicaOptions } from './support/replica.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(
  options: ReplicaOptions = {},
): Promise<{ replica: Replica; client: stream.BootConfigServiceClient }> {
  const replica = await Replica.start(options);
  const client = new stream.BootConfigServiceClient(replica.address, credentials.createInsecure());
  cleanups.push(
    () => replica.stop(),
    () => client.close(),
  );
  return { replica, client };
}

class Follower {
  readonly updates: stream.ConfigUpdate[] = [];
  readonly call: ClientReadableStream<stream.ConfigUpdate>;
  error: ServiceError | undefined;
  hasHeaders = false;

  constructor(client: stream.BootConfigServiceClient, request: Partial<stream.SubscribeRequest>) {
    this.call = client.subscribeConfigUpdates({
      nodeId: 'n1',
      vclusterId: 'ml',
      fromSequence: 0,
      ...request,
    });
    this.call.on('metadata', () => (this.hasHeaders = true));
    this.call.on('data', (update: stream.ConfigUpdate) => this.updates.push(update));
    this.call.on('error', (error: ServiceError) => (this.error = error));
    cleanups.push(() => this.call.cancel());
  }

  get sequences(): number[] {
    return this.updates.map(({ sequence }) => sequence);
  }
}

const payload = (update: stream.ConfigUpdate | undefined): unknown =>
  JSON.parse(Buffer.from(update?.update?.value ?? new Uint8Array()).toString());

const change = (scope: Scope, value = '1'): ReturnType<typeof aCommit> =>
  aCommit(scope, { kernel: { a: value } });

describe.each([
  ['the front', {}],
  ['grpc-js alone', { plain: true }],
])('SubscribeConfigUpdates through %s', (_, how) => {
  it('sends headers before there is anything to tell', async () => {
    const { client } = await start(how);
    const follower = new Follower(client, {});
    await expect.poll(() => follower.hasHeaders).toBe(true);
    expect(follower.updates).toEqual([]);
  });

  it('tells a node of its own scope, its virtual cluster and everyone, each in its kind', async () => {
    const { replica, client } = await start(how);
    replica.append(
      change('Global'),
      change(vcluster('ml')),
      change(vcluster('other')),
      change(node('n2')),
      change(node('n1')),
    );
    replica.fixture.setPolicy(aPolicy('ml', { regulated: true }));
    replica.append(aCommit(vcluster('ml'), { kernel: { [BLACKLIST_KEY]: '/tmp/**, /var/log/**' } }));
    const follower = new Follower(client, {});
    await expect.poll(() => follower.sequences).toEqual([0, 1, 4, 5, 6]);
    expect(follower.updates.map(({ update }) => update?.$case)).toEqual([
      'vclusterChange',
      'vclusterChange',
      'nodeChange',
      'policyChange',
      'blacklistChange',
    ]);
    const entry = replica.view().entry(4 as never) as ConfigEntry;
    expect(payload(follower.updates[2])).toEqual(entry);
    expect(follower.updates[2]?.timestamp?.seconds).toBe(Date.parse(entry.timestamp) / 1000);
    expect(payload(follower.updates[3])).toMatchObject({ vcluster_id: 'ml', regulated: true });
    expect(payload(follower.updates[4])).toEqual(['/tmp/**', '/var/log/**']);

    // What was only seen on a node, or waits for approval, changes no blacklist.
    const seen = aCommit(vcluster('ml'), { kernel: { [BLACKLIST_KEY]: '/srv/**' } });
    replica.append({ ...seen, entry_type: 'DriftDetected' }, { ...seen, entry_type: 'PendingApproval' });
    await expect.poll(() => follower.sequences).toEqual([0, 1, 4, 5, 6, 7, 8]);
    expect(follower.updates.slice(5).map(({ update }) => update?.$case)).toEqual([
      'vclusterChange',
      'vclusterChange',
    ]);
  });

  it('tells a watcher of a virtual cluster and everyone, or of all virtual clusters, but of no node', async () => {
    const { replica, client } = await start(how);
    replica.append(change('Global'), change(vcluster('ml')), change(vcluster('other')), change(node('n1')));
    const ofOne = new Follower(client, { nodeId: '' });
    const ofAll = new Follower(client, { nodeId: '', vclusterId: '' });
    await expect.poll(() => ofOne.sequences).toEqual([0, 1]);
    await expect.poll(() => ofAll.sequences).toEqual([0, 1, 2]);
    replica.append(change(vcluster('other')), change(node('n1')), change('Global'));
    await expect.poll(() => ofOne.sequences).toEqual([0, 1, 6]);
    await expect.poll(() => ofAll.sequences).toEqual([0, 1, 2, 4, 6]);
  });

  it('follows the node to another virtual cluster when it is assigned to it', async () => {
    const { replica, client } = await start(how);
    const follower = new Follower(client, { vclusterId: '' });
    await expect.poll(() => follower.hasHeaders).toBe(true);
    replica.append(change(vcluster('ml')));
    replica.append(change(node('n1')));
    await expect.poll(() => follower.sequences).toEqual([1]);
    replica.assign('n1', 'ml');
    replica.append(change(vcluster('ml')), change(vcluster('other')));
    await expect.poll(() => follower.sequences).toEqual([1, 2]);
    replica.assign('n1', 'other');
    replica.append(change(vcluster('ml')), change(vcluster('other')));
    await expect.poll(() => follower.sequences).toEqual([1, 2, 5]);
  });

  it('has no gap and no repeat, wherever it begins and however often it resumes while entries arrive', async () => {
    const { replica, client } = await start(how);
    const scopes: Scope[] = ['Global', vcluster('ml'), node('n1'), vcluster('other'), node('n2')];
    const total = 1_500;
    let appended = 0;
    const appendSome = (count: number): void => {
      const entries = Array.from({ length: count }, (_, index) =>
        change(scopes[(appended + index) % scopes.length] ?? 'Global'),
      );
      appended += count;
      replica.append(...entries);
    };
    appendSome(400);
    const writer = (async () => {
      while (appended < total) {
        appendSome(Math.min(17, total - appended));
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const follow = async (from: number, drops: number): Promise<number[]> => {
      const got: number[] = [];
      for (let next = from; next < total;) {
        const follower = new Follower(client, { fromSequence: next });
        const enough = drops > 0 ? 60 : Infinity;
        const isLast = (): boolean => (follower.sequences.at(-1) ?? -1) >= total - 3;
        await expect
          .poll(() => follower.updates.length >= enough || isLast(), { interval: 2, timeout: 20_000 })
          .toBe(true);
        follower.call.cancel();
        got.push(...follower.sequences);
        next = (got.at(-1) ?? next - 1) + 1;
        if (isLast()) break;
        drops -= 1;
      }
      return got;
    };
    const starts = [0, 1, 399, 700];
    const results = await Promise.all(starts.map((from, index) => follow(from, index * 3)));
    await writer;
    const concerning = Array.from({ length: total }, (_, sequence) => sequence).filter(
      (sequence) => sequence % 5 < 3,
    );
    for (const [index, from] of starts.entries()) {
      expect(results[index]).toEqual(concerning.filter((sequence) => sequence >= from));
    }
  });

  it('cuts off a subscriber that does not read, and says from where to resume', async () => {
    const { replica, client } = await start({ ...how, limits: { subscriberLagBytesMax: 200_000 } });
    const lazy = new Follower(client, {});
    const attentive = new Follower(client, {});
    await expect.poll(() => lazy.hasHeaders && attentive.hasHeaders).toBe(true);
    lazy.call.pause();
    const big = 'x'.repeat(50_000);
    for (let round = 0; round < 60; round += 1) {
      replica.append(change(vcluster('ml'), big));
      await expect.poll(() => attentive.updates.length, { interval: 2 }).toBe(round + 1);
    }
    expect(replica.bootServer.stats()).toMatchObject({ subscribers: 1, cutOff: 1 });
    lazy.call.resume();
    await expect.poll(() => lazy.error?.code).toBe(status.RESOURCE_EXHAUSTED);
    const resumeFrom = Number(lazy.error?.metadata.get('x-pact-resume-from')[0]);
    expect(resumeFrom).toBe((lazy.sequences.at(-1) ?? -1) + 1);
    const resumed = new Follower(client, { fromSequence: resumeFrom });
    await expect.poll(() => resumed.sequences.at(-1)).toBe(59);
    expect([...lazy.sequences, ...resumed.sequences]).toEqual(
      Array.from({ length: 60 }, (_, sequence) => sequence),
    );
  });

  it('refuses malformed ids and more subscribers than it may have', async () => {
    const { client } = await start({ ...how, limits: { subscribersMax: 1 } });
    const bad = new Follower(client, { nodeId: 'n'.repeat(10_240) });
    await expect.poll(() => bad.error?.code).toBe(status.INVALID_ARGUMENT);
    const first = new Follower(client, {});
    await expect.poll(() => first.hasHeaders).toBe(true);
    const second = new Follower(client, { fromSequence: 7 });
    await expect.poll(() => second.error?.code).toBe(status.RESOURCE_EXHAUSTED);
    expect(second.error?.metadata.get('x-pact-resume-from')).toEqual(['7']);
  });

  it('forgets a subscriber that is gone, and ends the others when it stops', async () => {
    const { replica, client } = await start(how);
    replica.append(change('Global'));
    const [gone, stays] = [new Follower(client, {}), new Follower(client, {})];
    await expect.poll(() => replica.bootServer.stats().subscribers).toBe(2);
    await expect.poll(() => stays.sequences).toEqual([0]);
    gone.call.cancel();
    await expect.poll(() => replica.bootServer.stats().subscribers).toBe(1);
    replica.bootServer.close();
    await expect.poll(() => stays.error?.code).toBe(status.UNAVAILABLE);
    expect(stays.error?.metadata.get('x-pact-resume-from')).toEqual(['1']);
  });
});

describe('what concerns a subscriber', () => {
  it('is the same by looking at every entry and by the indexes', async () => {
    const { entriesOf, concerns } = await import('../src/server/interest.ts');
    const scopes: Scope[] = ['Global', vcluster('ml'), vcluster('other'), node('n1'), node('n2')];
    const interest = fc.record({
      nodeId: fc.constantFrom('', 'n1', 'n2'),
      vclusterId: fc.constantFrom('', 'ml', 'other'),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom(...scopes), { minLength: 257, maxLength: 500 }),
        interest,
        fc.nat(200),
        (order, who, from) => {
          const replica = new Replica();
          replica.assign('n1', 'ml');
          replica.append(...order.map((scope) => change(scope)));
          const view = replica.view();
          const expected = order.flatMap((scope, sequence) =>
            sequence >= from && concerns(who, scope, view) ? [sequence] : [],
          );
          expect([...entriesOf(who, from, view)].map(({ sequence }) => Number(sequence))).toEqual(expected);
          return replica.stop();
        },
      ),
      { numRuns: 40 },
    );
  });
});
