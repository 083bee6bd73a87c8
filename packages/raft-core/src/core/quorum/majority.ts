import { NO_INDEX, UNBOUNDED_INDEX } from '../ids.ts';
import type { LogIndex, NodeId } from '../types.ts';

/** A set of voters of which a majority decides. Sorted by id, without repeats. */
export type MajorityConfig = readonly NodeId[];

/** Where the arithmetic looks up what a voter has acknowledged. */
export interface AckedIndexer {
  /** The highest index that the voter acknowledged, `undefined` when nothing was heard from it. */
  ackedIndex(id: NodeId): LogIndex | undefined;
}

/** Where the arithmetic looks up how a voter voted. */
export interface Votes {
  /** `undefined` when the voter has not answered yet. */
  get(id: NodeId): boolean | undefined;
}

/** Outcome of an election so far. `pending`: it still depends on votes that are not in. */
export type VoteResult = 'pending' | 'lost' | 'won';

/** Voters needed for a majority of `size`. */
export function majorityOf(size: number): number {
  return Math.floor(size / 2) + 1;
}

/**
 * The highest index that a majority has acknowledged (paper, 5.3). {@link UNBOUNDED_INDEX} for no voters, so that an
 * empty half of a joint configuration does not hold the other back.
 */
export function majorityCommittedIndex(config: MajorityConfig, acked: AckedIndexer): LogIndex {
  const size = config.length;
  if (size === 0) return UNBOUNDED_INDEX;
  if (size === 1) return ackedOrZero(config, 0, acked);
  if (size === 3) {
    return medianOfThree(
      ackedOrZero(config, 0, acked),
      ackedOrZero(config, 1, acked),
      ackedOrZero(config, 2, acked),
    );
  }
  // Insertion sort: configurations are tiny, and this runs for every acknowledgement.
  const sorted: LogIndex[] = [];
  for (let i = 0; i < size; i += 1) {
    const index = ackedOrZero(config, i, acked);
    let at = i;
    for (; at > 0; at -= 1) {
      const left = sorted[at - 1] ?? NO_INDEX;
      if (left <= index) break;
      sorted[at] = left;
    }
    sorted[at] = index;
  }
  // Ascending: everything from here on, a majority, has at least this index.
  return sorted[size - majorityOf(size)] ?? NO_INDEX;
}

/** Counts the votes of one majority. An empty one is always won: it must not stand in the way of the other half. */
export function majorityVoteResult(config: MajorityConfig, votes: Votes): VoteResult {
  if (config.length === 0) return 'won';
  let granted = 0;
  let missing = 0;
  for (let i = 0; i < config.length; i += 1) {
    const id = config[i];
    const vote = id === undefined ? undefined : votes.get(id);
    if (vote === undefined) missing += 1;
    else if (vote) granted += 1;
  }
  const needed = majorityOf(config.length);
  if (granted >= needed) return 'won';
  return granted + missing >= needed ? 'pending' : 'lost';
}

function ackedOrZero(config: MajorityConfig, position: number, acked: AckedIndexer): LogIndex {
  const id = config[position];
  return (id === undefined ? undefined : acked.ackedIndex(id)) ?? NO_INDEX;
}

function medianOfThree(a: LogIndex, b: LogIndex, c: LogIndex): LogIndex {
  if (a > b) {
    if (b > c) return b;
    return a > c ? c : a;
  }
  if (a > c) return a;
  return b > c ? c : b;
}
