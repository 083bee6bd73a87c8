import { describe, expect, it } from 'vitest';
import { encodeConfChange, toLogIndex, toNodeId } from '../../src/core/index.ts';
import type { Message } from '../../src/core/index.ts';
import {
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

/* Bugs that consensus libraries have shipped. Those of reads are in reads.test.ts, figure 8 is among the paper's rules. */

const three = ids(1, 2, 3);
const SAFE = { safeguards: true };

describe('votes and acknowledgements', () => {
  it('a vote survives a crash: the restarted voter refuses another candidate of the same term', () => {
    const network = new Network(three);
    const voter = network.member(2);
    voter.raw.step(message('MsgVote', { from: 1, to: 2, term: 2, logTerm: 1, index: 2 }));
    network.work(voter);
    voter.restart();
    voter.raw.step(message('MsgVote', { from: 3, to: 2, term: 2, logTerm: 1, index: 2 }));
    network.inFlight = [];
    network.work(voter);
    expect(network.inFlight).toMatchObject([{ type: 'MsgVoteResp', to: 3, reject: true }]);
  });

  it('append "ABA": the acknowledgement of a write from an older term does not make entries stable', () => {
    const storage = storageWith(confState(three));
    const raw = rawNode(1, storage, { asyncStorageWrites: true });
    const writes: Message[] = [];
    const collect = (): void => {
      while (raw.hasReady()) {
        writes.push(...raw.ready().messages.filter(({ type }) => type === 'MsgStorageAppend'));
      }
    };
    // Entry 3 of term 2, replaced by one of term 3, replaced by the one of term 2 again (sent by a leader of term 4).
    raw.step(
      message('MsgApp', { from: 2, to: 1, term: 2, logTerm: 1, index: 2, entries: [entry(2, 3, 'a')] }),
    );
    collect();
    raw.step(
      message('MsgApp', { from: 3, to: 1, term: 3, logTerm: 1, index: 2, entries: [entry(3, 3, 'b')] }),
    );
    collect();
    raw.step(
      message('MsgApp', {
        from: 2,
        to: 1,
        term: 4,
        logTerm: 1,
        index: 2,
        commit: 3,
        entries: [entry(2, 3, 'a')],
      }),
    );
    collect();
    const finish = (write: Message | undefined): void => {
      storage.append(write?.entries ?? []);
      for (const response of write?.responses.filter(({ to }) => to === 1) ?? []) raw.step(response);
    };
    finish(writes[0]);
    // The disk has the right bytes at this moment, but the second write is still to come and will replace them.
    expect(raw.ready().committedEntries).toEqual([]);
    finish(writes[1]);
    expect(raw.hasReady()).toBe(false);
    finish(writes[2]);
    expect(raw.ready().committedEntries).toMatchObject([{ term: 2, index: 3 }]);
  });

  it('a follower’s acknowledgement of an older term does not move the commit index', () => {
    const network = new Network(three);
    network.elect(1);
    network.isolate(2, 3);
    network.member(1).raw.propose(bytes('x'));
    network.settle();
    const { committed } = network.member(1);
    network.member(1).raw.step(message('MsgAppResp', { from: 2, to: 1, term: 1, index: 4 }));
    expect(network.member(1).committed).toBe(committed);
  });

  it('a heartbeat never carries a commit index beyond what the follower matched', () => {
    const network = new Network(three);
    network.elect(1);
    network.isolate(3);
    for (const value of ['a', 'b', 'c']) network.propose(value);
    const matched = network.member(1).raw.status().progress.get(toNodeId(3))?.match;
    network.tick(1);
    network.work(network.member(1));
    const heartbeats = network.inFlight.filter(({ type }) => type === 'MsgHeartbeat');
    expect(heartbeats.map(({ to, commit }) => [to, commit])).toEqual([
      [2, network.member(1).committed],
      [3, matched],
    ]);
  });

  it('an append whose entries conflict with committed ones is an assertion, not a truncation', () => {
    const raw = rawNode(1, storageWith(confState(three), entries(1, 1), hardState(1, 0, 4)));
    const conflicting = message('MsgApp', {
      from: 2,
      to: 1,
      term: 3,
      logTerm: 1,
      index: 4,
      commit: 9,
      entries: [entry(3, 5)],
    });
    raw.step(conflicting);
    expect(() =>
      raw.step({
        ...conflicting,
        index: toLogIndex(5),
        logTerm: conflicting.term,
        entries: [entry(4, 7)],
        commit: toLogIndex(5),
      }),
    ).toThrowError(/not contiguous/);
    expect(() => raw.step(message('MsgHeartbeat', { from: 2, to: 1, term: 3, commit: 99 }))).toThrowError(
      /cannot commit 99/,
    );
  });
});

describe('membership and snapshots', () => {
  it('an outgoing voter accepts a snapshot of the joint configuration, or the group could be stuck', () => {
    const storage = storageWith(confState(three));
    const raw = rawNode(3, storage);
    const joint = {
      voters: ids(1, 2),
      votersOutgoing: three,
      learners: [],
      learnersNext: [],
      autoLeave: true,
    };
    const snapshot = { metadata: { index: 9, term: 2, confState: joint }, data: bytes('state') };
    raw.step(message('MsgSnap', { from: 1, to: 3, term: 2, snapshot }));
    expect(drain(raw, storage).messages).toMatchObject([{ type: 'MsgAppResp', index: 9, reject: false }]);
    expect(raw.confState()).toEqual(joint);
  });

  it('a newcomer accepts a snapshot from before it was added', () => {
    const network = new Network(three, SAFE);
    network.elect(1);
    network.propose('a');
    compactAt(network.member(1), toLogIndex(network.member(1).committed));
    network.addEmpty(4);
    network.changeMembership(change({ type: 'addNode', nodeId: toNodeId(4) }));
    network.run(3);
    expect(network.member(4).raw.confState().voters).toEqual([1, 2, 3, 4]);
    network.propose('b');
    expect(network.member(4).values).toEqual(['b']);
  });

  it('an old snapshot that arrives late does not take the state back', () => {
    const network = new Network(three);
    network.elect(1);
    network.propose('a');
    const old = compactAt(network.member(1), toLogIndex(network.member(1).committed));
    network.propose('b');
    const before = network.member(3).raw.basicStatus();
    network.member(3).raw.step(message('MsgSnap', { from: 1, to: 3, term: 2, snapshot: old }));
    network.settle();
    expect(network.member(3).raw.basicStatus()).toEqual(before);
    expect(network.member(3).values).toEqual(['a', 'b']);
  });

  it('a restarted node takes every membership change but the last in its log for committed, whatever it persisted', () => {
    const changes = [4, 5, 6].map((id, position) => ({
      ...entry(1, 3 + 2 * position),
      type: 'confChangeV2' as const,
      data: encodeConfChange(change({ type: 'addNode', nodeId: toNodeId(id) })),
    }));
    const log = changes.flatMap((logged) => [logged, entry(1, logged.index + 1)]);
    const raw = rawNode(1, storageWith(confState(three), log, hardState(1, 0, 2)), SAFE);
    expect(raw.basicStatus().committed).toBe(5);
    // It campaigns only when they are applied: under the configuration before the last change, not under an older one.
    raw.campaign();
    expect(raw.basicStatus().role).toBe('follower');
  });

  it('a demoted leader with the longest log does not block the only node that can lead now', () => {
    const demoted = {
      voters: ids(2),
      votersOutgoing: [],
      learners: ids(1),
      learnersNext: [],
      autoLeave: false,
    };
    const leaves = { ...entry(1, 3), type: 'confChangeV2' as const, data: new Uint8Array(0) };
    const joint = {
      voters: ids(2),
      votersOutgoing: ids(1, 2),
      learners: [],
      learnersNext: ids(1),
      autoLeave: true,
    };
    const network = new Network([]);
    // Node 1 has applied that it is a learner now, and has entries that nobody else got. Node 2 has the change, but does
    // not know that it is committed, so it still needs the vote of node 1.
    network.add(
      toNodeId(1),
      storageWith(demoted, [entry(1, 3), entry(1, 4), entry(1, 5)], hardState(1, 1, 3)),
      SAFE,
    );
    network.add(toNodeId(2), storageWith(joint, [leaves], hardState(1, 1, 2)), SAFE);
    network.run(60);
    expect(network.leader?.id).toBe(2);
    expect(network.member(2).raw.confState()).toEqual(demoted);
  });

  it('a node that is restoring a snapshot does not campaign before that is done', () => {
    const storage = storageWith(confState(three));
    const raw = rawNode(1, storage);
    const snapshot = { metadata: { index: 9, term: 2, confState: confState(three) }, data: bytes('state') };
    raw.step(message('MsgSnap', { from: 2, to: 1, term: 2, snapshot }));
    raw.campaign();
    expect(raw.basicStatus().role).toBe('follower');
    drain(raw, storage);
    raw.campaign();
    expect(raw.basicStatus().role).toBe('candidate');
  });

  it('a node with a committed membership change that it has not applied does not campaign', () => {
    const network = new Network(three);
    network.elect(1);
    network.member(1).raw.proposeConfChange(change({ type: 'removeNode', nodeId: toNodeId(2) }));
    network.settle();
    const { storage } = network.member(3);
    const restarted = rawNode(3, storage);
    restarted.campaign();
    for (let tick = 0; tick < 50; tick += 1) restarted.tick();
    expect(restarted.basicStatus()).toMatchObject({ role: 'follower', term: 2 });
    drain(restarted, storage);
    restarted.campaign();
    expect(restarted.basicStatus().role).toBe('candidate');
  });
});

describe('a follower never stays stuck', () => {
  it('in probing, when the probe was lost: the next heartbeat’s answer brings another', () => {
    const network = new Network(three);
    network.elect(1);
    network.member(1).raw.reportUnreachable(toNodeId(3));
    network.isolate(3);
    network.propose('a');
    network.heal();
    network.run(2);
    expect(network.member(3).values).toEqual(['a']);
  });

  it('with a full window of lost appends', () => {
    const network = new Network(three, { maxInflightMessages: 2 });
    network.elect(1);
    network.isolate(3);
    for (let i = 0; i < 6; i += 1) network.propose(`value ${i}`);
    network.heal();
    network.run(4);
    expect(network.member(3).values).toHaveLength(6);
  });

  it('in the snapshot state, when the snapshot arrived but its acknowledgement was lost', () => {
    const network = new Network(three);
    network.elect(1);
    network.isolate(3);
    network.propose('a');
    compactAt(network.member(1), toLogIndex(network.member(1).committed));
    network.only(({ type, from, reject }) => !(type === 'MsgAppResp' && from === 3 && !reject));
    network.run(2);
    expect(network.member(3).storage.firstIndex()).toBeGreaterThan(3);
    network.heal();
    network.member(1).raw.reportSnapshot(toNodeId(3), 'finished');
    network.propose('b');
    network.run(2);
    expect(network.member(3).values).toEqual(['b']);
  });
});

describe('one-way partitions', () => {
  /** The six directed links of three nodes. */
  const links = [
    [1, 2],
    [1, 3],
    [2, 1],
    [2, 3],
    [3, 1],
    [3, 2],
  ] as const;

  it('under each of the 64 masks at most one leader a term, and after healing a leader that commits', () => {
    for (let mask = 0; mask < 64; mask += 1) {
      const network = new Network(three, { preVote: true, checkQuorum: true, electionTick: 10 });
      network.elect(1);
      const cut = links.filter((_, bit) => (mask & (1 << bit)) !== 0);
      network.only((sent) => !cut.some(([from, to]) => sent.from === from && sent.to === to));
      const leaders = new Map<number, number>();
      for (let tick = 0; tick < 100; tick += 1) {
        network.run(1);
        for (const member of network.members.values()) {
          if (member.role !== 'leader') continue;
          expect(leaders.get(member.term) ?? member.id, `mask ${mask}`).toBe(member.id);
          leaders.set(member.term, member.id);
        }
      }
      network.heal();
      network.run(60);
      network.propose(`after ${mask}`);
      network.run(2);
      for (const member of network.members.values())
        expect(member.values, `mask ${mask}`).toContain(`after ${mask}`);
    }
  });

  it('a node that hears the others but is not heard does not depose the leader', () => {
    const network = new Network(three, { preVote: true, checkQuorum: true, electionTick: 10 });
    network.elect(1);
    network.only(({ from }) => from !== 3);
    network.run(100);
    network.heal();
    network.run(30);
    expect(network.member(1)).toMatchObject({ role: 'leader', term: 2 });
  });

  it('a node that is heard but does not hear the others does not raise the term', () => {
    const network = new Network(three, { preVote: true, checkQuorum: true, electionTick: 10 });
    network.elect(1);
    network.only(({ to, from }) => to !== 3 || from === 3);
    network.run(100);
    expect(network.member(1)).toMatchObject({ role: 'leader', term: 2 });
  });
});

describe('messages that should not come', () => {
  it('local message types are refused from the network', () => {
    const raw = rawNode(1, storageWith(confState(three)));
    for (const type of [
      'MsgHup',
      'MsgBeat',
      'MsgUnreachable',
      'MsgSnapStatus',
      'MsgCheckQuorum',
      'MsgStorageApplyResp',
    ] as const) {
      expect(() => raw.step(message(type, { from: 2, to: 1 }))).toThrowError(
        expect.objectContaining({ code: 'localMessage' }),
      );
    }
  });

  it('answers of strangers are refused', () => {
    const raw = rawNode(1, storageWith(confState(three)));
    expect(() => raw.step(message('MsgAppResp', { from: 9, to: 1, term: 1, index: 2 }))).toThrowError(
      expect.objectContaining({ code: 'unknownPeer' }),
    );
  });
});
