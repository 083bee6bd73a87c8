import { LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD } from './types.ts';
import type { Entry, HardState, Message, Snapshot } from './types.ts';
import { newMessage } from './message.ts';
import type { Raft } from './raft/raft.ts';

/** The parts of a Ready that a write to the log consists of. */
interface AppendWork {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly snapshot: Snapshot | undefined;
}

/** True when there is something to write, or something that waits for earlier writes. */
export function needsStorageAppend(raft: Raft, work: AppendWork): boolean {
  return (
    work.entries.length > 0 ||
    work.hardState !== undefined ||
    work.snapshot !== undefined ||
    raft.messagesAfterAppend.length > 0
  );
}

/** True when the core has to hear of the end of the write. */
export function needsStorageAppendAnswer(raft: Raft, work: AppendWork): boolean {
  return raft.log.unstable.length > 0 || work.snapshot !== undefined;
}

/** The instruction to the append thread, with everything that may only be delivered when it is durable. */
export function storageAppend(raft: Raft, work: AppendWork): Message {
  const message = newMessage('MsgStorageAppend');
  message.to = LOCAL_APPEND_THREAD;
  message.from = raft.id;
  message.entries = work.entries;
  if (work.hardState !== undefined) {
    message.term = work.hardState.term;
    message.vote = work.hardState.vote;
    message.commit = work.hardState.commit;
  }
  message.snapshot = work.snapshot;
  // The answer comes after this node's acknowledgement to itself: handling that is faster while the entries are still
  // in memory.
  message.responses = needsStorageAppendAnswer(raft, work)
    ? [...raft.messagesAfterAppend, storageAppendAnswer(raft, work)]
    : raft.messagesAfterAppend;
  return message;
}

/**
 * What the append thread returns when this write and all before it are durable.
 *
 * It attests the last entry of the log even if this write has no entries, as long as some are not known to be durable:
 * an answer to an earlier write may have been ignored because the term changed (see `raft/step.ts`), and then a later
 * one has to make up for it.
 */
export function storageAppendAnswer(raft: Raft, work: AppendWork): Message {
  const message = newMessage('MsgStorageAppendResp');
  message.to = raft.id;
  message.from = LOCAL_APPEND_THREAD;
  message.term = raft.term;
  if (raft.log.unstable.length > 0) {
    const last = raft.log.lastEntry();
    message.index = last.index;
    message.logTerm = last.term;
  }
  message.snapshot = work.snapshot;
  return message;
}

/** The instruction to the apply thread. Committed entries belong to no term, so it has none. */
export function storageApply(raft: Raft, committed: readonly Entry[]): Message {
  const message = newMessage('MsgStorageApply');
  message.to = LOCAL_APPLY_THREAD;
  message.from = raft.id;
  message.entries = committed;
  message.responses = [storageApplyAnswer(raft, committed)];
  return message;
}

/** What the apply thread returns when the entries are applied. */
export function storageApplyAnswer(raft: Raft, committed: readonly Entry[]): Message {
  const message = newMessage('MsgStorageApplyResp');
  message.to = raft.id;
  message.from = LOCAL_APPLY_THREAD;
  message.entries = committed;
  return message;
}
