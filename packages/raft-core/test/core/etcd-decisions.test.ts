import { describe, expect, it } from 'vitest';
import { encodeConfChange, toLogIndex, toNodeId } from '../../src/core/index.ts';
import {
  bytes,
  change,
  confState,
  entries,
  entry,
  hardState,
  ids,
  message,
  Network,
  rawNode,
  storageWith,
  text,
} from './network.ts';
import type { Member } from './network.ts';

/*
 * Without `safeguards` the core decides as etcd's library does, also where that leaves something to its caller. What can
 * be seen in scripts is in `scripts/`; this is the rest.
 */

const three = ids(1, 2, 3);

function answers(member: Member): readonly (readonly [string, number])[] {
  return member.reads.map(({ index, requestContext }) => [text(requestContext), index] as const);
}

describe('without safeguards, as in etcd’s library', () => {
  it('a group of one answers reads with the commit index that it has, whatever its term', () => {
    const network = new Network([]);
    const storage = storageWith(confState(ids(1)), entries(1, 1), hardState(1, 0, 2));
    const single = network.add(toNodeId(1), storage);
    single.raw.campaign();
    const vote = single.raw.ready();
    single.storage.setHardState(vote.hardState ?? hardState(0, 0, 0));
    single.raw.advance();
    single.raw.readIndex(bytes('r'));
    network.settle();
    expect(answers(single)).toEqual([['r', 2]]);
  });

  it('reads by lease are answered at once, by whoever thinks that it leads', () => {
    const network = new Network(three, { checkQuorum: true, readOnlyOption: 'leaseBased' });
    const leader = network.elect(1);
    network.isolate(1);
    leader.raw.voidLease();
    leader.raw.transferLeader(toNodeId(2));
    leader.raw.readIndex(bytes('r'));
    network.settle();
    expect(answers(leader)).toEqual([['r', leader.committed]]);
  });

  it('heartbeats of a leader with a lease ask for nothing', () => {
    const network = new Network(three, { checkQuorum: true, readOnlyOption: 'leaseBased' });
    network.elect(1);
    network.run(2);
    const heartbeats = network.delivered.filter(({ type }) => type === 'MsgHeartbeat');
    expect(heartbeats.length).toBeGreaterThan(0);
    expect(heartbeats.every(({ context }) => context.length === 0)).toBe(true);
  });

  it('a restarted voter votes at once', () => {
    const options = { checkQuorum: true, readOnlyOption: 'leaseBased' } as const;
    const raw = rawNode(1, storageWith(confState(three), entries(1), hardState(1, 2, 3)), options);
    raw.step(message('MsgVote', { from: 3, to: 1, term: 2, logTerm: 1, index: 3 }));
    expect(raw.ready().messages).toMatchObject([{ type: 'MsgVoteResp', to: 3, reject: false }]);
  });

  it('an answer to a later round of heartbeats does not count for an earlier one', () => {
    const network = new Network(ids(1, 2, 3, 4, 5));
    const leader = network.elect(1);
    network.only(({ type, to, from }) => type.startsWith('MsgHeartbeat') && (to === 2 || from === 2));
    leader.raw.readIndex(bytes('first'));
    network.settle();
    network.only(({ type, to, from }) => type.startsWith('MsgHeartbeat') && (to === 3 || from === 3));
    leader.raw.readIndex(bytes('second'));
    network.settle();
    expect(leader.reads).toEqual([]);
    network.heal();
    network.run(1);
    expect(answers(leader).map(([context]) => context)).toEqual(['first', 'second']);
  });

  it('reads that waited for a commit are answered when the node leads again', () => {
    const network = new Network(three);
    network.only(({ type }) => !type.startsWith('MsgApp'));
    const leader = network.elect(1);
    leader.raw.readIndex(bytes('r'));
    network.member(2).raw.campaign();
    network.heal();
    network.settle();
    network.elect(1);
    network.run(2);
    expect(answers(leader).map(([context]) => context)).toEqual(['r']);
  });

  it('a restarted node takes for committed what it kept as committed, and nothing else', () => {
    const changes = [4, 5].map((id, position) => ({
      ...entry(1, 3 + position),
      type: 'confChangeV2' as const,
      data: encodeConfChange(change({ type: 'addNode', nodeId: toNodeId(id) })),
    }));
    const raw = rawNode(1, storageWith(confState(three), changes, hardState(1, 0, 2)));
    expect(raw.basicStatus().committed).toBe(2);
  });

  it('whoever rejects a vote tells nothing but that', () => {
    const log = [entry(1, 3), entry(1, 4)];
    const raw = rawNode(1, storageWith(confState(ids(2), ids(1)), log, hardState(1, 0, 4)));
    raw.step(message('MsgVote', { from: 2, to: 1, term: 2, logTerm: 1, index: 3 }));
    expect(raw.ready().messages).toMatchObject([{ reject: true, context: bytes('') }]);
    const candidate = rawNode(2, storageWith(confState(three), log, hardState(1, 0, 2)));
    candidate.campaign();
    candidate.ready();
    candidate.advance();
    const hinted = rawNode(1, storageWith(confState(ids(2), ids(1)), log, hardState(1, 0, 4)), {
      safeguards: true,
    });
    hinted.step(message('MsgVote', { from: 2, to: 1, term: 2, logTerm: 1, index: 3 }));
    const [rejection] = hinted.ready().messages;
    if (rejection === undefined) throw new Error('the vote was not answered');
    candidate.step(rejection);
    expect(candidate.basicStatus()).toMatchObject({ role: 'candidate', committed: 2 });
  });
});

describe('a proposal of several entries', () => {
  it('is refused as a whole when one of them should be a membership change and is none', () => {
    const network = new Network(three);
    const leader = network.elect(1);
    const before = leader.raw.basicStatus();
    const add = { ...entry(0, 0), type: 'confChange' as const };
    const batch = message('MsgProp', {
      from: 2,
      to: 1,
      entries: [
        { ...add, data: encodeConfChange(change({ type: 'addLearnerNode', nodeId: toNodeId(4) })) },
        { ...add, data: Uint8Array.of(255) },
      ],
    });
    expect(() => leader.raw.step(batch)).toThrowError(
      expect.objectContaining({ code: 'malformedConfChange' }),
    );
    expect(leader.raw.basicStatus()).toEqual(before);
    // Nothing is pending that would keep the next change out.
    network.changeMembership(change({ type: 'addLearnerNode', nodeId: toNodeId(5) }));
    expect(leader.raw.confState().learners).toEqual([5]);
    expect(leader.committed).toBe(toLogIndex(before.committed + 1));
  });
});
