import { describe, expect, it } from 'vitest';
import { SeededRandom, toNodeId } from '../../src/core/index.ts';
import type { MessageType } from '../../src/core/index.ts';
import {
  bytes,
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

describe('Raft paper, 5.1: terms', () => {
  it.each<MessageType>(['MsgApp', 'MsgHeartbeat', 'MsgVote', 'MsgVoteResp', 'MsgAppResp'])(
    'a server joins a larger term that it sees in %s, and any role becomes follower',
    (type) => {
      for (const role of ['follower', 'candidate', 'leader'] as const) {
        const network = new Network(three);
        if (role === 'candidate') network.member(1).raw.campaign();
        if (role === 'leader') network.elect(1);
        network.member(1).raw.step(message(type, { from: 2, to: 1, term: 9 }));
        expect(network.member(1)).toMatchObject({ term: 9, role: 'follower' });
      }
    },
  );

  it('a server rejects requests with a stale term', () => {
    const storage = storageWith(confState(three), entries(2), hardState(5, 0, 2));
    const raw = rawNode(1, storage);
    raw.step(message('MsgApp', { from: 2, to: 1, term: 4, logTerm: 2, index: 3, entries: [entry(4, 4)] }));
    raw.step(message('MsgVote', { from: 2, to: 1, term: 4, logTerm: 4, index: 9 }));
    expect(drain(raw, storage).messages).toEqual([]);
    expect(storage.lastIndex()).toBe(3);
  });

  it('term and vote are persisted before the answer leaves', () => {
    const storage = storageWith(confState(three));
    const raw = rawNode(1, storage);
    raw.step(message('MsgVote', { from: 2, to: 1, term: 3, logTerm: 1, index: 2 }));
    const ready = raw.ready();
    expect(ready).toMatchObject({ mustSync: true, hardState: { term: 3, vote: 2 } });
    expect(ready.messages).toMatchObject([{ type: 'MsgVoteResp', to: 2, reject: false }]);
  });
});

describe('Raft paper, 5.2: leader election', () => {
  it('servers start up as followers', () => {
    expect(new Network(three).member(1).role).toBe('follower');
  });

  it('a leader sends heartbeats to all others every heartbeat interval', () => {
    const network = new Network(three, { heartbeatTick: 2 });
    network.elect(1);
    network.tick(1);
    expect(network.member(1).raw.hasReady()).toBe(false);
    network.tick(1);
    const { messages } = network.member(1).raw.ready();
    expect(messages.map(({ type, to }) => `${type} ${to}`)).toEqual(['MsgHeartbeat 2', 'MsgHeartbeat 3']);
  });

  it.each(['follower', 'candidate'] as const)(
    'a %s that hears from no leader within its election timeout increments its term and asks for votes',
    (role) => {
      const storage = storageWith(confState(three));
      const raw = rawNode(1, storage, { electionTick: 10 });
      if (role === 'candidate') raw.campaign();
      drain(raw, storage);
      const before = raw.basicStatus().term;
      for (let tick = 0; tick < 20; tick += 1) raw.tick();
      expect(raw.basicStatus()).toMatchObject({ role: 'candidate', term: before + 1, vote: 1 });
      const requests = raw.ready().messages.map(({ type, to, term }) => ({ type, to, term }));
      expect(requests).toEqual([
        { type: 'MsgVote', to: 2, term: before + 1 },
        { type: 'MsgVote', to: 3, term: before + 1 },
      ]);
    },
  );

  it.each([
    { size: 1, grants: [] as number[], rejects: [] as number[], role: 'leader' },
    { size: 3, grants: [2], rejects: [], role: 'leader' },
    { size: 3, grants: [2], rejects: [3], role: 'leader' },
    { size: 3, grants: [], rejects: [2, 3], role: 'follower' },
    { size: 3, grants: [], rejects: [2], role: 'candidate' },
    { size: 5, grants: [2, 3], rejects: [4, 5], role: 'leader' },
    { size: 5, grants: [2], rejects: [3, 4, 5], role: 'follower' },
    { size: 5, grants: [2], rejects: [3, 4], role: 'candidate' },
  ])(
    'with $size voters, $grants granting and $rejects rejecting make a $role',
    ({ size, grants, rejects, role }) => {
      const voters = ids(...Array.from({ length: size }, (_, position) => position + 1));
      const storage = storageWith(confState(voters));
      const raw = rawNode(1, storage);
      raw.campaign();
      drain(raw, storage);
      for (const from of grants) raw.step(message('MsgVoteResp', { from, to: 1, term: 2 }));
      for (const from of rejects) raw.step(message('MsgVoteResp', { from, to: 1, term: 2, reject: true }));
      expect(raw.basicStatus()).toMatchObject({ role, term: 2 });
    },
  );

  it('a repeated vote counts once', () => {
    const storage = storageWith(confState(ids(1, 2, 3, 4, 5)));
    const raw = rawNode(1, storage);
    raw.campaign();
    drain(raw, storage);
    for (let i = 0; i < 3; i += 1) raw.step(message('MsgVoteResp', { from: 2, to: 1, term: 2 }));
    expect(raw.basicStatus().role).toBe('candidate');
  });

  it('a server votes for at most one candidate a term, first come first served', () => {
    const storage = storageWith(confState(three));
    const raw = rawNode(1, storage);
    const ask = (from: number): unknown => {
      raw.step(message('MsgVote', { from, to: 1, term: 2, logTerm: 1, index: 2 }));
      return drain(raw, storage).messages.map(({ type, to, reject }) => ({ type, to, reject }));
    };
    expect(ask(2)).toEqual([{ type: 'MsgVoteResp', to: 2, reject: false }]);
    expect(ask(3)).toEqual([{ type: 'MsgVoteResp', to: 3, reject: true }]);
    expect(ask(2)).toEqual([{ type: 'MsgVoteResp', to: 2, reject: false }]);
  });

  it('a candidate recognises a leader of its own term, and of a later one', () => {
    for (const term of [2, 3]) {
      const raw = rawNode(1, storageWith(confState(three)));
      raw.campaign();
      raw.step(message('MsgApp', { from: 2, to: 1, term, logTerm: 1, index: 2 }));
      expect(raw.basicStatus()).toMatchObject({ role: 'follower', term, leader: 2 });
    }
  });

  it('election timeouts are drawn from [electionTick, 2 * electionTick), all of it', () => {
    const storage = storageWith(confState(three));
    const raw = rawNode(1, storage, { electionTick: 10, random: new SeededRandom(7) });
    const seen = new Set<number>();
    for (let round = 0; round < 400; round += 1) {
      const { term } = raw.basicStatus();
      let ticks = 0;
      while (raw.basicStatus().term === term) {
        raw.tick();
        ticks += 1;
      }
      seen.add(ticks);
    }
    expect([...seen].sort((a, b) => a - b)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  it('randomised timeouts keep simultaneous candidacies rare', () => {
    let splits = 0;
    for (let seed = 1; seed <= 500; seed += 1) {
      const nodes = ids(1, 2, 3, 4, 5).map((id) =>
        rawNode(id, storageWith(confState(ids(1, 2, 3, 4, 5))), {
          electionTick: 10,
          random: new SeededRandom(seed * 10 + id),
        }),
      );
      while (nodes.every((raw) => raw.basicStatus().role === 'follower')) nodes.forEach((raw) => raw.tick());
      if (nodes.filter((raw) => raw.basicStatus().role === 'candidate').length > 1) splits += 1;
    }
    // Five draws out of ten values: the smallest is a tie in about a quarter of all cases.
    expect(splits / 500).toBeLessThan(0.35);
  });

  it('a group elects one leader, and another when that one is gone', () => {
    const network = new Network(three);
    network.run(30);
    const first = network.leader?.id ?? toNodeId(0);
    expect(first).not.toBe(0);
    network.isolate(first);
    network.run(60);
    const second = [...network.members.values()].filter(
      (member) => member.role === 'leader' && member.id !== first,
    );
    expect(second).toHaveLength(1);
    network.heal();
    network.run(5);
    expect([...network.members.values()].filter((member) => member.role === 'leader')).toHaveLength(1);
  });
});

describe('Raft paper, 5.4.1: election restriction', () => {
  it.each([
    { own: [1], candidate: [1, 3], grants: true },
    { own: [1], candidate: [2, 3], grants: true },
    { own: [1, 1], candidate: [1, 4], grants: true },
    { own: [1, 1], candidate: [1, 3], grants: false },
    { own: [2], candidate: [1, 3], grants: false },
    { own: [2], candidate: [1, 9], grants: false },
    { own: [2], candidate: [3, 3], grants: true },
  ])(
    'a voter whose log has terms $own answers a candidate at (term, index) $candidate: $grants',
    ({ own, candidate: [logTerm, index], grants }) => {
      const storage = storageWith(confState(three), entries(...own), hardState(3, 0, 2));
      const raw = rawNode(1, storage);
      raw.step(message('MsgVote', { from: 2, to: 1, term: 4, logTerm, index }));
      expect(drain(raw, storage).messages).toMatchObject([{ type: 'MsgVoteResp', reject: !grants }]);
    },
  );

  it('a vote request carries the position and term of the last entry', () => {
    const storage = storageWith(confState(three), entries(1, 2), hardState(2, 0, 2));
    const raw = rawNode(1, storage);
    raw.campaign();
    expect(raw.ready().messages).toMatchObject([
      { type: 'MsgVote', logTerm: 2, index: 4, term: 3 },
      { type: 'MsgVote', logTerm: 2, index: 4, term: 3 },
    ]);
  });

  it('a server that lacks committed entries cannot be elected', () => {
    const network = new Network(three);
    network.elect(1);
    network.isolate(3);
    network.propose('kept');
    network.heal();
    network.member(3).raw.campaign();
    network.settle();
    expect(network.member(3).role).toBe('follower');
    network.elect(2);
    expect(network.leader?.id).toBe(2);
    expect(network.member(3).values).toEqual(['kept']);
  });
});

describe('Raft paper, 5.5 and 5.6: crashes and timing', () => {
  it('a restarted server keeps its term and vote, and starts as a follower', () => {
    const network = new Network(three);
    network.elect(1);
    network.member(2).restart();
    expect(network.member(2).raw.basicStatus()).toMatchObject({
      role: 'follower',
      term: 2,
      vote: 1,
      leader: 0,
    });
  });

  it('safety does not depend on timing: an append repeated and delayed changes nothing', () => {
    const network = new Network(three);
    network.elect(1);
    network.propose('a');
    network.propose('b');
    const appends = network.delivered.filter(({ type, to }) => type === 'MsgApp' && to === 2);
    const before = network.member(2).log;
    for (const old of [...appends].reverse()) network.member(2).raw.step(old);
    network.settle();
    expect(network.member(2).log).toEqual(before);
    network.propose('c');
    expect(network.member(2).values).toEqual(['a', 'b', 'c']);
  });

  it('a proposal without a leader is refused, so that the client can try elsewhere', () => {
    const raw = rawNode(1, storageWith(confState(three)));
    expect(() => raw.propose(bytes('x'))).toThrowError(expect.objectContaining({ code: 'proposalDropped' }));
  });
});
