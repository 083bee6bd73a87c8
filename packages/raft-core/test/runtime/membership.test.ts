import { describe, expect, it } from 'vitest';
import { toNodeId } from '../../src/core/ids.ts';
import type { RaftNode } from '../../src/index.ts';
import { bytes, Cluster, failureOf, member } from './cluster.ts';

const FOUR = toNodeId(4);
const FIVE = toNodeId(5);

function roles(node: RaftNode<number>): Record<number, string> {
  return Object.fromEntries(node.status().members.map(({ id, role }) => [id, role]));
}

describe('membership', () => {
  it('grows by a learner that receives everything, and is promoted on request', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    await cluster.clock.resolve(leader.propose(bytes('before')));
    await cluster.startNode(FOUR);
    await cluster.clock.resolve(leader.addLearner(member(FOUR, { zone: 'b' })));
    expect(roles(leader)).toEqual({ 1: 'voter', 2: 'voter', 3: 'voter', 4: 'learner' });
    await cluster.converge(leader);
    expect(cluster.site(4).stateMachine.texts).toEqual(['before']);
    expect(cluster.node(4).status().isLearner).toBe(true);
    expect(
      cluster
        .node(2)
        .status()
        .members.find(({ id }) => id === FOUR),
    ).toMatchObject({
      address: 'node-4:9444',
      attributes: { zone: 'b' },
    });
    await cluster.clock.resolve(leader.promote(FOUR));
    await cluster.converge(leader);
    expect(roles(cluster.node(4))).toEqual({ 1: 'voter', 2: 'voter', 3: 'voter', 4: 'voter' });
    await cluster.stopAll();
  });

  it('promotes a learner by itself once it has caught up, also under a later leader', async () => {
    const cluster = await Cluster.start({ options: { promotionMaxLagEntries: 5 } });
    const leader = await cluster.leader();
    for (let entry = 0; entry < 20; entry++) void leader.propose(bytes(`entry ${entry}`));
    await cluster.clock.resolve(leader.addLearner(member(FOUR), { promoteWhenCaughtUp: true }));
    await cluster.clock.resolve(leader.transferLeadership());
    expect(roles(leader)).toMatchObject({ 4: 'learner' });
    await cluster.startNode(FOUR);
    await cluster.clock.until(() => roles(cluster.node(4))[4] === 'voter');
    await cluster.converge();
    expect(
      cluster
        .node(4)
        .status()
        .members.find(({ id }) => id === FOUR)?.attributes,
    ).toEqual({});
    await cluster.stopAll();
  });

  it('promotes a learner by itself although entries never cease', async () => {
    const cluster = await Cluster.start({
      options: { promotionMaxLagEntries: 5 },
      faults: { latencyMsMin: 5, latencyMsMax: 5 },
    });
    const leader = await cluster.leader();
    await cluster.startNode(FOUR);
    const outcomes: Promise<unknown>[] = [];
    const adding = leader.addLearner(member(FOUR), { promoteWhenCaughtUp: true });
    adding.catch(() => undefined);
    for (let round = 0; round < 2000 && roles(leader)[4] !== 'voter'; round++) {
      for (let entry = 0; entry < 3; entry++) outcomes.push(leader.propose(bytes('x')));
      await cluster.clock.advance(1);
    }
    expect(roles(leader)[4]).toBe('voter');
    await cluster.clock.resolve(Promise.all([adding, ...outcomes]));
    await cluster.stopAll();
  });

  it('does not promote a learner that lags or does not respond', async () => {
    const cluster = await Cluster.start({ options: { promotionMaxLagEntries: 5 } });
    const leader = await cluster.leader();
    await cluster.clock.resolve(leader.addLearner(member(FOUR)));
    expect(await cluster.failure(leader.promote(FOUR))).toMatchObject({ code: 'learnerNotCaughtUp' });
    await cluster.stopAll();
  });

  it('shrinks, and a removed member cannot disturb the rest', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const follower = cluster.follower(leader);
    await cluster.clock.resolve(leader.remove(follower.id));
    expect(Object.keys(roles(leader))).toHaveLength(2);
    const { term } = leader.status();
    await cluster.clock.advance(20_000);
    expect(leader.status()).toMatchObject({ role: 'leader', term });
    await cluster.clock.resolve(leader.propose(bytes('x')));
    await cluster.stopAll();
  });

  it('lets a leader remove itself', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    await cluster.clock.resolve(leader.remove(leader.id));
    const others = cluster.nodes.filter((node) => node !== leader);
    await cluster.clock.until(() => others.some((node) => node.status().role === 'leader'));
    const next = others.find((node) => node.status().role === 'leader');
    await cluster.clock.resolve(next?.propose(bytes('x')) ?? Promise.reject(new Error('no leader')));
    expect(leader.status().role).toBe('follower');
    await cluster.stopAll();
  });

  it('tells a leader that removes itself at once what it cannot know of its last proposals', async () => {
    const cluster = await Cluster.start({ faults: { latencyMsMin: 5, latencyMsMax: 5 } });
    const leader = await cluster.leader();
    const removed = leader.remove(leader.id);
    const failures: Promise<unknown>[] = [];
    let submitted = 0;
    await cluster.clock.until(
      () => {
        if (leader.status().role === 'leader')
          failures.push(failureOf(leader.propose(bytes(`entry ${submitted++}`))));
        return leader.status().role !== 'leader';
      },
      5_000,
      1,
    );
    await cluster.clock.resolve(removed);
    // Less than it takes to hear of the next leader, whom this node does not hear of at all.
    const reasons = await cluster.clock.resolve(Promise.all(failures), 100, 1);
    expect(reasons).toContainEqual(expect.objectContaining({ code: 'outcomeUnknown', outcome: 'unknown' }));
    const successor = await cluster.leader();
    await cluster.clock.resolve(successor.propose(bytes('last')));
    const { texts } = cluster.site(successor.id).stateMachine;
    for (const [entry, reason] of reasons.entries()) {
      if (reason === undefined) expect(texts).toContain(`entry ${entry}`);
    }
    expect(new Set(texts).size).toBe(texts.length);
    await cluster.stopAll();
  });

  it('replaces several members in one step through a joint configuration that is left by itself', async () => {
    const cluster = await Cluster.start({ faults: { latencyMsMin: 5, latencyMsMax: 5 } });
    const leader = await cluster.leader();
    const [first, second] = cluster.nodes.filter((node) => node !== leader);
    if (first === undefined || second === undefined) throw new Error('three nodes are needed');
    for (const id of [FOUR, FIVE]) {
      await cluster.startNode(id);
      await cluster.clock.resolve(leader.addLearner(member(id)));
    }
    await cluster.converge(leader);
    await cluster.clock.resolve(
      leader.changeMembership([
        { type: 'promote', id: FOUR },
        { type: 'promote', id: FIVE },
        { type: 'remove', id: first.id },
        { type: 'demote', id: second.id },
      ]),
      60_000,
      1,
    );
    expect(leader.status().confState).toMatchObject({
      voters: [leader.id, 4, 5],
      votersOutgoing: [],
      learners: [second.id],
    });
    await cluster.clock.resolve(leader.propose(bytes('x')));
    await cluster.stopAll();
  });

  it('leaves a joint configuration under the next leader when the one that entered it is gone', async () => {
    const cluster = await Cluster.start({ faults: { latencyMsMin: 5, latencyMsMax: 5 } });
    const leader = await cluster.leader();
    const others = cluster.nodes.filter((node) => node !== leader);
    for (const id of [FOUR, FIVE]) {
      await cluster.startNode(id);
      await cluster.clock.resolve(leader.addLearner(member(id)));
    }
    await cluster.converge(leader);
    // The leader learns that the change is committed, but what it proposes then gets nowhere.
    const changed = leader.changeMembership([
      { type: 'promote', id: FOUR },
      { type: 'promote', id: FIVE },
    ]);
    await cluster.clock.until(
      () => others.some((node) => node.status().confState.votersOutgoing.length > 0),
      5000,
      1,
    );
    cluster.network.isolate(leader.id);
    changed.catch(() => undefined);
    await cluster.clock.until(() => others.some((node) => node.status().role === 'leader'));
    await cluster.clock.until(() =>
      others.every((node) => node.status().confState.votersOutgoing.length === 0),
    );
    expect(cluster.node(4).status().confState.voters).toEqual([1, 2, 3, 4, 5]);
    cluster.network.heal();
    await cluster.converge();
    await cluster.clock.resolve(changed);
    await cluster.stopAll();
  });

  it('takes one change at a time', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const first = leader.addLearner(member(FOUR));
    const second = failureOf(leader.addLearner(member(FIVE)));
    await cluster.clock.resolve(first);
    expect(await second).toMatchObject({ code: 'membershipPending', outcome: 'notCommitted' });
    await cluster.clock.resolve(leader.addLearner(member(FIVE)));
    await cluster.stopAll();
  });

  it('refuses what would lose the quorum', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const [dead, alive] = cluster.nodes.filter((node) => node !== leader);
    if (dead === undefined || alive === undefined) throw new Error('three nodes are needed');
    cluster.network.isolate(dead.id);
    await cluster.clock.advance(3000);
    expect(await cluster.failure(leader.remove(alive.id))).toMatchObject({ code: 'quorumWouldBeLost' });
    await cluster.clock.resolve(leader.remove(dead.id));
    expect(
      await cluster.failure(leader.changeMembership([{ type: 'addVoter', member: member(FOUR) }])),
    ).toBeUndefined();
    expect(
      await cluster.failure(leader.changeMembership([{ type: 'addVoter', member: member(FIVE) }])),
    ).toMatchObject({
      code: 'quorumWouldBeLost',
    });
    await cluster.stopAll();
  });

  it('tells beforehand what it would refuse, and changes nothing by that', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const { lastIndex } = leader.status();
    await cluster.clock.resolve(leader.checkMembership([{ type: 'remove', id: leader.id }]));
    expect(
      await cluster.failure(leader.checkMembership([{ type: 'remove', id: toNodeId(9) }])),
    ).toMatchObject({ code: 'membershipInvalid' });
    expect(
      await cluster.failure(cluster.follower(leader).checkMembership([{ type: 'remove', id: leader.id }])),
    ).toMatchObject({ code: 'notLeader' });
    await cluster.clock.advance(100);
    expect(leader.status()).toMatchObject({ role: 'leader', lastIndex });
    expect(Object.keys(roles(leader))).toHaveLength(3);
    await cluster.stopAll();
  });

  it('refuses what does not fit the members there are', async () => {
    const cluster = await Cluster.start({ voters: 3, learners: 1 });
    const leader = await cluster.leader();
    const follower = cluster.follower(leader);
    const refused = [
      () => leader.addLearner(member(toNodeId(2))),
      () => leader.promote(toNodeId(2)),
      () => leader.promote(toNodeId(9)),
      () => leader.remove(toNodeId(9)),
      () => leader.updateMember(member(toNodeId(9))),
      () => leader.changeMembership([{ type: 'demote', id: FOUR }]),
    ];
    for (const call of refused)
      expect(await cluster.failure(call())).toMatchObject({ code: 'membershipInvalid' });
    expect(await cluster.failure(leader.changeMembership([]))).toMatchObject({ code: 'invalidArgument' });
    expect(await cluster.failure(leader.addLearner(member(FIVE, { 'raft-core:x': '1' })))).toMatchObject({
      code: 'invalidArgument',
    });
    expect(await cluster.failure(leader.addLearner(member(FIVE, { x: 'y'.repeat(5000) })))).toMatchObject({
      code: 'invalidArgument',
    });
    expect(await cluster.failure(follower.remove(toNodeId(1)))).toMatchObject({ code: 'notLeader' });
    await cluster.stopAll();
  });

  it('is in a snapshot as soon as it has changed: a restart need not know what was committed since', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    await cluster.clock.resolve(leader.addLearner(member(FOUR)));
    await cluster.converge(leader);
    await cluster.clock.advance(100);
    for (const { snapshotStore } of cluster.sites.values()) {
      expect(snapshotStore.latest()?.meta.confState.learners).toEqual([FOUR]);
      expect(snapshotStore.latest()?.meta.members).toContainEqual(member(FOUR));
    }
    await cluster.stopAll();
  });

  it('comes with a snapshot to a member that missed the change', async () => {
    const cluster = await Cluster.start({
      options: { snapshotIntervalEntries: 20, logRetentionEntries: 2, logRetentionMaxEntries: 4 },
    });
    const leader = await cluster.leader();
    const missing = cluster.follower(leader);
    cluster.network.isolate(missing.id);
    await cluster.clock.resolve(leader.addLearner(member(FOUR, { zone: 'b' })));
    await cluster.clock.resolve(
      Promise.all(Array.from({ length: 60 }, (_, index) => leader.propose(bytes(`${index}`)))),
    );
    cluster.network.heal();
    await cluster.clock.until(() => missing.status().appliedIndex === leader.status().appliedIndex);
    expect(missing.status().confState).toEqual(leader.status().confState);
    expect(missing.status().members.find(({ id }) => id === FOUR)).toMatchObject(member(FOUR, { zone: 'b' }));
    await cluster.stopAll();
  });

  it('tells every member of a new address, which survives restarts and snapshots', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    const moved = { id: toNodeId(2), address: 'elsewhere:1', attributes: { grpc: 'elsewhere:2' } };
    await cluster.clock.resolve(leader.updateMember(moved));
    await cluster.converge(leader);
    for (let start = 0; start < 2; start++) {
      for (const id of [1, 2, 3]) {
        await cluster.crash(toNodeId(id));
        await cluster.startNode(toNodeId(id), { bootstrap: cluster.founding });
      }
      const again = await cluster.leader();
      await cluster.clock.resolve(again.propose(bytes('x')));
      await cluster.converge(again);
      for (const node of cluster.nodes) expect(node.status().members[1]).toMatchObject(moved);
      await cluster.clock.resolve(again.snapshot());
    }
    await cluster.stopAll();
  });
});
