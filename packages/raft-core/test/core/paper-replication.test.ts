import { describe, expect, it } from 'vitest';
import { toLogIndex, toNodeId } from '../../src/core/index.ts';
import {
  BASE_INDEX,
  bytes,
  change,
  compactAt,
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
const five = ids(1, 2, 3, 4, 5);

describe('Raft paper, 5.3: log replication', () => {
  it('a leader appends a command and sends it to all followers, with the entry before it', () => {
    const network = new Network(three);
    network.elect(1);
    const { raw, storage } = network.member(1);
    expect(raw.propose(bytes('x'))).toEqual({ index: 4, term: 2 });
    const { readies, messages } = drain(raw, storage);
    expect(readies.flatMap((ready) => ready.entries)).toMatchObject([{ term: 2, index: 4 }]);
    expect(messages.map(({ type, to, logTerm, index }) => ({ type, to, logTerm, index }))).toEqual([
      { type: 'MsgApp', to: 2, logTerm: 2, index: 3 },
      { type: 'MsgApp', to: 3, logTerm: 2, index: 3 },
    ]);
  });

  it.each([
    { size: 3, acks: [], commits: false },
    { size: 3, acks: [2], commits: true },
    { size: 5, acks: [2], commits: false },
    { size: 5, acks: [2, 3], commits: true },
    { size: 5, acks: [2, 3, 4, 5], commits: true },
  ])(
    'of $size voters, the leader and $acks having an entry commits it: $commits',
    ({ size, acks, commits }) => {
      const network = new Network(ids(...Array.from({ length: size }, (_, position) => position + 1)));
      const leader = network.elect(1);
      network.only(({ from, to }) => from === to || acks.includes(to) || acks.includes(from));
      network.propose('x');
      expect(leader.values).toEqual(commits ? ['x'] : []);
    },
  );

  it('a new leader begins with every follower right after the end of its own log', () => {
    const network = new Network(three);
    const leader = network.elect(1);
    network.propose('x');
    const last = leader.raw.basicStatus().lastIndex;
    network.isolate(2, 3);
    network.member(2).raw.campaign();
    network.heal();
    network.only(({ type }) => !type.startsWith('MsgApp'));
    const next = network.elect(2);
    expect(next.role).toBe('leader');
    for (const id of [1, 3]) {
      expect(next.raw.status().progress.get(toNodeId(id))).toMatchObject({ match: 0, next: last + 1 });
    }
  });

  it('a leader sends an append again until the follower has it', () => {
    const network = new Network(three);
    network.elect(1);
    network.isolate(3);
    network.propose('x');
    network.run(8);
    expect(network.member(3).values).toEqual([]);
    network.heal();
    network.run(2);
    expect(network.member(3).values).toEqual(['x']);
  });

  it('a leader never overwrites or removes what it has appended, whatever it is told', () => {
    const network = new Network(three);
    const leader = network.elect(1);
    network.isolate(1);
    leader.raw.propose(bytes('x'));
    network.settle();
    const before = leader.log;
    const stale = { from: 2, to: 1, term: leader.term - 1, logTerm: 1, index: 2, entries: [entry(1, 3)] };
    leader.raw.step(message('MsgApp', stale));
    leader.raw.step(message('MsgAppResp', { from: 2, to: 1, term: leader.term, index: 4, reject: true }));
    network.run(3);
    expect(leader.role).toBe('leader');
    expect(leader.log).toEqual(before);
  });

  it('committing an entry commits all before it, those of earlier leaders included', () => {
    const storage = storageWith(confState(ids(1)), entries(1, 1, 2), hardState(2, 0, 2));
    const raw = rawNode(1, storage);
    raw.campaign();
    const committed = drain(raw, storage).readies.flatMap((ready) => ready.committedEntries);
    expect(committed.map(({ term, index }) => [term, index])).toEqual([
      [1, 3],
      [1, 4],
      [2, 5],
      [3, 6],
    ]);
  });

  it('followers learn of the commit index and apply in order of the log', () => {
    const network = new Network(three);
    network.elect(1);
    for (const value of ['a', 'b', 'c']) network.propose(value);
    for (const member of network.members.values()) expect(member.values).toEqual(['a', 'b', 'c']);
  });

  it.each([
    { leaderTerm: 1, leaderIndex: 2, accepts: true, hint: 0 },
    { leaderTerm: 1, leaderIndex: 3, accepts: true, hint: 0 },
    { leaderTerm: 2, leaderIndex: 4, accepts: true, hint: 0 },
    { leaderTerm: 1, leaderIndex: 4, accepts: false, hint: 3 },
    { leaderTerm: 3, leaderIndex: 6, accepts: false, hint: 4 },
  ])(
    'consistency check: a follower with terms 1, 2 after $leaderIndex of term $leaderTerm accepts: $accepts',
    ({ leaderTerm, leaderIndex, accepts, hint }) => {
      const storage = storageWith(confState(three), entries(1, 2), hardState(3, 0, 2));
      const raw = rawNode(1, storage);
      raw.step(message('MsgApp', { from: 2, to: 1, term: 4, logTerm: leaderTerm, index: leaderIndex }));
      const [answer] = drain(raw, storage).messages;
      expect(answer).toMatchObject({ type: 'MsgAppResp', reject: !accepts, rejectHint: hint });
    },
  );

  it.each([
    { what: 'a follower that is missing entries', follower: [1, 1, 1, 4, 4, 5, 5, 6, 6] },
    { what: 'a follower that is missing most', follower: [1, 1, 1, 4] },
    { what: 'a follower with an extra entry of the same term', follower: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6] },
    { what: 'a follower with extra entries of a later term', follower: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7] },
    { what: 'a follower that is missing some and has others', follower: [1, 1, 1, 4, 4, 4, 4] },
    { what: 'a follower that led twice without committing', follower: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3] },
  ])('figure 7: the leader brings $what to its own log', ({ follower }) => {
    const lead = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    const members = confState(three);
    const network = new Network([]);
    network.add(toNodeId(1), storageWith(members, entries(...lead), hardState(7, 0, 2)));
    network.add(toNodeId(2), storageWith(members, entries(...follower), hardState(7, 0, 2)));
    network.add(toNodeId(3), storageWith(members, [], hardState(7, 0, 2)));
    network.elect(1);
    expect(network.leader?.id).toBe(1);
    network.propose('x');
    for (const id of [2, 3]) expect(network.member(id).log).toEqual(network.member(1).log);
  });

  it('a follower never removes entries that agree with an old append', () => {
    const storage = storageWith(confState(three), entries(1, 1, 1), hardState(1, 0, 2));
    const raw = rawNode(1, storage);
    raw.step(message('MsgApp', { from: 2, to: 1, term: 1, logTerm: 1, index: 2, entries: [entry(1, 3)] }));
    drain(raw, storage);
    expect(storage.lastIndex()).toBe(5);
  });

  it('back-off skips a whole term a round trip, not one entry', () => {
    const members = confState(ids(1, 2));
    const network = new Network([]);
    const lead = storageWith(members, entries(1, ...new Array<number>(50).fill(5)), hardState(6, 0, 2));
    const lag = storageWith(members, entries(1, ...new Array<number>(40).fill(2)), hardState(6, 0, 2));
    network.add(toNodeId(1), lead);
    network.add(toNodeId(2), lag);
    network.elect(1);
    expect(network.member(2).log).toEqual(network.member(1).log);
    const rejections = network.delivered.filter(({ type, reject }) => type === 'MsgAppResp' && reject);
    expect(rejections.length).toBeLessThanOrEqual(2);
  });
});

describe('Raft paper, 5.4.2: entries of previous terms', () => {
  it('figure 8: an entry of an older term on a majority is not committed by counting', () => {
    // Server 1 is leader of term 4; the entry of term 2 at index 3 is its own, now on 1, 2 and 3.
    const members = confState(five);
    const storage = storageWith(members, entries(2), hardState(3, 0, 2));
    const raw = rawNode(1, storage);
    raw.campaign();
    drain(raw, storage);
    for (const from of [2, 3]) raw.step(message('MsgVoteResp', { from, to: 1, term: 4 }));
    drain(raw, storage);
    expect(raw.basicStatus()).toMatchObject({ role: 'leader', term: 4, lastIndex: 4 });
    for (const from of [2, 3]) raw.step(message('MsgAppResp', { from, to: 1, term: 4, index: 3 }));
    expect(raw.basicStatus().committed).toBe(2);
    for (const from of [2, 3]) raw.step(message('MsgAppResp', { from, to: 1, term: 4, index: 4 }));
    expect(raw.basicStatus().committed).toBe(4);
  });
});

describe('Raft paper, section 6: membership changes', () => {
  it('a joint configuration needs majorities of both halves to commit', () => {
    const network = new Network(three);
    network.elect(1);
    network.addEmpty(4);
    network.addEmpty(5);
    network.member(1).raw.proposeConfChange({
      transition: 'jointExplicit',
      changes: [
        { type: 'removeNode', nodeId: toNodeId(2) },
        { type: 'removeNode', nodeId: toNodeId(3) },
        { type: 'addNode', nodeId: toNodeId(4) },
        { type: 'addNode', nodeId: toNodeId(5) },
      ],
      context: bytes(''),
    });
    network.settle();
    expect(network.member(1).raw.confState()).toMatchObject({ voters: [1, 4, 5], votersOutgoing: [1, 2, 3] });
    network.isolate(2, 3);
    network.propose('a');
    expect(network.member(1).values).toEqual([]);
    network.heal();
    network.run(2);
    expect(network.member(1).values).toEqual(['a']);
    network.isolate(4, 5);
    network.propose('b');
    expect(network.member(1).values).toEqual(['a']);
    // One of each half and the leader, which belongs to both, are enough.
    network.isolate(3, 4);
    network.run(3);
    expect(network.member(1).values).toEqual(['a', 'b']);
  });

  it('a joint configuration needs majorities of both halves to elect a leader', () => {
    const joint = {
      voters: ids(1, 4, 5),
      votersOutgoing: three,
      learners: [],
      learnersNext: [],
      autoLeave: false,
    };
    const elected = (...reachable: number[]): boolean => {
      const network = new Network([]);
      for (const id of five) network.add(id, storageWith(joint));
      network.only(({ from, to }) => from === to || reachable.includes(to) || reachable.includes(from));
      return network.elect(1).role === 'leader';
    };
    expect(elected(2, 3)).toBe(false);
    expect(elected(4, 5)).toBe(false);
    expect(elected(3, 4)).toBe(true);
  });

  it('a change takes effect on each server when it is applied there, not when it is appended', () => {
    const network = new Network(three);
    const leader = network.elect(1);
    network.isolate(1);
    leader.raw.proposeConfChange(change({ type: 'removeNode', nodeId: toNodeId(3) }));
    network.settle();
    expect(leader.raw.confState().voters).toEqual(three);
    network.isolate(3);
    network.run(2);
    expect(leader.raw.confState().voters).toEqual(ids(1, 2));
    expect(network.member(3).raw.confState().voters).toEqual(three);
  });

  it('new servers are caught up as learners, which do not count towards a majority', () => {
    const network = new Network(ids(1));
    network.elect(1);
    network.addEmpty(2);
    network.changeMembership({
      transition: 'auto',
      changes: [{ type: 'addLearnerNode', nodeId: toNodeId(2) }],
      context: bytes(''),
    });
    expect(network.member(2).raw.basicStatus().isLearner).toBe(true);
    network.isolate(2);
    network.propose('x');
    expect(network.member(1).values).toEqual(['x']);
    network.heal();
    network.run(3);
    expect(network.member(2).values).toContain('x');
  });

  it('a leader that is not part of the new configuration does not count itself', () => {
    const network = new Network(three);
    network.elect(1);
    network.changeMembership({
      transition: 'auto',
      changes: [{ type: 'removeNode', nodeId: toNodeId(1) }],
      context: bytes(''),
    });
    expect(network.member(1).role).toBe('leader');
    expect(() => network.member(1).raw.propose(bytes('x'))).toThrowError(
      expect.objectContaining({ code: 'proposalDropped', reason: 'leaderRemoved' }),
    );
  });
});

describe('Raft paper, section 7: log compaction', () => {
  it('a follower whose entries are gone gets the snapshot, then the entries after it', () => {
    const network = new Network(three);
    network.elect(1);
    network.isolate(3);
    for (const value of ['a', 'b', 'c']) network.propose(value);
    compactAt(network.member(1), toLogIndex(network.member(1).committed - 1));
    network.heal();
    network.run(3);
    expect(network.member(3).storage.snapshot().metadata.index).toBe(
      network.member(1).storage.snapshot().metadata.index,
    );
    expect(network.member(3).values).toEqual(['c']);
    expect(network.member(3).raw.basicStatus().lastIndex).toBe(network.member(1).raw.basicStatus().lastIndex);
  });

  it('a snapshot that is not newer than the commit index is ignored', () => {
    const network = new Network(three);
    network.elect(1);
    network.propose('a');
    const old = compactAt(network.member(1), BASE_INDEX_PLUS_ONE);
    const before = network.member(2).raw.basicStatus();
    network.member(2).raw.step(message('MsgSnap', { from: 1, to: 2, term: 2, snapshot: old }));
    expect(network.member(2).raw.basicStatus()).toEqual(before);
    network.settle();
    expect(network.member(2).values).toEqual(['a']);
  });

  it('a snapshot that the log already contains keeps the entries after it', () => {
    const storage = storageWith(confState(three), entries(1, 1, 1), hardState(1, 0, 2));
    const raw = rawNode(1, storage);
    const snapshot = { metadata: { index: 4, term: 1, confState: confState(three) }, data: bytes('state') };
    raw.step(message('MsgSnap', { from: 2, to: 1, term: 1, snapshot }));
    drain(raw, storage);
    expect(raw.basicStatus()).toMatchObject({ committed: 4, lastIndex: 5, firstIndex: 3 });
  });

  it('a snapshot of another history replaces the whole log', () => {
    const storage = storageWith(confState(three), entries(1, 1, 1), hardState(1, 0, 2));
    const raw = rawNode(1, storage);
    const snapshot = { metadata: { index: 4, term: 2, confState: confState(three) }, data: bytes('state') };
    raw.step(message('MsgSnap', { from: 2, to: 1, term: 2, snapshot }));
    const { readies, messages } = drain(raw, storage);
    expect(readies[0]?.snapshot?.metadata.index).toBe(4);
    expect(messages).toMatchObject([{ type: 'MsgAppResp', index: 4, reject: false }]);
    expect(storage.lastIndex()).toBe(4);
  });
});

describe('Raft paper, section 8: client interaction', () => {
  it('a new leader commits an empty entry of its term at once', () => {
    const network = new Network(three);
    network.elect(1);
    expect(network.member(1).log).toMatchObject([{ term: 2, index: 3, data: bytes('') }]);
    expect(network.member(1).committed).toBe(3);
  });

  it('a follower forwards proposals to the leader, unless that is disabled', () => {
    const network = new Network(three);
    network.elect(1);
    network.member(2).raw.propose(bytes('forwarded'));
    network.settle();
    expect(network.member(3).values).toEqual(['forwarded']);

    const strict = new Network(three, { disableProposalForwarding: true });
    strict.elect(1);
    expect(() => strict.member(2).raw.propose(bytes('x'))).toThrowError(
      expect.objectContaining({ code: 'proposalDropped', reason: 'forwardingDisabled' }),
    );
  });
});

const BASE_INDEX_PLUS_ONE = toLogIndex(BASE_INDEX + 1);
