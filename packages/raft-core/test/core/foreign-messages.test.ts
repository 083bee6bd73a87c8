import { describe, expect, it } from 'vitest';
import { entry, ids, message, Network } from './network.ts';

describe('what other nodes send', () => {
  it.each([1, 2])('a proposal without entries is refused by a leader and by a follower (node %i)', (id) => {
    const network = new Network(ids(1, 2, 3));
    network.elect(1);
    const { raw } = network.member(id);
    expect(() => raw.step(message('MsgProp', { from: 3, to: id }))).toThrowError(
      expect.objectContaining({ code: 'proposalDropped', reason: 'emptyProposal' }),
    );
    raw.step(message('MsgProp', { from: 3, to: id, entries: [entry(0, 0, 'a')] }));
    network.settle();
    expect(network.member(1).values).toEqual(['a']);
  });

  it('a request to transfer leadership passes over a follower, whoever forwarded it', () => {
    const network = new Network(ids(1, 2, 3));
    network.elect(1);
    const { term } = network.member(1).raw.status();
    network.member(2).raw.step(message('MsgTransferLeader', { from: 3, to: 2, term }));
    network.settle();
    expect(network.member(3).raw.status().role).toBe('leader');
  });
});
