import { describe, expect, it } from 'vitest';
import { toLogIndex, toTerm } from '../../src/core/ids.ts';
import { createMessage } from '../../src/core/message.ts';
import type { Message } from '../../src/core/types.ts';
import { Inbox } from '../../src/runtime/inbox.ts';

const MIB = 1024 * 1024;

function append(index: number, bytes: number): Message {
  const entry = {
    index: toLogIndex(index),
    term: toTerm(1),
    type: 'normal' as const,
    data: new Uint8Array(bytes),
  };
  return createMessage({ type: 'MsgApp', index: toLogIndex(index - 1), entries: [entry] });
}

describe('the inbox', () => {
  it('lets heartbeats and votes pass megabytes of entries that came before them', () => {
    const inbox = new Inbox(64 * MIB);
    for (let index = 1; index <= 20; index++) inbox.push(append(index, MIB));
    inbox.push(createMessage({ type: 'MsgHeartbeat' }));
    inbox.push(createMessage({ type: 'MsgVote' }));
    expect(
      inbox
        .take()
        .slice(0, 2)
        .map((message) => message.type),
    ).toEqual(['MsgHeartbeat', 'MsgVote']);
  });

  it('hands out bulk in bounded turns and in order', () => {
    const inbox = new Inbox(64 * MIB);
    for (let index = 1; index <= 20; index++) inbox.push(append(index, MIB));
    const taken: number[] = [];
    while (!inbox.isEmpty) {
      const turn = inbox.take();
      expect(turn.length).toBeLessThanOrEqual(5);
      taken.push(...turn.map((message) => message.entries[0]?.index ?? 0));
    }
    expect(taken).toEqual(Array.from({ length: 20 }, (_, offset) => offset + 1));
    expect(inbox.queuedBytes).toBe(0);
  });

  it('drops bulk beyond its limit, but never the only message', () => {
    const inbox = new Inbox(MIB);
    inbox.push(append(1, 2 * MIB));
    inbox.push(append(2, 10));
    expect(inbox.dropped).toBe(1);
    expect(inbox.take()).toHaveLength(1);
  });

  it('bounds what is urgent too', () => {
    const inbox = new Inbox(MIB);
    for (let sent = 0; sent < 70_000; sent++) inbox.push(createMessage({ type: 'MsgHeartbeat' }));
    expect(inbox.dropped).toBeGreaterThan(0);
    expect(inbox.take().length + inbox.dropped).toBe(70_000);
  });
});
