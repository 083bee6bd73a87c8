import { minIndex } from '../ids.ts';
import type { LogIndex, NodeId } from '../types.ts';
import { majorityCommittedIndex, majorityVoteResult } from './majority.ts';
import type { AckedIndexer, MajorityConfig, VoteResult, Votes } from './majority.ts';

/**
 * Two majorities that must both agree (paper, section 6; thesis 4.3). Outside of a membership change the outgoing
 * half is empty, and then it agrees to everything.
 */
export interface JointConfig {
  /** The new half, or the only one. */
  readonly incoming: MajorityConfig;
  /** The old half; empty outside of a membership change. */
  readonly outgoing: MajorityConfig;
}

/** What both halves have committed. */
export function jointCommittedIndex(config: JointConfig, acked: AckedIndexer): LogIndex {
  const incoming = majorityCommittedIndex(config.incoming, acked);
  if (config.outgoing.length === 0) return incoming;
  return minIndex(incoming, majorityCommittedIndex(config.outgoing, acked));
}

/** Won when both halves are won, lost as soon as one is. */
export function jointVoteResult(config: JointConfig, votes: Votes): VoteResult {
  const incoming = majorityVoteResult(config.incoming, votes);
  const outgoing = majorityVoteResult(config.outgoing, votes);
  if (incoming === outgoing) return incoming;
  return incoming === 'lost' || outgoing === 'lost' ? 'lost' : 'pending';
}

/** Voters of either half, sorted by id. */
export function jointVoters(config: JointConfig): readonly NodeId[] {
  if (config.outgoing.length === 0) return config.incoming;
  return sortedIds([...config.incoming, ...config.outgoing]);
}

/** The ids in ascending order, each once: the form in which this library keeps all sets of nodes. */
export function sortedIds(ids: Iterable<NodeId>): readonly NodeId[] {
  return [...new Set(ids)].sort((a, b) => a - b);
}
