import { describe, expect, it } from 'vitest';
import { encodeConfChange, toLogIndex, toNodeId } from '../../src/core/index.ts';
import type { ConfChange } from '../../src/core/index.ts';
import {
  bytes,
  change,
  confState,
  drain,
  entries,
  entry,
  hardState,
  ids,
  message,
  Network,
  rawNode,
  storageWith,
} from './network.ts';

const three = ids(1, 2, 3);

function removeNode(id: number): ConfChange {
  return change({ type: 'removeNode', nodeId: toNodeId(id) });
}

describe('Raft thesis, 10.2.2: batching and pipelining', () => {
  it('entries are batched up to the message size, and pipelined without waiting for answers', () => {
    const network = new Network(three, { maxSizePerMsgBytes: 200 });
    network.elect(1);
    const { raw, storage } = network.member(1);
    raw.proposeBatch(Array.from({ length: 10 }, () => bytes('x'.repeat(50))));
    const appends = drain(raw, storage).messages.filter(({ to }) => to === 2);
    expect(appends).toHaveLength(1);
    raw.step(message('MsgAppResp', { from: 2, to: 1, term: 2, index: 6 }));
    const more = drain(raw, storage).messages.filter(
      ({ to, type, entries: sent }) => to === 2 && type === 'MsgApp' && sent.length > 0,
    );
    expect(more.map(({ entries: sent }) => sent.length)).toEqual([3, 3, 1]);
  });

  it('no more than maxInflightMessages appends are unanswered', () => {
    const network = new Network(three, { maxInflightMessages: 4 });
    network.elect(1);
    network.isolate(2);
    for (let i = 0; i < 20; i += 1) network.propose(`value ${i}`);
    const progress = network.member(1).raw.status().progress.get(toNodeId(2));
    expect(progress).toMatchObject({ inflightMessages: 4, inflightFull: true, paused: true });
  });

  it('no more than maxInflightBytes, by less than a message, are unanswered', () => {
    const network = new Network(three, { maxSizePerMsgBytes: 100, maxInflightBytes: 300 });
    network.elect(1);
    network.isolate(2);
    for (let i = 0; i < 20; i += 1) network.propose('x'.repeat(90));
    const progress = network.member(1).raw.status().progress.get(toNodeId(2));
    expect(progress?.inflightBytes).toBe(360);
  });
});

describe('Raft thesis, 3.8: persisted state', () => {
  it('a leader counts its own entry only when it is durable', () => {
    const storage = storageWith(confState(ids(1)));
    const raw = rawNode(1, storage);
    raw.campaign();
    const vote = raw.ready();
    expect(vote.hardState).toMatchObject({ term: 2, vote: 1 });
    expect(raw.basicStatus().role).toBe('candidate');
    raw.advance();
    expect(raw.basicStatus()).toMatchObject({ role: 'leader', committed: 2 });
    raw.ready();
    expect(raw.basicStatus().committed).toBe(2);
    raw.advance();
    expect(raw.basicStatus().committed).toBe(3);
  });

  it('a node refuses to start when its commit index is beyond its log: entries were lost', () => {
    const storage = storageWith(confState(three), entries(1), hardState(1, 0, 9));
    expect(() => rawNode(1, storage)).toThrowError(/entries were lost/);
  });

  it('a node refuses to start with an applied index beyond its commit index', () => {
    const storage = storageWith(confState(three), entries(1, 1), hardState(1, 0, 3));
    expect(() => rawNode(1, storage, { applied: toLogIndex(4) })).toThrowError(/outside of/);
  });

  it('entries applied before a restart are not handed out again', () => {
    const storage = storageWith(confState(ids(1)), entries(1, 1, 1), hardState(1, 0, 5));
    const raw = rawNode(1, storage, { applied: toLogIndex(4) });
    expect(drain(raw, storage).readies.flatMap((ready) => ready.committedEntries)).toMatchObject([
      { index: 5 },
    ]);
  });
});

describe('Raft thesis, 3.10: leadership transfer', () => {
  it('an up-to-date target campaigns at once, and wins although the lease would protect the leader', () => {
    const network = new Network(three, { checkQuorum: true, preVote: true });
    network.elect(1);
    network.member(1).raw.transferLeader(toNodeId(3));
    network.settle();
    expect(network.leader?.id).toBe(3);
    expect(network.member(1).role).toBe('follower');
  });

  it('a target that is behind is brought up to date first; proposals are dropped meanwhile', () => {
    const network = new Network(three);
    network.elect(1);
    network.isolate(3);
    network.propose('a');
    const { raw } = network.member(1);
    raw.transferLeader(toNodeId(3));
    expect(() => raw.propose(bytes('b'))).toThrowError(
      expect.objectContaining({ reason: 'transferInProgress' }),
    );
    network.heal();
    network.run(2);
    expect(network.leader?.id).toBe(3);
    expect(network.member(3).values).toEqual(['a']);
  });

  it('a transfer that is not done within an election timeout is given up', () => {
    const network = new Network(three, { electionTick: 10 });
    network.elect(1);
    network.isolate(3);
    network.member(1).raw.transferLeader(toNodeId(3));
    network.settle();
    network.tick(1, 10);
    expect(network.member(1).raw.basicStatus()).toMatchObject({ role: 'leader', transferTarget: 0 });
    network.propose('goes on');
    expect(network.member(1).values).toEqual(['goes on']);
  });

  it('a learner, the leader itself and a stranger are no targets', () => {
    const network = new Network(ids(1, 2), {}, ids(3));
    network.elect(1);
    for (const target of [1, 3, 9]) {
      network.member(1).raw.transferLeader(toNodeId(target));
      network.settle();
      expect(network.member(1).raw.basicStatus()).toMatchObject({ role: 'leader', transferTarget: 0 });
    }
  });

  it('a follower passes a request for transfer on to the leader', () => {
    const network = new Network(three);
    network.elect(1);
    network.member(2).raw.transferLeader(toNodeId(2));
    network.settle();
    expect(network.leader?.id).toBe(2);
  });
});

describe('Raft thesis, chapter 4: membership changes', () => {
  it('4.1: one change at a time: the next is refused until the first is applied', () => {
    const network = new Network(three);
    network.elect(1);
    const { raw } = network.member(1);
    raw.proposeConfChange(change({ type: 'addLearnerNode', nodeId: toNodeId(4) }));
    raw.proposeConfChange(change({ type: 'addLearnerNode', nodeId: toNodeId(5) }));
    network.settle();
    expect(raw.confState().learners).toEqual([4]);
    expect(network.member(1).events).toContainEqual(expect.objectContaining({ type: 'confChangeIgnored' }));
  });

  it('Ongaro 2015: no change while an entry of an earlier term may hold one that is not applied', () => {
    const log = [{ ...entry(1, 3), type: 'confChange' as const, data: encodeConfChange(removeNode(2)) }];
    const network = new Network([]);
    for (const id of three) network.add(id, storageWith(confState(three), log));
    network.member(1).raw.campaign();
    network.only(({ type }) => type.includes('Vote'));
    network.settle();
    const { raw } = network.member(1);
    raw.proposeConfChange(removeNode(3));
    network.heal();
    network.run(2);
    // The old change came through; the new one was refused, or two voters would have left at once.
    expect(raw.confState().voters).toEqual([1, 3]);
  });

  it('4.2.1: a new server is added as a learner, caught up, and promoted without losing what it has', () => {
    const network = new Network(three);
    network.elect(1);
    network.addEmpty(4);
    network.changeMembership(change({ type: 'addLearnerNode', nodeId: toNodeId(4) }));
    network.propose('a');
    const caughtUp = network.member(1).raw.status().progress.get(toNodeId(4));
    expect(caughtUp).toMatchObject({
      state: 'replicate',
      isLearner: true,
      match: network.member(1).committed,
    });
    network.changeMembership(change({ type: 'addNode', nodeId: toNodeId(4) }));
    for (const id of [1, 2, 3, 4])
      expect(network.member(id).raw.confState()).toMatchObject({ voters: [1, 2, 3, 4], learners: [] });
  });

  it('4.2.1: a learner never campaigns', () => {
    const network = new Network(ids(1, 2), {}, ids(3));
    network.member(3).raw.campaign();
    network.tick(3, 100);
    expect(network.member(3)).toMatchObject({ role: 'follower', term: 1 });
  });

  it('4.2.1: a learner that was promoted without knowing it yet votes all the same', () => {
    const network = new Network(ids(1, 2), {}, ids(3));
    network.elect(1);
    network.isolate(3);
    network.changeMembership(change({ type: 'addNode', nodeId: toNodeId(3) }));
    expect(network.member(3).raw.basicStatus().isLearner).toBe(true);
    network.isolate(1);
    network.member(2).raw.campaign();
    network.settle();
    expect(network.member(2).role).toBe('leader');
    expect(network.member(3).raw.confState().voters).toEqual([1, 2, 3]);
  });

  it('4.2.2: a leader that removes itself steps down when it applies that, if asked to', () => {
    const network = new Network(three, { stepDownOnRemoval: true });
    network.elect(1);
    network.changeMembership(change({ type: 'removeNode', nodeId: toNodeId(1) }));
    expect(network.member(1).role).toBe('follower');
    network.run(40);
    expect([2, 3]).toContain(network.leader?.id);
  });

  it('4.2.3: a removed server cannot disturb the group (PreVote and CheckQuorum)', () => {
    const network = new Network(three, { preVote: true, checkQuorum: true });
    network.elect(1);
    network.isolate(3);
    network.changeMembership(change({ type: 'removeNode', nodeId: toNodeId(3) }));
    network.heal();
    const { term } = network.member(1);
    // The removed server does not know; it still asks for votes, again and again.
    for (let round = 0; round < 5; round += 1) {
      network.tick(3, 20);
      network.settle();
      network.run(1);
    }
    expect(network.member(1)).toMatchObject({ role: 'leader', term });
  });

  it('4.3: an implicit joint configuration is left by itself', () => {
    const network = new Network(three);
    network.elect(1);
    network.addEmpty(4);
    network.changeMembership({
      transition: 'jointImplicit',
      changes: [
        { type: 'removeNode', nodeId: toNodeId(2) },
        { type: 'addNode', nodeId: toNodeId(4) },
      ],
      context: bytes(''),
    });
    network.run(2);
    expect(network.member(1).raw.confState()).toMatchObject({ voters: [1, 3, 4], votersOutgoing: [] });
  });

  it('4.3: the next leader leaves the joint configuration that the last one entered', () => {
    const network = new Network(three);
    network.elect(1);
    network.addEmpty(4);
    const { raw } = network.member(1);
    raw.proposeConfChange({
      transition: 'jointImplicit',
      changes: [
        { type: 'removeNode', nodeId: toNodeId(1) },
        { type: 'addNode', nodeId: toNodeId(4) },
      ],
      context: bytes(''),
    });
    // The change is committed and applied everywhere; the entry that leaves the joint configuration never gets out.
    network.only(
      ({ entries: sent }) => !sent.some(({ type, data }) => type === 'confChangeV2' && data.length === 0),
    );
    network.settle();
    network.run(1);
    expect(network.member(2).raw.confState().votersOutgoing).toEqual([1, 2, 3]);
    network.isolate(1);
    network.run(60);
    expect([2, 3, 4]).toContain(network.leader?.id);
    const next = [...network.members.values()].find((member) => member.role === 'leader' && member.id !== 1);
    expect(next?.raw.confState()).toMatchObject({ voters: [2, 3, 4], votersOutgoing: [] });
  });

  it('4.3: a voter demoted in a joint configuration stays a voter until that is left', () => {
    const network = new Network(three);
    network.elect(1);
    network.changeMembership({
      transition: 'jointExplicit',
      changes: [{ type: 'addLearnerNode', nodeId: toNodeId(3) }],
      context: bytes(''),
    });
    expect(network.member(1).raw.confState()).toMatchObject({
      learners: [],
      learnersNext: [3],
      votersOutgoing: [1, 2, 3],
    });
    network.changeMembership(change());
    expect(network.member(1).raw.confState()).toMatchObject({
      voters: [1, 2],
      learners: [3],
      learnersNext: [],
    });
  });

  it('a change that does not fit fails when it is applied, and leaves the configuration as it was', () => {
    const raw = rawNode(1, storageWith(confState(ids(1))));
    const before = raw.confState();
    expect(() => raw.applyConfChange(change({ type: 'removeNode', nodeId: toNodeId(1) }))).toThrowError(
      expect.objectContaining({ code: 'invalidConfChange', reason: 'removesAllVoters' }),
    );
    expect(() => raw.applyConfChange(change())).toThrowError(expect.objectContaining({ reason: 'notJoint' }));
    expect(raw.confState()).toEqual(before);
  });
});

describe('Raft thesis, 6.2: check quorum', () => {
  it('a leader that is cut off steps down within two election timeouts', () => {
    const network = new Network(three, { checkQuorum: true, electionTick: 10 });
    network.elect(1);
    network.isolate(1);
    network.run(20);
    expect(network.member(1).role).toBe('follower');
  });

  it('a leader with a quorum stays', () => {
    const network = new Network(three, { checkQuorum: true, electionTick: 10 });
    network.elect(1);
    network.isolate(3);
    network.run(60);
    expect(network.member(1)).toMatchObject({ role: 'leader', term: 2 });
  });

  it('a node that missed elections gets the leader to come to its term, and follows', () => {
    const network = new Network(three, { checkQuorum: true, electionTick: 10 });
    network.elect(1);
    network.isolate(3);
    for (let round = 0; round < 3; round += 1) {
      network.member(3).raw.campaign();
      network.settle();
    }
    network.heal();
    network.run(60);
    const leader = network.leader;
    expect(new Set([...network.members.values()].map((member) => member.term))).toEqual(
      new Set([leader?.term]),
    );
    network.propose('together again');
    expect(network.member(3).values).toEqual(['together again']);
  });
});

describe('Raft thesis, 9.6: pre-vote', () => {
  it('a pre-candidate changes neither term nor vote', () => {
    const raw = rawNode(1, storageWith(confState(three)), { preVote: true });
    raw.campaign();
    expect(raw.basicStatus()).toMatchObject({ role: 'preCandidate', term: 1, vote: 0 });
    expect(raw.ready().messages).toMatchObject([
      { type: 'MsgPreVote', to: 2, term: 2 },
      { type: 'MsgPreVote', to: 3, term: 2 },
    ]);
  });

  it('granting a pre-vote changes nothing: it can be granted to several', () => {
    const storage = storageWith(confState(three));
    const raw = rawNode(1, storage, { preVote: true });
    for (const from of [2, 3])
      raw.step(message('MsgPreVote', { from, to: 1, term: 2, logTerm: 1, index: 2 }));
    expect(drain(raw, storage).messages).toMatchObject([
      { type: 'MsgPreVoteResp', to: 2, term: 2, reject: false },
      { type: 'MsgPreVoteResp', to: 3, term: 2, reject: false },
    ]);
    expect(raw.basicStatus()).toMatchObject({ term: 1, vote: 0 });
  });

  it('a node that was cut off comes back without raising the term', () => {
    const network = new Network(three, { preVote: true });
    network.elect(1);
    network.isolate(3);
    network.run(100);
    network.propose('meanwhile');
    network.heal();
    network.run(20);
    expect(network.member(1)).toMatchObject({ role: 'leader', term: 2 });
    expect(network.member(3).values).toEqual(['meanwhile']);
  });
});

describe('Raft thesis, chapter 10: asynchronous writes', () => {
  it('10.2.1: the leader sends entries before they are durable on its own disk', () => {
    const storage = storageWith(confState(three));
    const raw = rawNode(1, storage, { asyncStorageWrites: true });
    raw.campaign();
    const vote = raw.ready().messages.find(({ type }) => type === 'MsgStorageAppend');
    for (const response of vote?.responses ?? []) raw.step(response);
    raw.step(message('MsgVoteResp', { from: 2, to: 1, term: 2 }));
    const ready = raw.ready();
    expect(ready.messages.map(({ type }) => type)).toEqual(['MsgApp', 'MsgApp', 'MsgStorageAppend']);
    // Two followers are a majority without the leader's own disk.
    for (const from of [2, 3]) raw.step(message('MsgAppResp', { from, to: 1, term: 2, index: 3 }));
    expect(raw.basicStatus().committed).toBe(3);
  });

  it('acknowledgements and votes are handed out with the write that they rest on, never before', () => {
    const storage = storageWith(confState(three));
    const raw = rawNode(1, storage, { asyncStorageWrites: true });
    raw.step(message('MsgVote', { from: 2, to: 1, term: 2, logTerm: 1, index: 2 }));
    raw.step(message('MsgApp', { from: 2, to: 1, term: 2, logTerm: 1, index: 2, entries: [entry(2, 3)] }));
    const { messages } = raw.ready();
    expect(messages.map(({ type }) => type)).toEqual(['MsgStorageAppend']);
    expect(messages[0]?.responses.map(({ type }) => type)).toEqual([
      'MsgVoteResp',
      'MsgAppResp',
      'MsgStorageAppendResp',
    ]);
  });

  it('committed entries are handed out for applying only when they are durable here', () => {
    const storage = storageWith(confState(three));
    const raw = rawNode(1, storage, { asyncStorageWrites: true });
    raw.step(
      message('MsgApp', { from: 2, to: 1, term: 2, logTerm: 1, index: 2, commit: 3, entries: [entry(2, 3)] }),
    );
    const first = raw.ready();
    expect(first.committedEntries).toEqual([]);
    const write = first.messages.find(({ type }) => type === 'MsgStorageAppend');
    storage.append(write?.entries ?? []);
    for (const response of write?.responses.filter(({ to }) => to === 1) ?? []) raw.step(response);
    expect(raw.ready().committedEntries).toMatchObject([{ index: 3 }]);
  });
});
