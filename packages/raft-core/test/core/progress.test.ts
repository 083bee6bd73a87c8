import { describe, expect, it } from 'vitest';
import { isRaftAssertionError, toLogIndex } from '../../src/core/index.ts';
import { Inflights, Progress } from '../../src/core/tracker/index.ts';

const at = toLogIndex;

/** A follower that is known to match up to `match`, in the probe state. */
function probing(match: number, next = match + 1, capacity = 4, maxBytes = 0): Progress {
  const progress = new Progress(at(next), new Inflights(capacity, maxBytes), false);
  progress.match = at(match);
  return progress;
}

function replicating(match: number, capacity = 4, maxBytes = 0): Progress {
  const progress = probing(match, match + 1, capacity, maxBytes);
  progress.becomeReplicate();
  return progress;
}

function snapshotting(match: number, index: number): Progress {
  const progress = probing(match);
  progress.becomeSnapshot(at(index));
  return progress;
}

describe('a probing follower', () => {
  it('is sent one append, and is paused until something comes back', () => {
    const progress = probing(3, 6);
    expect(progress.paused()).toBe(false);
    progress.sentEntries(2, 20);
    expect(progress.status()).toMatchObject({ state: 'probe', match: 3, next: 6, paused: true });
    expect(progress.inflights.count).toBe(0);
    expect(progress.maybeUpdate(at(5))).toBe(true);
    expect(progress.status()).toMatchObject({ match: 5, next: 6, paused: false });
  });

  it('is not paused by an append without entries', () => {
    const progress = probing(3);
    progress.sentEntries(0, 0);
    expect(progress.paused()).toBe(false);
  });

  it.each([
    // Where the append was anchored, the hint, and where the next probe goes.
    ['to after the hint', 9, 5, 6],
    ['to the anchor itself, when the hint is not before it', 9, 20, 9],
    ['never to or before what is known to match', 9, 0, 4],
  ])('that rejects an append is probed further back: %s', (_what, rejected, hint, next) => {
    const progress = probing(3, rejected + 1);
    progress.flowPaused = true;
    expect(progress.maybeDecrease(at(rejected), at(hint))).toBe(true);
    expect(progress.status()).toMatchObject({ next, match: 3, paused: false });
  });

  it('that rejects another append than the one under way says nothing new', () => {
    const progress = probing(3, 10);
    progress.flowPaused = true;
    expect(progress.maybeDecrease(at(8), at(2))).toBe(false);
    expect(progress.status()).toMatchObject({ next: 10, paused: true });
  });
});

describe('a replicating follower', () => {
  it('is sent entries ahead of its answers', () => {
    const progress = replicating(3);
    progress.sentEntries(2, 20);
    progress.sentEntries(3, 30);
    expect(progress.status()).toMatchObject({
      state: 'replicate',
      match: 3,
      next: 9,
      paused: false,
      inflightMessages: 2,
      inflightBytes: 50,
    });
  });

  it('is paused when the window is full of messages, and resumed by an answer', () => {
    const progress = replicating(3, 2);
    progress.sentEntries(1, 10);
    expect(progress.paused()).toBe(false);
    progress.sentEntries(1, 10);
    expect(progress.status()).toMatchObject({ paused: true, inflightFull: true });
    progress.inflights.freeUpTo(at(4));
    expect(progress.maybeUpdate(at(4))).toBe(true);
    expect(progress.status()).toMatchObject({ match: 4, next: 6, paused: false, inflightMessages: 1 });
  });

  it('is paused when the window is full of bytes', () => {
    const progress = replicating(3, 100, 50);
    progress.sentEntries(1, 49);
    expect(progress.paused()).toBe(false);
    progress.sentEntries(1, 1);
    expect(progress.paused()).toBe(true);
  });

  it('stays as it is when an answer is old, and never goes back', () => {
    const progress = replicating(5);
    progress.sentEntries(2, 2);
    expect(progress.maybeUpdate(at(5))).toBe(false);
    expect(progress.maybeUpdate(at(4))).toBe(false);
    expect(progress.status()).toMatchObject({ match: 5, next: 8 });
    expect(progress.maybeUpdate(at(6))).toBe(true);
    expect(progress.status()).toMatchObject({ match: 6, next: 8 });
  });

  it('that has more than it was sent is believed: next stays above match', () => {
    const progress = replicating(5);
    expect(progress.maybeUpdate(at(9))).toBe(true);
    expect(progress.status()).toMatchObject({ match: 9, next: 10 });
  });

  it('that rejects an append is sent again what follows its match, unless the rejection is old', () => {
    const progress = replicating(5);
    progress.sentEntries(4, 4);
    expect(progress.maybeDecrease(at(5), at(5))).toBe(false);
    expect(progress.next).toBe(10);
    expect(progress.maybeDecrease(at(7), at(2))).toBe(true);
    expect(progress.next).toBe(6);
  });
});

describe('a follower that needs a snapshot', () => {
  it('is paused, and must not be sent entries', () => {
    const progress = snapshotting(3, 20);
    expect(progress.status()).toMatchObject({
      state: 'snapshot',
      match: 3,
      next: 21,
      pendingSnapshot: 20,
      paused: true,
    });
    let error: unknown;
    try {
      progress.sentEntries(1, 1);
    } catch (caught) {
      error = caught;
    }
    expect(isRaftAssertionError(error)).toBe(true);
  });

  it('is probed from after the snapshot when that arrived', () => {
    const progress = snapshotting(3, 20);
    progress.becomeProbe();
    expect(progress.status()).toMatchObject({ state: 'probe', next: 21, pendingSnapshot: 0, paused: false });
  });

  it('is probed from after its match when the snapshot was lost', () => {
    const progress = snapshotting(3, 20);
    progress.pendingSnapshot = at(0);
    progress.becomeProbe();
    expect(progress.status()).toMatchObject({ state: 'probe', next: 4 });
  });

  it('is probed from after its match when that is already beyond the snapshot', () => {
    const progress = snapshotting(3, 20);
    progress.maybeUpdate(at(30));
    progress.becomeProbe();
    expect(progress.next).toBe(31);
  });
});

describe('changing state', () => {
  it.each(['becomeProbe', 'becomeReplicate'] as const)(
    '%s forgets what is in flight and resumes',
    (become) => {
      const progress = replicating(3, 1);
      progress.sentEntries(2, 20);
      expect(progress.paused()).toBe(true);
      progress[become]();
      expect(progress.status()).toMatchObject({
        match: 3,
        next: 4,
        paused: false,
        inflightMessages: 0,
        inflightBytes: 0,
      });
    },
  );

  it('a snapshot forgets what is in flight', () => {
    const progress = replicating(3);
    progress.sentEntries(2, 20);
    progress.becomeSnapshot(at(20));
    expect(progress.inflights.count).toBe(0);
  });
});

describe('the commit index that a follower was told', () => {
  it('is worth telling when it is new, and when the follower has entries beyond the last one told', () => {
    const progress = replicating(10);
    expect(progress.canBumpCommit(at(5))).toBe(true);
    progress.sentCommit(at(5));
    expect(progress.canBumpCommit(at(5))).toBe(false);
    expect(progress.canBumpCommit(at(6))).toBe(true);
    progress.sentCommit(at(10));
    expect(progress.canBumpCommit(at(11))).toBe(false);
  });

  it('is forgotten as far as entries are sent again: the message that carried it may be lost', () => {
    const progress = replicating(5);
    progress.sentEntries(5, 5);
    progress.sentCommit(at(10));
    expect(progress.canBumpCommit(at(10))).toBe(false);
    progress.maybeDecrease(at(8), at(5));
    progress.sentEntries(5, 5);
    expect(progress.canBumpCommit(at(10))).toBe(true);
  });
});

it('a copy changes on its own, and shares the window of what is in flight', () => {
  const progress = replicating(3);
  progress.recentActive = true;
  progress.sentEntries(1, 10);
  const copy = progress.clone();
  expect(copy.status()).toEqual(progress.status());
  copy.isLearner = true;
  copy.maybeUpdate(at(4));
  expect(progress.status()).toMatchObject({ isLearner: false, match: 3 });
  expect(copy.inflights).toBe(progress.inflights);
});
