import { describe, expect, it } from 'vitest';
import { sortedIds, toLogIndex, toNodeId } from '../../src/core/index.ts';
import { EMPTY_CONFIG, Progress, ProgressTracker } from '../../src/core/tracker/index.ts';
import type { TrackerConfig } from '../../src/core/tracker/index.ts';
import { ids } from './network.ts';

const at = toLogIndex;
const of = toNodeId;

interface Members {
  readonly voters: readonly number[];
  readonly outgoing?: readonly number[];
  readonly learners?: readonly number[];
}

function trackerOf({ voters, outgoing = [], learners = [] }: Members): ProgressTracker {
  const tracker = new ProgressTracker(4, 100);
  const config: TrackerConfig = {
    voters: { incoming: ids(...voters), outgoing: ids(...outgoing) },
    autoLeave: false,
    learners: ids(...learners),
    learnersNext: [],
  };
  const members = [...new Set([...learners, ...voters, ...outgoing])];
  const progress = members.map((id): [ReturnType<typeof of>, Progress] => [
    of(id),
    new Progress(at(1), tracker.newInflights(), learners.includes(id)),
  ]);
  tracker.install(config, new Map(progress));
  return tracker;
}

function acknowledge(tracker: ProgressTracker, matches: Readonly<Record<number, number>>): void {
  for (const [id, match] of Object.entries(matches)) tracker.get(of(Number(id)))?.maybeUpdate(at(match));
}

describe('membership', () => {
  it('is empty at first, and nobody is known', () => {
    const tracker = new ProgressTracker(4, 100);
    expect(tracker.config).toEqual(EMPTY_CONFIG);
    expect(tracker.ids).toEqual([]);
    expect(tracker.get(of(1))).toBeUndefined();
    expect(tracker.ackedIndex(of(1))).toBeUndefined();
  });

  it('lists voters and learners in ascending order, in whatever order they were installed', () => {
    expect(trackerOf({ voters: [1, 5, 10], learners: [2, 7] }).ids).toEqual(ids(1, 2, 5, 7, 10));
  });

  it('windows have the limits of the tracker', () => {
    const window = new ProgressTracker(1, 100).newInflights();
    window.add(at(1), 1);
    expect(window.full()).toBe(true);
    const small = new ProgressTracker(10, 100).newInflights();
    small.add(at(1), 100);
    expect(small.full()).toBe(true);
  });
});

describe('the committed index', () => {
  it('is what a majority of the voters has acknowledged; learners do not count', () => {
    const tracker = trackerOf({ voters: [1, 2, 3], learners: [4, 5] });
    acknowledge(tracker, { 1: 9, 4: 9, 5: 9 });
    expect(tracker.committed()).toBe(0);
    acknowledge(tracker, { 2: 7 });
    expect(tracker.committed()).toBe(7);
  });

  it('takes a majority of both halves of a joint configuration', () => {
    const tracker = trackerOf({ voters: [1, 2, 3], outgoing: [3, 4, 5] });
    acknowledge(tracker, { 1: 9, 2: 9, 3: 9 });
    expect(tracker.committed()).toBe(0);
    acknowledge(tracker, { 4: 6 });
    expect(tracker.committed()).toBe(6);
  });
});

describe('votes', () => {
  it('are counted once for each voter: the first answer stays', () => {
    const tracker = trackerOf({ voters: [1, 2, 3] });
    tracker.recordVote(of(1), true);
    tracker.recordVote(of(2), false);
    tracker.recordVote(of(2), true);
    expect(tracker.tallyVotes()).toEqual({ granted: 1, rejected: 1, result: 'pending' });
    tracker.recordVote(of(3), true);
    expect(tracker.tallyVotes()).toEqual({ granted: 2, rejected: 1, result: 'won' });
    tracker.resetVotes();
    expect(tracker.tallyVotes()).toEqual({ granted: 0, rejected: 0, result: 'pending' });
  });

  it('of learners and strangers do not count', () => {
    const tracker = trackerOf({ voters: [1, 2, 3], learners: [4] });
    for (const id of [1, 4, 9]) tracker.recordVote(of(id), true);
    expect(tracker.tallyVotes()).toEqual({ granted: 1, rejected: 0, result: 'pending' });
  });

  it('are lost as soon as one half of a joint configuration cannot agree any more', () => {
    const tracker = trackerOf({ voters: [1, 2, 3], outgoing: [3, 4, 5] });
    for (const id of [1, 2, 3]) tracker.recordVote(of(id), true);
    for (const id of [4, 5]) tracker.recordVote(of(id), false);
    expect(tracker.tallyVotes()).toEqual({ granted: 3, rejected: 2, result: 'lost' });
  });
});

describe('activity', () => {
  it('of a quorum of voters is what counts, not that of learners', () => {
    const tracker = trackerOf({ voters: [1, 2, 3], learners: [4, 5] });
    const heard = (id: number): void => {
      const progress = tracker.get(of(id));
      if (progress !== undefined) progress.recentActive = true;
    };
    for (const id of [1, 4, 5]) heard(id);
    expect(tracker.quorumActive()).toBe(false);
    heard(2);
    expect(tracker.quorumActive()).toBe(true);
  });
});

it('starting anew keeps who is a member and who a learner, and only the own log is known', () => {
  const tracker = trackerOf({ voters: [1, 2], learners: [3] });
  acknowledge(tracker, { 1: 5, 2: 5, 3: 5 });
  const before = tracker.get(of(2));
  before?.becomeReplicate();
  tracker.resetProgress(of(1), at(8), at(9));
  const found = tracker.ids.map((id) => tracker.get(id)?.status());
  expect(found).toMatchObject([
    { match: 8, next: 9, state: 'probe', isLearner: false },
    { match: 0, next: 9, state: 'probe', isLearner: false },
    { match: 0, next: 9, state: 'probe', isLearner: true },
  ]);
  expect(before?.status()).toMatchObject({ match: 5, state: 'replicate' });
  expect(tracker.ids).toEqual(sortedIds(ids(3, 2, 1)));
});
