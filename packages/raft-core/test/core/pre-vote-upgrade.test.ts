import { describe, expect, it } from 'vitest';
import { ids, Network, confState, storageWith, entries, hardState } from './network.ts';
import type { Member } from './network.ts';

/**
 * A group of which some nodes ask for pre-votes already and some do not yet, as during a rolling upgrade (thesis 9.6
 * describes only groups that are of one mind).
 */
function mixed(
  withPreVote: readonly number[],
  logs: Readonly<Record<number, readonly number[]>>,
  terms: Readonly<Record<number, number>>,
): Network {
  const voters = ids(1, 2, 3);
  const network = new Network([]);
  for (const id of voters) {
    const storage = storageWith(
      confState(voters),
      entries(...(logs[id] ?? [])),
      hardState(terms[id] ?? 1, 0, 2),
    );
    network.add(id, storage, { preVote: withPreVote.includes(id), electionTick: 10 });
  }
  return network;
}

function leaders(network: Network): readonly Member[] {
  return [...network.members.values()].filter((member) => member.role === 'leader');
}

describe('upgrade to pre-votes, node by node', () => {
  it.each([[[1]], [[1, 2]], [[1, 2, 3]], [[]]])(
    'with pre-votes on %s the group elects a leader',
    (withPreVote) => {
      const network = mixed(withPreVote, {}, {});
      network.run(100);
      expect(leaders(network)).toHaveLength(1);
      network.propose('x');
      for (const member of network.members.values()) expect(member.values).toEqual(['x']);
    },
  );

  it('an old node with a higher term but a shorter log does not keep a new one from being elected', () => {
    // Node 3 has campaigned in vain; nodes 1 and 2 have the entries, lower terms, and ask for pre-votes.
    const network = mixed([1, 2], { 1: [1, 1], 2: [1, 1], 3: [] }, { 1: 1, 2: 1, 3: 7 });
    network.isolate(2);
    // Without an answer to its pre-vote of a lower term node 1 would wait for ever: node 3 cannot win, and node 1 does not
    // learn of the higher term.
    network.run(200);
    expect(leaders(network).map(({ id }) => id)).toEqual([1]);
    expect(network.member(1).term).toBeGreaterThan(7);
    network.propose('x');
    expect(network.member(3).values).toContain('x');
  });

  it('a rejected pre-vote of a lower term tells the candidate the higher term', () => {
    const network = mixed([1], { 1: [1], 3: [] }, { 1: 1, 3: 5 });
    network.isolate(2);
    network.member(1).raw.campaign();
    network.settle();
    expect(network.member(1)).toMatchObject({ term: 5, role: 'follower' });
  });

  it('nodes restarted one by one with pre-votes keep their leader’s log', () => {
    const voters = ids(1, 2, 3);
    const network = new Network(voters, { electionTick: 10 });
    network.elect(1);
    network.propose('before');
    for (const id of voters) {
      const { storage } = network.member(id);
      network.members.delete(id);
      network.run(40);
      network.propose(`without ${id}`);
      network.add(id, storage, { preVote: true, electionTick: 10 });
      network.run(60);
      expect(leaders(network)).toHaveLength(1);
    }
    network.propose('after');
    for (const member of network.members.values()) {
      expect(member.values).toEqual(['before', 'without 1', 'without 2', 'without 3', 'after']);
    }
  });
});
