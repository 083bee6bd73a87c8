import { describe, expect, it } from 'vitest';
import { isRaftCoreError, toLogIndex, toNodeId } from '../../src/core/index.ts';
import type { ConfChangeSingle, ConfChangeType } from '../../src/core/index.ts';
import { Changer } from '../../src/core/confchange/index.ts';
import type { ChangedConfig } from '../../src/core/confchange/index.ts';
import { EMPTY_CONFIG, ProgressTracker } from '../../src/core/tracker/index.ts';
import { ids } from './network.ts';

const LAST_INDEX = toLogIndex(7);
const VERBS: Readonly<Record<string, ConfChangeType>> = {
  v: 'addNode',
  l: 'addLearnerNode',
  r: 'removeNode',
  u: 'updateNode',
};

/** `v1 l2 r3`: make 1 a voter, 2 a learner, remove 3; `u4` updates 4. */
function changes(text: string): readonly ConfChangeSingle[] {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => ({
      type: VERBS[word.charAt(0)] ?? 'updateNode',
      nodeId: toNodeId(Number(word.slice(1))),
    }));
}

function install(tracker: ProgressTracker, changed: ChangedConfig): ProgressTracker {
  tracker.install(changed.config, changed.progress);
  return tracker;
}

/** A group reached by adding one member after the other. */
function groupOf(text: string): ProgressTracker {
  const tracker = new ProgressTracker(10, 0);
  for (const change of changes(text)) install(tracker, new Changer(tracker, LAST_INDEX).simple([change]));
  return tracker;
}

function changer(tracker: ProgressTracker): Changer {
  return new Changer(tracker, LAST_INDEX);
}

/** The group in the joint configuration of these changes. */
function jointOf(group: string, change: string, autoLeave = false): ProgressTracker {
  const tracker = groupOf(group);
  return install(tracker, changer(tracker).enterJoint(autoLeave, changes(change)));
}

function reasonOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (isRaftCoreError(error, 'invalidConfChange')) return error.reason;
    throw error;
  }
  return 'accepted';
}

/** Sorted members in short: incoming, outgoing, learners, staged learners. */
function shape({ config }: Pick<ChangedConfig, 'config'>) {
  const { voters, learners, learnersNext } = config;
  return [voters.incoming, voters.outgoing, learners, learnersNext];
}

describe('a simple change', () => {
  it.each([
    ['adds a voter', 'v1', 'v2', [1, 2], []],
    ['adds a learner', 'v1', 'l2', [1], [2]],
    ['promotes a learner', 'v1 l2', 'v2', [1, 2], []],
    ['demotes a voter', 'v1 v2', 'l2', [1], [2]],
    ['removes a voter', 'v1 v2', 'r2', [1], []],
    ['removes a learner', 'v1 l2', 'r2', [1], []],
    ['moves any number of learners', 'v1 l2', 'l3 l4 r2', [1], [3, 4]],
    ['that comes to nothing', 'v1', 'v2 r2', [1], []],
    ['of members that are as it says', 'v1 l2', 'v1 l2', [1], [2]],
    ['updates or removes strangers, or names nobody', 'v1', 'u1 r9 v0 l0', [1], []],
  ])('%s', (_what, group, change, voters, learners) => {
    const changed = changer(groupOf(group)).simple(changes(change));
    expect(shape(changed)).toEqual([ids(...voters), [], ids(...learners), []]);
    expect([...changed.progress.keys()].sort()).toEqual(ids(...voters, ...learners));
    for (const [id, progress] of changed.progress) expect(progress.isLearner).toBe(learners.includes(id));
  });

  it.each([
    ['two voters at a time', 'v1', 'v2 v3', 'multipleVoters'],
    ['a voter for another', 'v1 v2', 'r2 v3', 'multipleVoters'],
    ['the last voter', 'v1', 'r1', 'removesAllVoters'],
    ['the last voter, though learners stay', 'v1 l2', 'l1', 'removesAllVoters'],
  ])('does not move %s', (_what, group, change, reason) => {
    expect(reasonOf(() => changer(groupOf(group)).simple(changes(change)))).toBe(reason);
  });

  it('is refused in a joint configuration', () => {
    expect(reasonOf(() => changer(jointOf('v1', 'v2')).simple(changes('l3')))).toBe('simpleInJoint');
  });

  it('begins a group only with a voter', () => {
    const empty = new ProgressTracker(10, 0);
    expect(shape(changer(empty).simple(changes('v1')))).toEqual([ids(1), [], [], []]);
    expect(reasonOf(() => changer(empty).simple(changes('l1')))).toBe('removesAllVoters');
    expect(empty.config).toEqual(EMPTY_CONFIG);
  });
});

describe('entering a joint configuration', () => {
  it('keeps the voters of before as the outgoing half', () => {
    const tracker = jointOf('v1 v2 v3', 'r1 v4 l5', true);
    expect(shape(tracker)).toEqual([ids(2, 3, 4), ids(1, 2, 3), ids(5), []]);
    expect(tracker.config.autoLeave).toBe(true);
    expect(tracker.ids).toEqual(ids(1, 2, 3, 4, 5));
  });

  it('stages a voter that is to become a learner: it votes in the outgoing half until that is gone', () => {
    const tracker = jointOf('v1 v2', 'l2');
    expect(shape(tracker)).toEqual([ids(1), ids(1, 2), [], ids(2)]);
    expect(tracker.get(toNodeId(2))?.isLearner).toBe(false);
  });

  it('is refused when it is joint already, has no voters, or would have none', () => {
    expect(reasonOf(() => changer(jointOf('v1', 'v2')).enterJoint(true, []))).toBe('alreadyJoint');
    const empty = new ProgressTracker(10, 0);
    expect(reasonOf(() => changer(empty).enterJoint(true, changes('v1')))).toBe('noVotersToJoin');
    expect(reasonOf(() => changer(groupOf('v1')).enterJoint(true, changes('r1')))).toBe('removesAllVoters');
  });
});

describe('leaving a joint configuration', () => {
  it('forgets the outgoing half and who is only in it, and makes learners of the staged', () => {
    const tracker = jointOf('v1 v2 v3', 'r1 l2 v4', true);
    const left = changer(tracker).leaveJoint();
    expect(shape(left)).toEqual([ids(3, 4), [], ids(2), []]);
    expect(left.config.autoLeave).toBe(false);
    expect(left.progress.has(toNodeId(1))).toBe(false);
    expect(left.progress.get(toNodeId(2))?.isLearner).toBe(true);
  });

  it('is refused when it is not joint', () => {
    expect(reasonOf(() => changer(groupOf('v1')).leaveJoint())).toBe('notJoint');
  });
});

describe('members', () => {
  it('that are new are probed from the end of the log, and count as heard from', () => {
    const changed = changer(groupOf('v1')).simple(changes('v2'));
    expect(changed.progress.get(toNodeId(2))?.status()).toMatchObject({
      state: 'probe',
      match: 0,
      next: LAST_INDEX,
      recentActive: true,
    });
  });

  it('of an empty log are probed from its first entry', () => {
    const changed = new Changer(new ProgressTracker(10, 0), toLogIndex(0)).simple(changes('v1'));
    expect(changed.progress.get(toNodeId(1))?.next).toBe(1);
  });

  it('that stay keep what is known of them', () => {
    const tracker = groupOf('v1 l2');
    tracker.get(toNodeId(2))?.maybeUpdate(toLogIndex(6));
    const changed = changer(tracker).simple(changes('v2'));
    expect(changed.progress.get(toNodeId(2))?.match).toBe(6);
  });
});

it('the tracker that a change starts from is never touched, whether the change fits or not', () => {
  const tracker = jointOf('v1 v2 v3', 'r1 l2 v4');
  const before = { shape: shape(tracker), ids: tracker.ids };
  changer(tracker).leaveJoint();
  expect(reasonOf(() => changer(tracker).simple(changes('v9')))).toBe('simpleInJoint');
  expect({ shape: shape(tracker), ids: tracker.ids }).toEqual(before);
  expect(tracker.get(toNodeId(2))?.isLearner).toBe(false);
});

it('a membership that contradicts its progress is refused before anything is changed', () => {
  const tracker = groupOf('v1 v2');
  tracker.install(tracker.config, new Map());
  expect(reasonOf(() => changer(tracker).simple(changes('l3')))).toBe('inconsistent');
});
