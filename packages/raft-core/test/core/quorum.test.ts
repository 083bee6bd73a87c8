import { describe, expect, it } from 'vitest';
import {
  jointCommittedIndex,
  jointVoteResult,
  majorityCommittedIndex,
  majorityOf,
  majorityVoteResult,
  SeededRandom,
  sortedIds,
  toLogIndex,
  toNodeId,
  UNBOUNDED_INDEX,
} from '../../src/core/index.ts';
import type {
  AckedIndexer,
  JointConfig,
  LogIndex,
  MajorityConfig,
  NodeId,
  VoteResult,
} from '../../src/core/index.ts';

/** A second implementation, as close to the definition as can be and without an eye on speed. */
function naiveCommitted(config: MajorityConfig, acks: ReadonlyMap<NodeId, LogIndex>): number {
  if (config.length === 0) return UNBOUNDED_INDEX;
  let best = 0;
  for (let index = 0; index <= 12; index += 1) {
    const behind = config.filter((id) => (acks.get(id) ?? 0) >= index).length;
    if (behind * 2 > config.length) best = index;
  }
  return best;
}

/** Tries out every way in which the missing votes could still be cast. */
function naiveVote(config: MajorityConfig, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  if (config.length === 0) return 'won';
  const missing = config.filter((id) => !votes.has(id));
  const outcomes = new Set<boolean>();
  for (let mask = 0; mask < 2 ** missing.length; mask += 1) {
    const yes = config.filter((id) => votes.get(id) ?? (mask & (1 << missing.indexOf(id))) !== 0).length;
    outcomes.add(yes * 2 > config.length);
  }
  if (outcomes.size === 2) return 'pending';
  return outcomes.has(true) ? 'won' : 'lost';
}

function naiveJointVote(config: JointConfig, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const halves = [naiveVote(config.incoming, votes), naiveVote(config.outgoing, votes)];
  if (halves.includes('lost')) return 'lost';
  return halves.includes('pending') ? 'pending' : 'won';
}

function indexer(acks: ReadonlyMap<NodeId, LogIndex>): AckedIndexer {
  return { ackedIndex: (id) => acks.get(id) };
}

function randomConfig(random: SeededRandom): MajorityConfig {
  const size = random.nextInt(8);
  return sortedIds(Array.from({ length: size }, () => toNodeId(1 + random.nextInt(9))));
}

describe('quorum arithmetic', () => {
  it('agrees with a naive second implementation on 50,000 random configurations', () => {
    const random = new SeededRandom(1);
    for (let round = 0; round < 50_000; round += 1) {
      const config: JointConfig = { incoming: randomConfig(random), outgoing: randomConfig(random) };
      const acks = new Map<NodeId, LogIndex>();
      const votes = new Map<NodeId, boolean>();
      for (const id of new Set([...config.incoming, ...config.outgoing])) {
        if (random.nextInt(4) > 0) acks.set(id, toLogIndex(random.nextInt(12)));
        if (random.nextInt(3) > 0) votes.set(id, random.nextInt(2) === 0);
      }
      const incoming = naiveCommitted(config.incoming, acks);
      const outgoing = naiveCommitted(config.outgoing, acks);
      const actual = [
        majorityCommittedIndex(config.incoming, indexer(acks)),
        jointCommittedIndex(config, indexer(acks)),
        majorityVoteResult(config.incoming, votes),
        jointVoteResult(config, votes),
      ];
      const expected = [
        incoming,
        Math.min(incoming, outgoing),
        naiveVote(config.incoming, votes),
        naiveJointVote(config, votes),
      ];
      // One comparison a round keeps 50,000 rounds fast; the message names the round that failed.
      if (JSON.stringify(actual) !== JSON.stringify(expected)) {
        expect({ round, config, acks: [...acks], votes: [...votes], actual }).toEqual({ expected });
      }
    }
  });

  it('any two majorities of a set overlap', () => {
    for (let size = 1; size <= 9; size += 1) expect(majorityOf(size) * 2).toBeGreaterThan(size);
  });

  it('an empty half of a joint configuration agrees to everything', () => {
    const config: JointConfig = { incoming: [toNodeId(1)], outgoing: [] };
    const acks = new Map([[toNodeId(1), toLogIndex(7)]]);
    expect(jointCommittedIndex(config, indexer(acks))).toBe(7);
    expect(jointVoteResult(config, new Map([[toNodeId(1), true]]))).toBe('won');
    expect(majorityCommittedIndex([], indexer(acks))).toBe(UNBOUNDED_INDEX);
  });
});
