/** Whom a change of the membership makes a removed node. */
import { EventEmitter } from 'node:events';
import { toLogIndex, toNodeId, type RaftEvents } from '@pact-journal/raft-core';
import { expect, test } from 'vitest';
import { watchRemoval } from '../../src/server/raft-watch.ts';

/** Node 4, which hears of the given memberships one after the other; how many of them it takes for its removal. */
function removals(...memberships: readonly (readonly number[])[]): number {
  const [first = [], ...later] = memberships.map((ids) =>
    ids.map((id) => ({ id: toNodeId(id), address: '', attributes: {}, role: 'voter' as const })),
  );
  const events = new EventEmitter();
  let removed = 0;
  watchRemoval(
    {
      id: toNodeId(4),
      status: () => ({ members: first }),
      on: (name, listener) => void events.on(name, listener),
    },
    () => (removed += 1),
  );
  for (const members of later) {
    const change: RaftEvents['membershipChange'] = { index: toLogIndex(1), members };
    events.emit('membershipChange', change);
  }
  return removed;
}

test('a node that joins reads of members before it, and is not removed by that', () => {
  expect(removals([], [1, 2], [1, 2, 3], [1, 2, 3, 4])).toBe(0);
});

test('a member that is left out is removed, once', () => {
  expect(removals([1, 2, 3, 4], [1, 2, 3], [1, 2])).toBe(1);
  expect(removals([1, 2, 3], [1, 2, 3, 4], [1, 2, 4], [1, 2])).toBe(1);
});
