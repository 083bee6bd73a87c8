import { createMessage, toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import type { Entry, Message, MessageType, Snapshot } from '@pact-journal/raft-core';
import fc from 'fast-check';
import { snapshotToWire } from '../../src/codec/snapshot.ts';
import { entryTypeNumber, messageTypeNumbers } from '../../src/codec/types.ts';
import type { Message as GeneratedMessage } from '../../src/gen/raft/v1/raft.ts';

const number = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: Number.MAX_SAFE_INTEGER }));
const id = number.map(toNodeId);
const term = number.map(toTerm);
const index = number.map(toLogIndex);
const bytes = fc.uint8Array({ maxLength: 200 }).map((value) => Uint8Array.from(value));
const record = <Model extends object>(model: { [Key in keyof Model]: fc.Arbitrary<Model[Key]> }) =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<Model>;

const entry: fc.Arbitrary<Entry> = record<Entry>({
  term,
  index,
  type: fc.constantFrom('normal', 'confChange', 'confChangeV2'),
  data: bytes,
});

const ids = fc.array(id, { maxLength: 5 });

const snapshot: fc.Arbitrary<Snapshot> = record<Snapshot>({
  metadata: record({
    index,
    term,
    confState: record({
      voters: ids,
      votersOutgoing: ids,
      learners: ids,
      learnersNext: ids,
      autoLeave: fc.boolean(),
    }),
  }),
  data: bytes,
});

const travelling: readonly MessageType[] = [
  'MsgProp',
  'MsgApp',
  'MsgAppResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgSnap',
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgTimeoutNow',
  'MsgReadIndex',
  'MsgReadIndexResp',
  'MsgPreVote',
  'MsgPreVoteResp',
];

/** Any message that may travel, every field set at will. */
export const anyMessage: fc.Arbitrary<Message> = record<Omit<Message, 'responses'>>({
  type: fc.constantFrom(...travelling),
  to: id,
  from: id,
  term,
  logTerm: term,
  index,
  entries: fc.array(entry, { maxLength: 4 }),
  commit: index,
  vote: id,
  snapshot: fc.option(snapshot, { nil: undefined }),
  reject: fc.boolean(),
  rejectHint: index,
  context: bytes,
}).map((fields) => createMessage(fields));

/** The same message as the generated code has it. */
export function toGenerated(message: Message): GeneratedMessage {
  return {
    type: messageTypeNumbers[message.type] as GeneratedMessage['type'],
    to: message.to,
    from: message.from,
    term: message.term,
    logTerm: message.logTerm,
    index: message.index,
    entries: message.entries.map((item) => ({
      term: item.term,
      index: item.index,
      type: entryTypeNumber(item.type),
      data: item.data,
    })),
    commit: message.commit,
    vote: message.vote,
    snapshot: message.snapshot === undefined ? undefined : snapshotToWire(message.snapshot),
    reject: message.reject,
    rejectHint: message.rejectHint,
    context: message.context,
  };
}
