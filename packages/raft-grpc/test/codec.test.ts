import { createMessage, toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import type { ConfState, Entry, Message } from '@pact-journal/raft-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { admit, decodeFrame } from '../src/codec/decode.ts';
import type { DecodeLimits } from '../src/codec/decode.ts';
import { encodeFrame, sizeMessage } from '../src/codec/encode.ts';
import { messageTypeNumbers } from '../src/codec/types.ts';
import { MalformedFrame } from '../src/codec/wire.ts';
import { SendRequest } from '../src/gen/raft/v1/raft.ts';
import { anyMessage, toGenerated } from './support/arbitrary.ts';

const limits: DecodeLimits = { maxMessages: 100, maxEntries: 50, maxEntryBytes: 1000, maxContextBytes: 1000 };

function encode(...messages: readonly Message[]): Buffer {
  return encodeFrame(messages.map(sizeMessage));
}

const heartbeat = createMessage({
  type: 'MsgHeartbeat',
  to: toNodeId(2),
  from: toNodeId(1),
  term: toTerm(3),
});

function entries(count: number, sizeBytes: number): Entry[] {
  return Array.from({ length: count }, (_, at) => ({
    term: toTerm(1),
    index: toLogIndex(at + 1),
    type: 'normal' as const,
    data: new Uint8Array(sizeBytes).fill(at),
  }));
}

function append(of: readonly Entry[]): Message {
  return createMessage({ type: 'MsgApp', to: toNodeId(2), from: toNodeId(1), term: toTerm(1), entries: of });
}

describe('the codec', () => {
  it('gives back every message as it was', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 5 }), (messages) => {
        const frame = decodeFrame(encode(...messages), limits);
        expect(frame.refused).toEqual([]);
        expect(frame.messages).toStrictEqual(messages);
      }),
    );
  });

  it('writes what the generated codec reads, and reads what it writes', () => {
    fc.assert(
      fc.property(fc.array(anyMessage, { maxLength: 5 }), (messages) => {
        const request = { hello: undefined, messages: messages.map(toGenerated) };
        expect(SendRequest.encode(SendRequest.decode(encode(...messages))).finish()).toEqual(
          SendRequest.encode(request).finish(),
        );
        expect(decodeFrame(SendRequest.encode(request).finish(), limits).messages).toStrictEqual(messages);
      }),
    );
  });

  it('copies no entry when reading', () => {
    const frame = encode(append(entries(1, 100)));
    expect(decodeFrame(frame, limits).messages[0]?.entries[0]?.data.buffer).toBe(frame.buffer);
  });
});

describe('hostile input', () => {
  it('a frame cut anywhere is refused or gives fewer messages, never a crash', () => {
    const frame = encode(append(entries(3, 20)), heartbeat);
    for (let length = 0; length < frame.length; length += 1) {
      try {
        expect(decodeFrame(frame.subarray(0, length), limits).messages.length).toBeLessThan(2);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedFrame);
      }
    }
  });

  it('random bytes are read or refused, never a crash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeFrame(bytes, limits);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedFrame);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('any flipped bit is read as something else or refused, never a crash', () => {
    const frame = encode(heartbeat, append(entries(2, 8)));
    for (let bit = 0; bit < frame.length * 8; bit += 1) {
      const damaged = Buffer.from(frame);
      damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      try {
        decodeFrame(damaged, limits);
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedFrame);
      }
    }
  });

  it('a refused message takes none of its neighbours with it', () => {
    const frame = decodeFrame(encode(heartbeat, append(entries(2, 1001)), heartbeat), limits);
    expect(frame.messages).toStrictEqual([heartbeat, heartbeat]);
    expect(frame.refused).toEqual(['tooLarge']);
  });

  it('too many entries are refused over all messages of a frame', () => {
    expect(decodeFrame(encode(append(entries(51, 0))), limits).refused).toEqual(['tooManyEntries']);
    const frame = decodeFrame(
      encode(append(entries(30, 0)), append(entries(30, 0)), append(entries(20, 0))),
      limits,
    );
    expect(frame.messages.map((message) => message.entries.length)).toEqual([30, 20]);
    expect(frame.refused).toEqual(['tooManyEntries']);
  });

  it('too many messages make the frame malformed', () => {
    const many = Array.from({ length: 101 }, () => heartbeat);
    expect(() => decodeFrame(encode(...many), limits)).toThrow(MalformedFrame);
  });

  it('unknown types are refused, unknown fields are skipped', () => {
    const unknown = SendRequest.encode({
      hello: undefined,
      messages: [{ ...toGenerated(heartbeat), type: 99 as never }],
    });
    expect(decodeFrame(unknown.finish(), limits).refused).toEqual(['unknownType']);
    // Field 200, a varint, behind a good message.
    const newer = Buffer.concat([encode(heartbeat), Buffer.from([0xc0, 0x0c, 0x07])]);
    expect(decodeFrame(newer, limits).messages).toStrictEqual([heartbeat]);
  });

  it.each([
    'MsgHup',
    'MsgBeat',
    'MsgCheckQuorum',
    'MsgUnreachable',
    'MsgSnapStatus',
    'MsgStorageAppend',
    'MsgTransferLeader',
    'MsgForgetLeader',
  ] as const)('%s from elsewhere is refused', (type) => {
    const wire = {
      hello: undefined,
      messages: [{ ...toGenerated(heartbeat), type: messageTypeNumbers[type] as never }],
    };
    expect(decodeFrame(SendRequest.encode(wire).finish(), limits).refused).toEqual(['localType']);
  });

  it('numbers up to 2^53 - 1 pass, larger ones are malformed', () => {
    const largest = { ...heartbeat, commit: toLogIndex(Number.MAX_SAFE_INTEGER) };
    expect(decodeFrame(encode(largest), limits).messages[0]?.commit).toBe(Number.MAX_SAFE_INTEGER);
    const tooLarge = Buffer.from([18, 9, 0x40, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]);
    expect(() => decodeFrame(tooLarge, limits)).toThrow(MalformedFrame);
  });

  it('a message for another node, or in the name of another, is not admitted', () => {
    expect(admit(heartbeat, toNodeId(2), toNodeId(1))).toBeUndefined();
    expect(admit(heartbeat, toNodeId(3), toNodeId(1))).toBe('wrongReceiver');
    expect(admit(heartbeat, toNodeId(2), toNodeId(3))).toBe('wrongSender');
    const proposal = createMessage({
      ...heartbeat,
      type: 'MsgProp',
      term: toTerm(0),
      entries: entries(1, 1),
    });
    expect(admit(proposal, toNodeId(2), toNodeId(3))).toBeUndefined();
  });

  it.each<[string, Pick<Message, 'type'> & Partial<Message>]>([
    ['a proposal without entries', { type: 'MsgProp' }],
    ['a proposal with a term', { type: 'MsgProp', term: toTerm(3), entries: entries(1, 1) }],
    ['a read with a term', { type: 'MsgReadIndex', term: toTerm(3), entries: entries(1, 1) }],
    ['a read without its context', { type: 'MsgReadIndex' }],
    ['a read with two contexts', { type: 'MsgReadIndex', entries: entries(2, 1) }],
    ["a read's answer without its context", { type: 'MsgReadIndexResp', term: toTerm(3) }],
    ["a read's answer without a term", { type: 'MsgReadIndexResp', entries: entries(1, 1) }],
    ...(
      [
        'MsgApp',
        'MsgAppResp',
        'MsgVote',
        'MsgVoteResp',
        'MsgPreVote',
        'MsgPreVoteResp',
        'MsgHeartbeat',
        'MsgHeartbeatResp',
        'MsgTimeoutNow',
      ] as const
    ).map((type): [string, Pick<Message, 'type'>] => [`${type} without a term`, { type }]),
  ])('%s is not admitted', (_what, fields) => {
    const message = createMessage({ to: toNodeId(2), from: toNodeId(1), ...fields });
    expect(admit(message, toNodeId(2), toNodeId(1))).toBe('inconsistent');
  });

  describe('a snapshot', () => {
    const snapshotOf = (of: Partial<ConfState>, snapshotTerm = 3): Message => {
      const lists = { voters: ids(1, 2), votersOutgoing: [], learners: [], learnersNext: [] };
      const confState: ConfState = { ...lists, autoLeave: false, ...of };
      const metadata = { index: toLogIndex(9), term: toTerm(snapshotTerm), confState };
      return createMessage({
        ...heartbeat,
        type: 'MsgSnap',
        snapshot: { metadata, data: new Uint8Array(0) },
      });
    };
    const ids = (...values: readonly number[]) => values.map(toNodeId);

    it.each<[string, Partial<ConfState>]>([
      ['voters alone', {}],
      ['voters and learners', { learners: ids(3) }],
      ['a joint configuration', { votersOutgoing: ids(2, 3, 4), learnersNext: ids(4), autoLeave: true }],
    ])('of %s is admitted', (_what, of) => {
      expect(admit(snapshotOf(of), toNodeId(2), toNodeId(1))).toBeUndefined();
    });

    it.each<[string, Message]>([
      ['of a later term than its sender', snapshotOf({}, 4)],
      ['of nobody', snapshotOf({ voters: [] })],
      ['of learners alone', snapshotOf({ voters: [], learners: ids(1) })],
      ['with a voter twice', snapshotOf({ voters: ids(1, 1) })],
      ['with node 0', snapshotOf({ voters: ids(0, 1) })],
      ['of a learner that votes', snapshotOf({ learners: ids(2) })],
      [
        'of a learner that votes in the outgoing half',
        snapshotOf({ votersOutgoing: ids(3), learners: ids(3) }),
      ],
      ['of a staged learner outside of the outgoing half', snapshotOf({ learnersNext: ids(3) })],
      ['of a staged learner that votes on', snapshotOf({ votersOutgoing: ids(2), learnersNext: ids(2) })],
      ['that would leave a joint configuration it is not in', snapshotOf({ autoLeave: true })],
    ])('%s is not admitted', (_what, message) => {
      expect(admit(message, toNodeId(2), toNodeId(1))).toBe('inconsistent');
    });
  });

  it('an append that contradicts itself is not admitted', () => {
    const [first, second, third] = entries(3, 1);
    if (first === undefined || second === undefined || third === undefined) throw new Error('three entries');
    const admitted = (of: readonly Entry[], change: Partial<Message> = {}) =>
      admit({ ...append(of), ...change }, toNodeId(2), toNodeId(1));
    expect(admitted([first, second, third])).toBeUndefined();
    expect(admitted([])).toBeUndefined();
    expect(admitted([first, third])).toBe('inconsistent');
    expect(admitted([second])).toBe('inconsistent');
    expect(admitted([first], { index: toLogIndex(1) })).toBe('inconsistent');
    expect(admitted([{ ...first, term: toTerm(2) }])).toBe('inconsistent');
    expect(admitted([first], { logTerm: toTerm(2) })).toBe('inconsistent');
    expect(admitted([{ ...first, term: toTerm(3) }, second], { term: toTerm(3) })).toBe('inconsistent');
    expect(admit({ ...heartbeat, type: 'MsgSnap' }, toNodeId(2), toNodeId(1))).toBe('inconsistent');
  });
});
