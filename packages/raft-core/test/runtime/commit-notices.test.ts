import { describe, expect, it } from 'vitest';
import { toLogIndex, toNodeId, toTerm } from '../../src/core/ids.ts';
import { createMessage } from '../../src/core/message.ts';
import type { Message } from '../../src/core/types.ts';
import { CommitNotices } from '../../src/runtime/commit-notices.ts';
import { ManualClock } from '../../src/testing/index.ts';

const DELAY_MS = 10;

/** An append after entry `index` with so many entries. */
function append(to: number, index: number, entries: number, commit: number, term = 1): Message {
  return createMessage({
    type: 'MsgApp',
    to: toNodeId(to),
    term: toTerm(term),
    index: toLogIndex(index),
    commit: toLogIndex(commit),
    entries: Array.from({ length: entries }, (_, at) => ({
      index: toLogIndex(index + 1 + at),
      term: toTerm(term),
      type: 'normal' as const,
      data: new Uint8Array(8),
    })),
  });
}

function notices(delayMs = DELAY_MS): {
  clock: ManualClock;
  notices: CommitNotices;
  released: (readonly [to: number, commit: number])[];
} {
  const clock = new ManualClock();
  const released: (readonly [number, number])[] = [];
  const held = new CommitNotices(clock, delayMs, ({ to, commit }) => {
    released.push([to, commit]);
  });
  return { clock, notices: held, released };
}

describe('news of a commit', () => {
  it('waits for the next entries and is dropped when they come', async () => {
    const { clock, notices: held, released } = notices();
    expect(held.holds(append(2, 4, 1, 4))).toBe(false);
    expect(held.holds(append(2, 5, 0, 5))).toBe(true);
    expect(held.holds(append(2, 5, 1, 5))).toBe(false);
    await clock.advance(10 * DELAY_MS);
    expect(released).toEqual([]);
  });

  it('leaves by itself after the delay, for each peer the newest', async () => {
    const { clock, notices: held, released } = notices();
    for (const peer of [2, 3]) {
      expect(held.holds(append(peer, 4, 2, 4))).toBe(false);
      expect(held.holds(append(peer, 6, 0, 5))).toBe(true);
    }
    expect(held.holds(append(2, 6, 0, 6))).toBe(true);
    await clock.advance(DELAY_MS / 2);
    expect(released).toEqual([]);
    await clock.advance(DELAY_MS);
    expect(released).toEqual([
      [2, 6],
      [3, 5],
    ]);
  });

  it('leaves sooner where it is of more than 64 entries, and takes the others with it', async () => {
    const { clock, notices: held, released } = notices();
    held.holds(append(2, 4, 1, 4));
    held.holds(append(3, 4, 65, 4));
    expect(held.holds(append(2, 5, 0, 5))).toBe(true);
    expect(held.holds(append(3, 69, 0, 69))).toBe(true);
    await clock.advance(DELAY_MS / 5 - 1);
    expect(released).toEqual([]);
    await clock.advance(1);
    expect(released).toEqual([
      [2, 5],
      [3, 69],
    ]);
    // What it has been told of is news no more.
    expect(held.holds(append(3, 69, 0, 70))).toBe(true);
    await clock.advance(DELAY_MS - 1);
    expect(released).toHaveLength(2);
    await clock.advance(1);
    expect(released).toHaveLength(3);
  });

  it('waits twice as long while entries keep coming in time, each time anew, and as at first after they did not', async () => {
    const { clock, notices: held, released } = notices();
    held.holds(append(2, 4, 1, 4));
    for (let last = 5; last < 25; last++) {
      expect(held.holds(append(2, last, 0, last))).toBe(true);
      await clock.advance(last === 5 ? DELAY_MS - 1 : 2 * DELAY_MS - 1);
      expect(held.holds(append(2, last, 1, last))).toBe(false);
    }
    expect(released).toEqual([]);
    held.holds(append(2, 25, 0, 25));
    await clock.advance(2 * DELAY_MS - 1);
    expect(released).toEqual([]);
    await clock.advance(1);
    expect(released).toEqual([[2, 25]]);
    held.holds(append(2, 25, 1, 25));
    held.holds(append(2, 26, 0, 26));
    await clock.advance(DELAY_MS);
    expect(released).toEqual([
      [2, 25],
      [2, 26],
    ]);
  });

  it('leaves before the answer to a read, which waits for what it is about', async () => {
    const { clock, notices: held, released } = notices();
    held.holds(append(2, 4, 1, 4));
    held.holds(append(3, 4, 1, 4));
    held.holds(append(2, 5, 0, 5));
    held.holds(append(3, 5, 0, 5));
    expect(held.holds(createMessage({ type: 'MsgReadIndexResp', to: toNodeId(2) }))).toBe(false);
    expect(released).toEqual([[2, 5]]);
    await clock.advance(DELAY_MS);
    expect(released).toEqual([
      [2, 5],
      [3, 5],
    ]);
  });

  it('leaves at once when asked to, and never after the end', async () => {
    const { clock, notices: held, released } = notices();
    held.holds(append(2, 4, 1, 4));
    held.holds(append(2, 5, 0, 5));
    held.flush();
    expect(released).toEqual([[2, 5]]);
    held.holds(append(2, 5, 0, 6));
    held.stop();
    await clock.advance(10 * DELAY_MS);
    expect(released).toEqual([[2, 5]]);
  });

  it('is not taken for what only looks like it', () => {
    const { notices: held } = notices();
    expect(held.holds(append(2, 4, 0, 4)), 'the first append, which asks where the log ends').toBe(false);
    expect(held.holds(append(2, 3, 0, 3)), 'a look further back').toBe(false);
    expect(held.holds(append(2, 3, 0, 3, 2)), 'a new leadership').toBe(false);
    held.holds(append(2, 3, 2, 3, 2));
    held.holds(createMessage({ type: 'MsgSnap', to: toNodeId(2) }));
    expect(held.holds(append(2, 5, 0, 5, 2)), 'after a snapshot').toBe(false);
    expect(held.holds(createMessage({ type: 'MsgHeartbeat', to: toNodeId(2) })), 'a heartbeat').toBe(false);
  });

  it('is never held where the delay is 0', () => {
    const { notices: held } = notices(0);
    held.holds(append(2, 4, 1, 4));
    expect(held.holds(append(2, 5, 0, 5))).toBe(false);
  });
});
