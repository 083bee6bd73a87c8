/** Whom a change of the membership makes a removed node. */
import { EventEmitter } from 'node:events';
import { toLogIndex, toNodeId, type RaftEvents } from '@pact-journal/raft-core';
import { expect, test } from 'vitest';
import { watchRemoval } from '../../src/server/raft-watch.ts';

/** Node 4, which hears of the given memberships one after the other, and what it takes them for. */
function told(isJoining: boolean, ...memberships: readonly (readonly number[])[]): readonly string[] {
  const [first = [], ...later] = memberships.map((ids) =>
    ids.map((id) => ({ id: toNodeId(id), address: '', attributes: {}, role: 'voter' as const })),
  );
  const events = new EventEmitter();
  const heard: string[] = [];
  watchRemoval(
    {
      id: toNodeId(4),
      status: () => ({ members: first }),
      on: (name, listener) => void events.on(name, listener),
    },
    {
      isJoining,
      onRemoved: () => void heard.push('removed'),
      onReadmitted: () => void heard.push('a member again'),
    },
  );
  for (const members of later) {
    const change: RaftEvents['membershipChange'] = { index: toLogIndex(1), members };
    events.emit('membershipChange', change);
  }
  return heard;
}

test('a node that joins reads of members before it, and is not removed by that', () => {
  expect(told(true, [], [1, 2], [1, 2, 3], [1, 2, 3, 4])).toEqual([]);
});

test('a member that is left out is removed, once', () => {
  expect(told(false, [1, 2, 3, 4], [1, 2, 3], [1, 2])).toEqual(['removed']);
  expect(told(true, [1, 2, 3], [1, 2, 3, 4], [1, 2, 4], [1, 2])).toEqual(['removed']);
});

test('a node that was removed before it started is told so at the start, until it is a member again', () => {
  expect(told(false, [1, 2, 3])).toEqual(['removed']);
  expect(told(false, [1, 2, 3], [1, 2, 3, 5], [1, 2, 3, 4, 5])).toEqual(['removed', 'a member again']);
});
