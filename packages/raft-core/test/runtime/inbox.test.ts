import { describe, expect, it } from 'vitest';
import { toLogIndex, toTerm } from '../../src/core/ids.ts';
import { createMessage } from '../../src/core/message.ts';
import type { ConfState, Message } from '../../src/core/types.ts';
import { Inbox } from '../../src/runtime/inbox.ts';

const MIB = 1024 * 1024;

const emptyConfState: ConfState = {
  voters: [],
  learners: [],
  votersOutgoing: [],
  learnersNext: [],
  autoLeave: false,
};

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

  it('bounds what is urgent in bytes, in a share of its own', () => {
    const inbox = new Inbox(4 * MIB);
    const vote = createMessage({ type: 'MsgVote', context: new Uint8Array(1024) });
    for (let sent = 0; sent < 10_000; sent++) inbox.push(vote);
    expect(inbox.dropped).toBeGreaterThan(0);
    expect(inbox.queuedBytes).toBeGreaterThan(0.9 * MIB);
    expect(inbox.queuedBytes).toBeLessThanOrEqual(MIB);
    const { dropped } = inbox;
    inbox.push(append(1, MIB));
    inbox.push(append(2, MIB));
    expect(inbox.dropped).toBe(dropped);
    expect(inbox.take()).toHaveLength(10_000 - dropped + 2);
    expect(inbox.queuedBytes).toBe(0);
    inbox.push(vote);
    expect(inbox.dropped).toBe(dropped);
  });

  it('counts what a message carries of a snapshot, and never drops the only one', () => {
    const inbox = new Inbox(MIB);
    const metadata = { index: toLogIndex(1), term: toTerm(1), confState: emptyConfState };
    inbox.push(createMessage({ type: 'MsgSnap', snapshot: { metadata, data: new Uint8Array(2 * MIB) } }));
    expect(inbox.queuedBytes).toBeGreaterThan(2 * MIB);
    inbox.push(createMessage({ type: 'MsgHeartbeat' }));
    expect(inbox.dropped).toBe(1);
    expect(inbox.take()).toHaveLength(1);
  });

  it('bounds the number of what is urgent', () => {
    const inbox = new Inbox(64 * MIB);
    for (let sent = 0; sent < 70_000; sent++) inbox.push(createMessage({ type: 'MsgHeartbeat' }));
    expect(inbox.dropped).toBeGreaterThan(0);
    expect(inbox.take().length + inbox.dropped).toBe(70_000);
  });
});
