import { NO_INDEX, NO_TERM } from './ids.ts';
import type { Entry, Message, MessageType } from './types.ts';
import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD, NO_NODE } from './types.ts';
import type { NodeId } from './types.ts';

/** A message under construction. Once handed to `send` it is never changed again. */
export type MutableMessage = { -readonly [Key in keyof Message]: Message[Key] };

/** No bytes. Shared, so that it can be compared and costs nothing. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);

const NO_ENTRIES: readonly Entry[] = Object.freeze<Entry[]>([]);
const NO_RESPONSES: readonly Message[] = Object.freeze<Message[]>([]);

/**
 * A message of `type` with every other field empty. All messages of the core are made here, so that V8 sees one
 * hidden class for all of them.
 */
export function newMessage(type: MessageType): MutableMessage {
  return {
    type,
    to: NO_NODE,
    from: NO_NODE,
    term: NO_TERM,
    logTerm: NO_TERM,
    index: NO_INDEX,
    entries: NO_ENTRIES,
    commit: NO_INDEX,
    vote: NO_NODE,
    snapshot: undefined,
    reject: false,
    rejectHint: NO_INDEX,
    context: NO_BYTES,
    responses: NO_RESPONSES,
  };
}

/** A message with the given fields; the rest is empty. For transports and tests. */
export function createMessage(fields: Partial<Message> & Pick<Message, 'type'>): Message {
  return Object.assign(newMessage(fields.type), fields);
}

/** True for message types that a node sends only to itself; they are refused when they come from elsewhere. */
export function isLocalMessage(type: MessageType): boolean {
  switch (type) {
    case 'MsgHup':
    case 'MsgBeat':
    case 'MsgUnreachable':
    case 'MsgSnapStatus':
    case 'MsgCheckQuorum':
    case 'MsgStorageAppend':
    case 'MsgStorageAppendResp':
    case 'MsgStorageApply':
    case 'MsgStorageApplyResp':
      return true;
    default:
      return false;
  }
}

/** True for message types that answer a request; they are refused from nodes outside the configuration. */
export function isResponseMessage(type: MessageType): boolean {
  switch (type) {
    case 'MsgAppResp':
    case 'MsgVoteResp':
    case 'MsgHeartbeatResp':
    case 'MsgUnreachable':
    case 'MsgReadIndexResp':
    case 'MsgPreVoteResp':
    case 'MsgStorageAppendResp':
    case 'MsgStorageApplyResp':
      return true;
    default:
      return false;
  }
}

/** True for the two local storage threads, which stand where node ids do but are never on the network. */
export function isLocalTarget(id: NodeId): boolean {
  return id === LOCAL_APPEND_THREAD || id === LOCAL_APPLY_THREAD;
}
