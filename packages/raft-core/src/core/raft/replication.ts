import { fail, isStorageError } from '../errors.ts';
import { minIndex, NO_INDEX, shiftIndex } from '../ids.ts';
import { payloadSize } from '../log/entry-size.ts';
import { newMessage } from '../message.ts';
import type { Progress } from '../tracker/progress.ts';
import type { Entry, EntryType, LogIndex, NodeId, Snapshot } from '../types.ts';
import type { Raft } from './raft.ts';

/** What is proposed: an entry that has no place in the log yet. */
export interface ProposedEntry {
  readonly type: EntryType;
  readonly data: Uint8Array;
}

/**
 * Sends the follower the entries it lacks, as far as its flow control lets them through. With `sendIfEmpty` an append
 * goes out without entries too: it carries the commit index, and it probes.
 */
export function maybeSendAppend(raft: Raft, to: NodeId, sendIfEmpty: boolean): boolean {
  const progress = raft.tracker.get(to);
  if (progress === undefined || progress.paused()) return false;
  const { log } = raft;
  const anchor = shiftIndex(progress.next, -1);
  const anchorTerm = log.term(anchor);
  // What it needs is compacted.
  if (anchorTerm === undefined) return maybeSendSnapshot(raft, to, progress);

  let entries: readonly Entry[] | undefined = NO_ENTRIES;
  // In a full window only an empty append may go: it gets an answer even if all in the window were lost.
  if (progress.state !== 'replicate' || !progress.inflights.full()) {
    entries = log.entriesFrom(progress.next, raft.config.maxSizePerMsgBytes);
  }
  if (entries === undefined) return sendIfEmpty && maybeSendSnapshot(raft, to, progress);
  if (entries.length === 0 && !sendIfEmpty) return false;

  const message = newMessage('MsgApp');
  message.to = to;
  message.index = anchor;
  message.logTerm = anchorTerm;
  message.entries = entries;
  message.commit = log.committed;
  raft.send(message);
  progress.sentEntries(entries.length, payloadSize(entries));
  progress.sentCommit(log.committed);
  return true;
}

const NO_ENTRIES: readonly Entry[] = Object.freeze<Entry[]>([]);

/** Sends an append, empty if need be. */
export function sendAppend(raft: Raft, to: NodeId): void {
  maybeSendAppend(raft, to, true);
}

/** Sends appends to every member that is not up to date. */
export function broadcastAppend(raft: Raft): void {
  for (const id of raft.tracker.ids) {
    if (id !== raft.id) sendAppend(raft, id);
  }
}

/** Sends a heartbeat to every member. `context` asks for a confirmation of leadership. */
export function broadcastHeartbeat(raft: Raft, context: Uint8Array): void {
  for (const id of raft.tracker.ids) {
    const progress = raft.tracker.get(id);
    if (progress === undefined || id === raft.id) continue;
    const message = newMessage('MsgHeartbeat');
    message.to = id;
    // Never beyond what the follower is known to have: what else is at that index there may still be overwritten.
    message.commit = minIndex(progress.match, raft.log.committed);
    message.context = context;
    raft.send(message);
    progress.sentCommit(message.commit);
  }
}

/**
 * Appends entries to the leader's own log. Returns the index of the last one, `undefined` when that would exceed the
 * quota of uncommitted bytes. The leader acknowledges them to itself only once they are durable here: until then it is
 * not part of the quorum that commits them.
 */
export function appendEntries(raft: Raft, proposed: readonly ProposedEntry[]): LogIndex | undefined {
  if (!growUncommitted(raft, payloadSize(proposed))) return undefined;
  let index = raft.log.lastIndex();
  const entries: Entry[] = [];
  for (let i = 0; i < proposed.length; i += 1) {
    const entry = proposed[i];
    if (entry === undefined) continue;
    index = shiftIndex(index, 1);
    entries.push({ term: raft.term, index, type: entry.type, data: entry.data });
  }
  raft.log.append(entries);
  const ack = newMessage('MsgAppResp');
  ack.to = raft.id;
  ack.index = index;
  raft.send(ack);
  return index;
}

/** Moves the leader's commit index to what the voters have acknowledged. True when it moved. */
export function maybeCommit(raft: Raft): boolean {
  return raft.log.maybeCommit(raft.term, raft.tracker.committed());
}

/** Entries with `bytes` of payload were applied. */
export function shrinkUncommitted(raft: Raft, bytes: number): void {
  raft.uncommittedBytes = Math.max(0, raft.uncommittedBytes - bytes);
}

function growUncommitted(raft: Raft, bytes: number): boolean {
  // The first proposal may have any size, or one above the limit could never pass. Empty entries are always let in:
  // a new leader's first one, and the one that leaves a joint configuration.
  const { uncommittedBytes } = raft;
  const limit = raft.config.maxUncommittedEntriesSizeBytes;
  if (uncommittedBytes > 0 && bytes > 0 && uncommittedBytes + bytes > limit) return false;
  raft.uncommittedBytes += bytes;
  return true;
}

function maybeSendSnapshot(raft: Raft, to: NodeId, progress: Progress): boolean {
  if (!progress.recentActive) {
    raft.onEvent?.({ type: 'snapshotNotSent', node: raft.id, to, reason: 'inactive' });
    return false;
  }
  let snapshot: Snapshot;
  try {
    snapshot = raft.log.snapshot();
  } catch (error) {
    if (!isStorageError(error, 'snapshotTemporarilyUnavailable')) throw error;
    raft.onEvent?.({ type: 'snapshotNotSent', node: raft.id, to, reason: 'unavailable' });
    return false;
  }
  const { index, term } = snapshot.metadata;
  if (index === NO_INDEX)
    fail(`node ${to} needs entries that are compacted, but there is no snapshot that covers them`);
  const before = raft.onEvent === undefined ? undefined : progress.status();
  progress.becomeSnapshot(index);
  if (raft.onEvent !== undefined && before !== undefined) {
    raft.onEvent({
      type: 'snapshotSent',
      node: raft.id,
      to,
      firstIndex: raft.log.firstIndex(),
      committed: raft.log.committed,
      snapshot: { term, index },
      progress: before,
    });
    raft.onEvent({ type: 'replicationPaused', node: raft.id, peer: to, progress: progress.status() });
  }
  const message = newMessage('MsgSnap');
  message.to = to;
  message.snapshot = snapshot;
  raft.send(message);
  return true;
}
