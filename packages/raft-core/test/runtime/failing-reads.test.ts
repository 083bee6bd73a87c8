import { describe, expect, it } from 'vitest';
import type { RaftNode } from '../../src/index.ts';
import { bytes, Cluster, failureOf, member, type Site } from './cluster.ts';

interface Bench {
  readonly cluster: Cluster;
  readonly leader: RaftNode<number>;
  /** The leader's. */
  readonly site: Site;
  /** Crashed, and lacks an entry that the leader can only read from its disk. */
  readonly lagging: Site;
  readonly stop: () => Promise<void>;
}

/** A leader that has to read its log, which fails, with whatever it sends next. */
async function bench(): Promise<Bench> {
  const cluster = await Cluster.start();
  const leader = await cluster.leader();
  await cluster.converge();
  const site = cluster.site(leader.id);
  const lagging = cluster.site(cluster.follower(leader).id);
  cluster.network.isolate(lagging.id);
  await cluster.clock.resolve(leader.propose(bytes('before')));
  await cluster.clock.settle();
  await cluster.crash(lagging.id);
  // It has found out that the other one is gone: what it sends next begins with what is known to be there.
  await cluster.clock.until(() =>
    leader.status().members.some(({ id, state }) => id === lagging.id && state === 'probe'),
  );
  site.logStore.entries = () => {
    throw new Error('EIO: read');
  };
  return { cluster, leader, site, lagging, stop: () => cluster.stopAll() };
}

describe('a read of the log that fails while a proposal is being sent', () => {
  it('leaves the outcome unknown, and nothing of it reaches the disk of the failed node', async () => {
    const { cluster, leader, site, stop } = await bench();
    const lastIndex = site.logStore.lastIndex();
    const error = await cluster.failure(leader.propose(bytes('x')));
    expect(error).toMatchObject({
      code: 'outcomeUnknown',
      outcome: 'unknown',
      cause: { code: 'storageFailed' },
    });
    await cluster.clock.advance(1000);
    expect(leader.status()).toMatchObject({ lifecycle: 'stopped', fatal: { code: 'storageFailed' } });
    expect(site.logStore.lastIndex()).toBe(lastIndex);
    await stop();
  });

  it('does the same to a membership change', async () => {
    const { cluster, leader, site, stop } = await bench();
    const lastIndex = site.logStore.lastIndex();
    const changed = leader.updateMember(member(leader.id, { zone: 'a' }));
    expect(await cluster.failure(changed)).toMatchObject({ code: 'outcomeUnknown' });
    await cluster.clock.advance(1000);
    expect(leader.status()).toMatchObject({ lifecycle: 'stopped', fatal: { code: 'storageFailed' } });
    expect(site.logStore.lastIndex()).toBe(lastIndex);
    await stop();
  });

  it('leaves what had not reached the log as not committed', async () => {
    const { cluster, leader, stop } = await bench();
    const changed = failureOf(leader.updateMember(member(leader.id, { zone: 'a' })));
    // In the same turn, behind it.
    const proposed = failureOf(leader.propose(bytes('x')));
    expect(await cluster.clock.resolve(changed)).toMatchObject({ code: 'outcomeUnknown' });
    expect(await cluster.clock.resolve(proposed)).toMatchObject({
      code: 'storageFailed',
      outcome: 'notCommitted',
    });
    await cluster.clock.advance(1000);
    await stop();
  });

  it('ends the node also where it happens on behalf of a transfer of leadership', async () => {
    const { cluster, leader, lagging, stop } = await bench();
    expect(await cluster.failure(leader.transferLeadership(lagging.id))).toMatchObject({
      code: 'storageFailed',
    });
    expect(leader.status().fatal).toMatchObject({ code: 'storageFailed' });
    await stop();
  });
});
