import { describe, expect, it } from 'vitest';
import { bytes, Cluster } from './cluster.ts';

const SEEDS = Array.from({ length: 20 }, (_, seed) => seed + 1);

describe('a reluctant node', () => {
  it('leaves it to the others to succeed a leader that died', async () => {
    for (const seed of SEEDS) {
      const cluster = await Cluster.start({ seed });
      const leader = await cluster.leader();
      await cluster.converge();
      const reluctant = cluster.follower(leader);
      reluctant.setReluctant(true);
      const roles: string[] = [];
      reluctant.on('roleChange', ({ role }) => roles.push(role));
      await cluster.crash(leader.id);
      const next = await cluster.leader();
      expect(next.id, `seed ${seed}`).not.toBe(reluctant.id);
      expect(roles).not.toContain('preCandidate');
      await cluster.stopAll();
    }
  });

  it('campaigns after all where the group needs what only its log holds', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    await cluster.converge();
    const reluctant = cluster.follower(leader);
    reluctant.setReluctant(true);
    const behind = cluster.nodes.find((node) => node !== leader && node !== reluctant);
    if (behind === undefined) throw new Error('there are three nodes');
    cluster.network.isolate(behind.id);
    const { index } = await cluster.clock.resolve(leader.propose(bytes('acknowledged')));
    await cluster.crash(leader.id);
    cluster.network.heal();
    const next = await cluster.leader();
    expect(next.id).toBe(reluctant.id);
    await cluster.converge(next);
    expect(behind.status().appliedIndex).toBeGreaterThanOrEqual(index);
    await cluster.stopAll();
  });

  it('leads where leadership is handed to it, and campaigns like any other once it is reluctant no more', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    await cluster.converge();
    const follower = cluster.follower(leader);
    follower.setReluctant(true);
    await cluster.clock.resolve(leader.transferLeadership(follower.id));
    expect(follower.status().role).toBe('leader');
    follower.setReluctant(false);
    const others = cluster.nodes.filter((node) => node !== follower);
    for (const other of others) other.setReluctant(true);
    await cluster.clock.resolve(follower.transferLeadership(leader.id));
    await cluster.crash(leader.id);
    expect((await cluster.leader()).id).toBe(follower.id);
    await cluster.stopAll();
  });
});
