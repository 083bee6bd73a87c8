/**
 * Decodes raft.v1.SendRequest by hand, so that limits hold while reading (a small frame must not become millions of
 * objects) and entries' bytes are views of the frame.
 */
import type { Entry, LogIndex, Message, MessageType, NodeId, Snapshot, Term } from '@pact-journal/raft-core';
import { Hello, Snapshot as WireSnapshot } from '../gen/raft/v1/raft.ts';
import { isMembership, snapshotFromWire } from './snapshot.ts';
import { entryTypeOf, isForwardedType, isLocalType, messageTypeOf } from './types.ts';
import { FrameReader, LENGTH_DELIMITED, MalformedFrame, VARINT } from './wire.ts';

/** Why something that a peer sent was not delivered. */
export type RefusalReason =
  /** Not protobuf, a number of 2^53 or above, or a snapshot reference that makes no sense. */
  | 'malformed'
  /** A message or entry type that this version does not know. */
  | 'unknownType'
  /** A message type that nodes only send to themselves. */
  | 'localType'
  /** Addressed to another node. */
  | 'wrongReceiver'
  /** Claims to be from another node than the one that the stream belongs to. */
  | 'wrongSender'
  /**
   * Contradicts itself or its type: entries that do not follow each other or the position before them, a term where none
   * belongs or none where one does, a proposal or read without its entry, a snapshot that is missing or of an impossible
   * membership.
   */
  | 'inconsistent'
  /** More entries than the limit. */
  | 'tooManyEntries'
  /** An entry, or a message's context, larger than the limit. */
  | 'tooLarge';

/** What a received frame may hold; what is beyond is refused and counted. */
export interface DecodeLimits {
  /** Messages in a frame. */
  readonly maxMessages: number;
  /** Entries in a frame, over all of its messages. */
  readonly maxEntries: number;
  /** Bytes of an entry's data. */
  readonly maxEntryBytes: number;
  /** Bytes of a message's context. */
  readonly maxContextBytes: number;
}

/** What a frame contained. */
export interface DecodedFrame {
  readonly hello: Hello | undefined;
  readonly messages: readonly Message[];
  /** One for each message left out. */
  readonly refused: readonly RefusalReason[];
}

/** One message cannot be delivered; the others of its frame can. */
class Refused extends Error {
  readonly reason: RefusalReason;
  constructor(reason: RefusalReason) {
    super(reason);
    this.reason = reason;
  }
}

const NO_BYTES = new Uint8Array(0);
const NO_ENTRIES: readonly Entry[] = Object.freeze([]);
const NO_RESPONSES: readonly Message[] = Object.freeze([]);

/**
 * Throws {@link MalformedFrame} where the frame as a whole cannot be read. Whether sender and receiver are right is
 * for {@link admit} to say.
 */
export function decodeFrame(bytes: Uint8Array, limits: DecodeLimits): DecodedFrame {
  const reader = new FrameReader(bytes);
  const messages: Message[] = [];
  const refused: RefusalReason[] = [];
  let entries = 0;
  let hello: Hello | undefined;
  while (!reader.atEnd) {
    const tag = reader.varint();
    if (tag === ((1 << 3) | LENGTH_DELIMITED)) {
      hello = decodeHello(reader.bytes());
    } else if (tag === ((2 << 3) | LENGTH_DELIMITED)) {
      if (messages.length + refused.length >= limits.maxMessages) {
        throw new MalformedFrame(`a frame has more than ${limits.maxMessages} messages`);
      }
      const outer = reader.enter();
      const end = reader.end;
      try {
        const message = decodeMessage(reader, limits, limits.maxEntries - entries);
        entries += message.entries.length;
        messages.push(message);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refused.push(error.reason);
      }
      reader.leave(end, outer);
    } else {
      reader.skip(tag & 7);
    }
  }
  return { hello, messages, refused };
}

function decodeHello(bytes: Uint8Array): Hello {
  try {
    return Hello.decode(bytes);
  } catch (error) {
    throw new MalformedFrame('a handshake cannot be read', { cause: error });
  }
}

function decodeSnapshot(bytes: Uint8Array): Snapshot {
  try {
    return snapshotFromWire(WireSnapshot.decode(bytes));
  } catch (error) {
    throw new MalformedFrame('a snapshot reference cannot be read', { cause: error });
  }
}

function decodeMessage(reader: FrameReader, limits: DecodeLimits, maxEntries: number): Message {
  let typeNumber = 0;
  let to = 0;
  let from = 0;
  let term = 0;
  let logTerm = 0;
  let index = 0;
  let entries: Entry[] | undefined;
  let commit = 0;
  let vote = 0;
  let snapshot: Snapshot | undefined;
  let reject = false;
  let rejectHint = 0;
  let context: Uint8Array = NO_BYTES;
  while (!reader.atEnd) {
    const tag = reader.varint();
    const wireType = tag & 7;
    if (wireType === VARINT) {
      const value = reader.varint();
      switch (tag >>> 3) {
        case 1:
          typeNumber = value;
          break;
        case 2:
          to = value;
          break;
        case 3:
          from = value;
          break;
        case 4:
          term = value;
          break;
        case 5:
          logTerm = value;
          break;
        case 6:
          index = value;
          break;
        case 8:
          commit = value;
          break;
        case 9:
          vote = value;
          break;
        case 11:
          reject = value !== 0;
          break;
        case 12:
          rejectHint = value;
          break;
        default:
      }
    } else if (tag === ((7 << 3) | LENGTH_DELIMITED)) {
      entries ??= [];
      if (entries.length >= maxEntries) throw new Refused('tooManyEntries');
      const outer = reader.enter();
      entries.push(decodeEntry(reader, limits));
      reader.leave(reader.end, outer);
    } else if (tag === ((10 << 3) | LENGTH_DELIMITED)) {
      snapshot = decodeSnapshot(reader.bytes());
    } else if (tag === ((13 << 3) | LENGTH_DELIMITED)) {
      context = reader.bytes();
      if (context.length > limits.maxContextBytes) throw new Refused('tooLarge');
    } else {
      reader.skip(wireType);
    }
  }
  const type: MessageType | undefined = messageTypeOf(typeNumber);
  if (type === undefined) throw new Refused('unknownType');
  if (isLocalType(type)) throw new Refused('localType');
  return {
    type,
    to: to as NodeId,
    from: from as NodeId,
    term: term as Term,
    logTerm: logTerm as Term,
    index: index as LogIndex,
    entries: entries ?? NO_ENTRIES,
    commit: commit as LogIndex,
    vote: vote as NodeId,
    snapshot,
    reject,
    rejectHint: rejectHint as LogIndex,
    context,
    responses: NO_RESPONSES,
  };
}

function decodeEntry(reader: FrameReader, limits: DecodeLimits): Entry {
  let term = 0;
  let index = 0;
  let typeNumber = 0;
  let data: Uint8Array = NO_BYTES;
  while (!reader.atEnd) {
    const tag = reader.varint();
    switch (tag) {
      case (1 << 3) | VARINT:
        term = reader.varint();
        break;
      case (2 << 3) | VARINT:
        index = reader.varint();
        break;
      case (3 << 3) | VARINT:
        typeNumber = reader.varint();
        break;
      case (4 << 3) | LENGTH_DELIMITED:
        data = reader.bytes();
        if (data.length > limits.maxEntryBytes) throw new Refused('tooLarge');
        break;
      default:
        reader.skip(tag & 7);
    }
  }
  const type = entryTypeOf(typeNumber);
  if (type === undefined) throw new Refused('unknownType');
  return { term: term as Term, index: index as LogIndex, type, data };
}

/** Why a decoded message may not be delivered to `self` as sent by `peer`; undefined where it may. */
export function admit(message: Message, self: NodeId, peer: NodeId): RefusalReason | undefined {
  if (message.to !== self) return 'wrongReceiver';
  if (message.from !== peer && !isForwardedType(message.type)) return 'wrongSender';
  if ((message.type === 'MsgSnap') !== (message.snapshot !== undefined)) return 'inconsistent';
  return fitsType(message) ? undefined : 'inconsistent';
}

/** What the core takes for granted about a message of each type, because no node sends any other. */
function fitsType(message: Message): boolean {
  const { type, term, entries } = message;
  switch (type) {
    case 'MsgProp':
      return term === 0 && entries.length > 0;
    case 'MsgReadIndex':
      return term === 0 && entries.length === 1;
    case 'MsgReadIndexResp':
      return term !== 0 && entries.length === 1;
    case 'MsgApp':
      return term !== 0 && isContiguous(message);
    case 'MsgSnap': {
      const metadata = message.snapshot?.metadata;
      return metadata !== undefined && metadata.term <= term && isMembership(metadata.confState);
    }
    default:
      return term !== 0;
  }
}

/** An append's entries follow its position one by one, with terms that do not go back nor beyond the sender's. */
function isContiguous({ index, logTerm, term, entries }: Message): boolean {
  let at: number = index;
  let before: number = logTerm;
  for (const entry of entries) {
    at += 1;
    if (entry.index !== at || entry.term < before) return false;
    before = entry.term;
  }
  return before <= term;
}
