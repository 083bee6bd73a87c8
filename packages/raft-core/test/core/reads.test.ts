import { describe, expect, it } from 'vitest';
import { toNodeId } from '../../src/core/index.ts';
import type { Message } from '../../src/core/index.ts';
import { bytes, confState, entries, hardState, ids, Network, storageWith, text } from './network.ts';
import type { Member, NodeOptions } from './network.ts';

const three = ids(1, 2, 3);
const SAFE: NodeOptions = { safeguards: true };
const LEASE: NodeOptions = { ...SAFE, checkQuorum: true, readOnlyOption: 'leaseBased', electionTick: 10 };

/** Nodes that start with a term keep to an old promise first; then node 1 is elected. */
function leaseGroup(): { readonly network: Network; readonly leader: Member } {
  const network = new Network(three, LEASE);
  for (const id of three) network.member(id).raw.setRandomizedElectionTimeout(100);
  network.run(10);
  const leader = network.elect(1);
  expect(leader.role).toBe('leader');
  return { network, leader };
}

function answers(member: Member): readonly (readonly [string, number])[] {
  return member.reads.map(({ index, requestContext }) => [text(requestContext), index] as const);
}

describe('reads by quorum (thesis 6.4)', () => {
  it('a read at the leader gets the commit index that holds when it arrives', () => {
    const network = new Network(three);
    const leader = network.elect(1);
    network.propose('a');
    leader.raw.readIndex(bytes('r'));
    network.settle();
    expect(answers(leader)).toEqual([['r', leader.committed]]);
  });

  it('a follower and a learner ask the leader, and get the answer themselves', () => {
    const network = new Network(ids(1, 2), {}, ids(3));
    const leader = network.elect(1);
    network.propose('a');
    for (const id of [2, 3]) network.member(id).raw.readIndex(bytes(`r${id}`));
    network.settle();
    for (const id of [2, 3]) expect(answers(network.member(id))).toEqual([[`r${id}`, leader.committed]]);
    expect(leader.reads).toEqual([]);
  });

  it('many reads are answered in order, by one round of heartbeats if the first ones are lost', () => {
    const network = new Network(three);
    const leader = network.elect(1);
    network.only(({ type }) => type !== 'MsgHeartbeat');
    for (let i = 0; i < 5; i += 1) leader.raw.readIndex(bytes(`r${i}`));
    network.settle();
    expect(leader.reads).toEqual([]);
    network.heal();
    network.tick(1);
    network.settle();
    expect(answers(leader).map(([context]) => context)).toEqual(['r0', 'r1', 'r2', 'r3', 'r4']);
  });

  it('a read without a leader is dropped', () => {
    const network = new Network(three);
    network.member(2).raw.readIndex(bytes('r'));
    network.run(1);
    expect(network.member(2).reads).toEqual([]);
  });

  it('a learner’s answers confirm nothing', () => {
    const network = new Network(three, {}, ids(4, 5));
    const leader = network.elect(1);
    network.isolate(2, 3);
    leader.raw.readIndex(bytes('r'));
    network.run(3);
    expect(leader.reads).toEqual([]);
  });

  it('in a joint configuration both halves have to confirm', () => {
    const network = new Network(three);
    const leader = network.elect(1);
    network.addEmpty(4);
    network.addEmpty(5);
    network.changeMembership({
      transition: 'jointExplicit',
      changes: [
        { type: 'addNode', nodeId: toNodeId(4) },
        { type: 'addNode', nodeId: toNodeId(5) },
        { type: 'removeNode', nodeId: toNodeId(2) },
        { type: 'removeNode', nodeId: toNodeId(3) },
      ],
      context: bytes(''),
    });
    network.isolate(4, 5);
    leader.raw.readIndex(bytes('r'));
    network.settle();
    expect(leader.reads).toEqual([]);
    network.heal();
    network.run(1);
    expect(answers(leader)).toEqual([['r', leader.committed]]);
  });
});

describe('hazard 19: a read before the new leader’s first commit', () => {
  it('waits until an entry of the leader’s term is committed', () => {
    const network = new Network([]);
    // Entry 3 was committed and acknowledged by the last leader; node 1 has it, but does not know that it is committed.
    for (const id of three) network.add(id, storageWith(confState(three), entries(1), hardState(1, 0, 2)));
    const next = network.member(1);
    next.raw.campaign();
    network.only(({ type }) => !type.startsWith('MsgApp'));
    network.settle();
    expect(next.role).toBe('leader');
    next.raw.readIndex(bytes('r'));
    network.settle();
    expect(next.reads).toEqual([]);
    network.heal();
    network.run(2);
    expect(answers(next)).toEqual([['r', 4]]);
  });

  it('waits in a group of one as well, whose persisted commit index may lag behind what it acknowledged', () => {
    const network = new Network([]);
    const single = network.add(
      toNodeId(1),
      storageWith(confState(ids(1)), entries(1, 1), hardState(1, 0, 2)),
      SAFE,
    );
    single.raw.campaign();
    const vote = single.raw.ready();
    single.storage.setHardState(vote.hardState ?? hardState(0, 0, 0));
    single.raw.advance();
    single.raw.readIndex(bytes('r'));
    expect(single.raw.basicStatus()).toMatchObject({ role: 'leader', committed: 2 });
    network.settle();
    expect(answers(single)).toEqual([['r', 5]]);
  });

  it('reads that waited are forgotten when the leadership is lost', () => {
    const network = new Network(three, SAFE);
    network.only(({ type }) => !type.startsWith('MsgApp'));
    const leader = network.elect(1);
    leader.raw.readIndex(bytes('r'));
    network.member(2).raw.campaign();
    network.heal();
    network.settle();
    network.elect(1);
    network.run(2);
    expect(leader.reads).toEqual([]);
  });
});

describe('hazard 20: late and repeated answers', () => {
  function heartbeatAnswers(network: Network): readonly Message[] {
    return network.delivered.filter(({ type }) => type === 'MsgHeartbeatResp');
  }

  it('an answer to an earlier read does not confirm a later one, even with the same context', () => {
    const network = new Network(three);
    const leader = network.elect(1);
    leader.raw.readIndex(bytes('same'));
    network.settle();
    const old = heartbeatAnswers(network);
    expect(old).toHaveLength(2);
    network.isolate(1);
    leader.raw.readIndex(bytes('same'));
    network.settle();
    for (const late of old) leader.raw.step(late);
    network.settle();
    expect(leader.reads).toHaveLength(1);
  });

  it('an answer from an earlier term of the same leader confirms nothing', () => {
    const network = new Network(three);
    const leader = network.elect(1);
    leader.raw.readIndex(bytes('first'));
    network.settle();
    const old = heartbeatAnswers(network);
    network.elect(2);
    network.elect(1);
    leader.reads = [];
    network.isolate(1);
    leader.raw.readIndex(bytes('second'));
    network.settle();
    for (const late of old) leader.raw.step(late);
    network.settle();
    expect(leader.reads).toEqual([]);
  });

  it('one follower answering many times is not a quorum', () => {
    const network = new Network(ids(1, 2, 3, 4, 5));
    const leader = network.elect(1);
    network.isolate(3, 4, 5);
    leader.raw.readIndex(bytes('r'));
    network.settle();
    const answer = heartbeatAnswers(network).at(-1);
    for (let i = 0; i < 4 && answer !== undefined; i += 1) leader.raw.step(answer);
    network.settle();
    expect(leader.reads).toEqual([]);
  });

  it('a context that was never sent confirms nothing', () => {
    const network = new Network(three);
    const leader = network.elect(1);
    network.isolate(1);
    leader.raw.readIndex(bytes('r'));
    network.settle();
    for (const context of [
      bytes('rubbish'),
      new Uint8Array(8).fill(255),
      Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 0),
    ]) {
      for (const from of three.slice(1)) {
        leader.raw.step({ ...network.delivered[0], ...heartbeatAnswer(from, context) });
      }
    }
    network.settle();
    expect(leader.reads).toEqual([]);
  });

  function heartbeatAnswer(from: number, context: Uint8Array): Message {
    const network = new Network(three);
    network.elect(1);
    network.run(1);
    const sample = heartbeatAnswers(network)[0];
    if (sample === undefined) throw new Error('no heartbeat was answered');
    return { ...sample, from: toNodeId(from), context };
  }
});

describe('hazard 21: the lease', () => {
  it('answers at once while a quorum was heard from lately', () => {
    const { network, leader } = leaseGroup();
    network.run(2);
    network.isolate(1);
    leader.raw.readIndex(bytes('r'));
    network.settle();
    expect(answers(leader)).toEqual([['r', leader.committed]]);
  });

  it('has ended before another leader can be elected, however late the quorum check comes', () => {
    // Every moment of the check's period, because what was heard just after a check counts for the next one as well.
    for (let phase = 0; phase < 10; phase += 1) {
      const { network, leader: old } = leaseGroup();
      network.run(2 + phase);
      network.isolate(1);
      while (network.leader === undefined || network.leader === old) {
        network.run(1);
        network.member(2).raw.campaign();
        network.settle();
      }
      network.leader.raw.propose(bytes('new'));
      network.settle();
      const { reads } = old;
      old.raw.readIndex(bytes('stale?'));
      network.settle();
      expect(old.reads, `phase ${phase}`).toEqual(reads);
    }
  });

  it('is void after a pause, until a quorum confirms the leadership', () => {
    const { network, leader } = leaseGroup();
    network.run(2);
    // The process stood still while the others elected a leader: not one tick passed here.
    network.isolate(1);
    for (let i = 0; i < 40; i += 1) for (const id of [2, 3]) network.tick(id);
    network.settle();
    leader.raw.voidLease();
    leader.raw.readIndex(bytes('stale?'));
    network.settle();
    expect(leader.reads).toEqual([]);
  });

  it('is not trusted once a target was told to campaign: its votes override the lease', () => {
    const { network, leader } = leaseGroup();
    network.run(2);
    leader.raw.transferLeader(toNodeId(2));
    network.isolate(1);
    // The request may be on its way for ever; giving up the transfer does not call it back.
    network.tick(1, 11);
    leader.raw.readIndex(bytes('stale?'));
    network.settle();
    expect(leader.reads).toEqual([]);
  });

  it('a restarted voter votes for nobody until every lease that it may have granted is over', () => {
    const { network, leader } = leaseGroup();
    network.run(2);
    for (const id of [2, 3]) network.member(id).restart();
    network.isolate(1);
    for (const id of [2, 3]) network.member(id).raw.campaign();
    network.settle();
    expect(network.leader).toBe(leader);
    for (let i = 0; i < 45; i += 1) network.run(1);
    expect([2, 3]).toContain(network.leader?.id);
  });

  it('is not renewed by answers to old heartbeats', () => {
    const { network, leader } = leaseGroup();
    network.run(2);
    const old = network.delivered.filter(({ type }) => type === 'MsgHeartbeatResp');
    network.isolate(1);
    network.tick(1, 9);
    for (const late of old) leader.raw.step(late);
    leader.raw.readIndex(bytes('stale?'));
    network.settle();
    expect(leader.reads).toEqual([]);
  });

  it('forgetLeader is refused: the leader counts on the promise', () => {
    const { network } = leaseGroup();
    network.member(2).raw.forgetLeader();
    expect(network.member(2).raw.basicStatus().leader).toBe(1);
  });
});
