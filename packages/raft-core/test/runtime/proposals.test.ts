import { describe, expect, it } from 'vitest';
import { isNotLeaderError, isRaftError } from '../../src/index.ts';
import { bytes, Cluster } from './cluster.ts';

describe('proposing', () => {
  it('resolves with index, term and result once the entry is applied, and every node applies it', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const first = await cluster.clock.resolve(leader.propose(bytes('one')));
    const second = await cluster.clock.resolve(leader.propose(bytes('two')));
    expect(first.result).toBe(1);
    expect(second).toEqual({ index: first.index + 1, term: leader.status().term, result: 2 });
    await cluster.converge();
    for (const site of cluster.sites.values()) expect(site.stateMachine.texts).toEqual(['one', 'two']);
    await cluster.stopAll();
  });

  it('on a follower fails with the leader and its address, and nothing is queued', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const follower = cluster.follower(leader);
    const error: unknown = await follower.propose(bytes('x')).catch((reason: unknown) => reason);
    expect(isRaftError(error, 'notLeader')).toBe(true);
    if (!isNotLeaderError(error)) throw new Error('not a NotLeaderError');
    expect(error).toMatchObject({
      leaderId: leader.id,
      leaderAddress: `node-${leader.id}:9444`,
      outcome: 'notCommitted',
    });
    expect(follower.status().pendingProposals).toBe(0);
    await cluster.stopAll();
  });
});
