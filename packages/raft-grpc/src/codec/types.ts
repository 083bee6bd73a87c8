import type { EntryType, MessageType } from '@pact-journal/raft-core';
import { EntryType as WireEntryType, MessageType as WireMessageType } from '../gen/raft/v1/raft.ts';

/** The wire's number of each message type. */
export const messageTypeNumbers: Readonly<Record<MessageType, number>> = {
  MsgHup: WireMessageType.HUP,
  MsgBeat: WireMessageType.BEAT,
  MsgProp: WireMessageType.PROP,
  MsgApp: WireMessageType.APP,
  MsgAppResp: WireMessageType.APP_RESP,
  MsgVote: WireMessageType.VOTE,
  MsgVoteResp: WireMessageType.VOTE_RESP,
  MsgSnap: WireMessageType.SNAP,
  MsgHeartbeat: WireMessageType.HEARTBEAT,
  MsgHeartbeatResp: WireMessageType.HEARTBEAT_RESP,
  MsgUnreachable: WireMessageType.UNREACHABLE,
  MsgSnapStatus: WireMessageType.SNAP_STATUS,
  MsgCheckQuorum: WireMessageType.CHECK_QUORUM,
  MsgTransferLeader: WireMessageType.TRANSFER_LEADER,
  MsgTimeoutNow: WireMessageType.TIMEOUT_NOW,
  MsgReadIndex: WireMessageType.READ_INDEX,
  MsgReadIndexResp: WireMessageType.READ_INDEX_RESP,
  MsgPreVote: WireMessageType.PRE_VOTE,
  MsgPreVoteResp: WireMessageType.PRE_VOTE_RESP,
  MsgStorageAppend: WireMessageType.STORAGE_APPEND,
  MsgStorageAppendResp: WireMessageType.STORAGE_APPEND_RESP,
  MsgStorageApply: WireMessageType.STORAGE_APPLY,
  MsgStorageApplyResp: WireMessageType.STORAGE_APPLY_RESP,
  MsgForgetLeader: WireMessageType.FORGET_LEADER,
};

/**
 * What a node only ever sends to itself. Refused when it comes from elsewhere. A leadership transfer is among them because
 * only the leader's own node begins one: nobody else may move leadership with a message.
 */
const localTypes: ReadonlySet<MessageType> = new Set<MessageType>([
  'MsgHup',
  'MsgBeat',
  'MsgUnreachable',
  'MsgSnapStatus',
  'MsgCheckQuorum',
  'MsgStorageAppend',
  'MsgStorageAppendResp',
  'MsgStorageApply',
  'MsgStorageApplyResp',
  'MsgTransferLeader',
  'MsgForgetLeader',
]);

/** Passed on by others than their author, so that `from` may be a third node. */
const forwardedTypes: ReadonlySet<MessageType> = new Set<MessageType>(['MsgProp', 'MsgReadIndex']);

/** Small, and worth nothing when late. */
const controlTypes: ReadonlySet<MessageType> = new Set<MessageType>([
  'MsgHeartbeat',
  'MsgHeartbeatResp',
  'MsgVote',
  'MsgVoteResp',
  'MsgPreVote',
  'MsgPreVoteResp',
  'MsgTimeoutNow',
  'MsgReadIndex',
  'MsgReadIndexResp',
]);

const messageTypes = new Map(
  (Object.keys(messageTypeNumbers) as MessageType[]).map((type) => [messageTypeNumbers[type], type]),
);

/** The type with this number on the wire; undefined for an unknown one. */
export function messageTypeOf(number: number): MessageType | undefined {
  return messageTypes.get(number);
}

export function isLocalType(type: MessageType): boolean {
  return localTypes.has(type);
}

export function isForwardedType(type: MessageType): boolean {
  return forwardedTypes.has(type);
}

/** Whether it travels on the connection that bulk data cannot delay. */
export function isControlType(type: MessageType): boolean {
  return controlTypes.has(type);
}

/** The wire's number of each entry type. */
export function entryTypeNumber(type: EntryType): WireEntryType {
  switch (type) {
    case 'normal':
      return WireEntryType.UNSPECIFIED;
    case 'confChange':
      return WireEntryType.CONF_CHANGE;
    case 'confChangeV2':
      return WireEntryType.CONF_CHANGE_V2;
  }
}

/** The type with this number on the wire; undefined for an unknown one. */
export function entryTypeOf(number: number): EntryType | undefined {
  switch (number) {
    case WireEntryType.UNSPECIFIED:
      return 'normal';
    case WireEntryType.CONF_CHANGE:
      return 'confChange';
    case WireEntryType.CONF_CHANGE_V2:
      return 'confChangeV2';
    default:
      return undefined;
  }
}
