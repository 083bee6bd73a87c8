import { NO_TERM, NO_INDEX } from '../ids.ts';
import { newMessage } from '../message.ts';
import type { Progress } from '../tracker/progress.ts';
import type { Message, NodeId } from '../types.ts';
import { NO_NODE } from '../types.ts';
import { proposeAtLeader } from './proposals.ts';
import type { Raft } from './raft.ts';
import { beat, readAtLeader, readsOnHeartbeatAnswer, releaseEarlyReads } from './reads.ts';
import { broadcastAppend, maybeCommit, maybeSendAppend, sendAppend } from './replication.ts';
import { becomeFollower } from './roles.ts';

/** What a leader does with a message of its own term, or without one. */
export function stepLeader(raft: Raft, message: Message): void {
  switch (message.type) {
    case 'MsgBeat':
      beat(raft);
      return;
    case 'MsgCheckQuorum':
      checkQuorum(raft);
      return;
    case 'MsgProp':
      proposeAtLeader(raft, message.entries);
      return;
    case 'MsgReadIndex':
      readAtLeader(raft, message);
      return;
    case 'MsgForgetLeader':
      return;
    default:
  }
  const progress = raft.tracker.get(message.from);
  if (progress === undefined) {
    raft.onEvent?.({ type: 'progressMissing', node: raft.id, peer: message.from });
    return;
  }
  switch (message.type) {
    case 'MsgAppResp':
      progress.recentActive = true;
      if (message.reject) handleRejection(raft, message, progress);
      else handleAcknowledgement(raft, message, progress);
      return;
    case 'MsgHeartbeatResp':
      handleHeartbeatAnswer(raft, message, progress);
      return;
    case 'MsgSnapStatus':
      handleSnapshotReport(raft, message, progress);
      return;
    case 'MsgUnreachable':
      // Appends sent ahead were probably lost: find out where the follower stands.
      if (progress.state === 'replicate') progress.becomeProbe();
      raft.onEvent?.({
        type: 'peerUnreachable',
        node: raft.id,
        peer: message.from,
        progress: progress.status(),
      });
      return;
    case 'MsgTransferLeader':
      transferTo(raft, message.from, progress);
      return;
    default:
  }
}

function checkQuorum(raft: Raft): void {
  if (!raft.tracker.quorumActive()) {
    raft.onEvent?.({ type: 'quorumLost', node: raft.id });
    becomeFollower(raft, raft.term, NO_NODE);
  }
  for (const [id, progress] of raft.tracker.progress) {
    if (id !== raft.id) progress.recentActive = false;
  }
}

function handleRejection(raft: Raft, message: Message, progress: Progress): void {
  const { from, index, rejectHint, logTerm } = message;
  raft.onEvent?.({
    type: 'rejectionReceived',
    node: raft.id,
    from,
    hint: { term: logTerm, index: rejectHint },
    index,
  });
  // The follower has `logTerm` at the hint, and less before it. Entries here with a later term cannot be there, so the
  // next probe goes to the last one at or before the hint that could: one probe a term, not one an entry.
  const probe = logTerm === NO_TERM ? rejectHint : raft.log.findConflictByTerm(rejectHint, logTerm).index;
  if (!progress.maybeDecrease(index, probe)) return;
  raft.onEvent?.({ type: 'progressDecreased', node: raft.id, peer: from, progress: progress.status() });
  if (progress.state === 'replicate') progress.becomeProbe();
  sendAppend(raft, from);
}

function handleAcknowledgement(raft: Raft, message: Message, progress: Progress): void {
  const { from, index } = message;
  // A probing follower that is caught up acknowledges what is known, and that is what ends the probing.
  if (!progress.maybeUpdate(index) && !(progress.match === index && progress.state === 'probe')) return;
  switch (progress.state) {
    case 'probe':
      progress.becomeReplicate();
      break;
    case 'snapshot':
      // Whatever snapshot it applied, and from whom: if it connects with the log, entries can follow.
      if (progress.match + 1 >= raft.log.firstIndex()) {
        raft.onEvent?.({ type: 'snapshotRecovered', node: raft.id, peer: from, progress: progress.status() });
        progress.becomeProbe();
        progress.becomeReplicate();
      }
      break;
    case 'replicate':
      progress.inflights.freeUpTo(index);
  }
  if (maybeCommit(raft)) {
    releaseEarlyReads(raft);
    broadcastAppend(raft);
  } else if (from !== raft.id && progress.canBumpCommit(raft.log.committed)) {
    sendAppend(raft, from);
  }
  if (from === raft.id) return;
  // The window may have room for several messages now.
  while (maybeSendAppend(raft, from, false));
  if (from === raft.transferTarget && progress.match === raft.log.lastIndex()) {
    transferEvent(raft, from, 'targetCaughtUp');
    sendTimeoutNow(raft, from);
  }
}

function handleHeartbeatAnswer(raft: Raft, message: Message, progress: Progress): void {
  progress.recentActive = true;
  progress.flowPaused = false;
  // To a follower with a full window this sends an empty append, whose answer clears the window if all in it was lost.
  // To a probing one that is caught up as well: its answer ends the probing.
  if (progress.match < raft.log.lastIndex() || progress.state === 'probe') sendAppend(raft, message.from);
  readsOnHeartbeatAnswer(raft, message);
}

function handleSnapshotReport(raft: Raft, message: Message, progress: Progress): void {
  if (progress.state !== 'snapshot') return;
  const succeeded = !message.reject;
  // Forgotten first, or the probing would begin after a snapshot that never arrived.
  if (!succeeded) progress.pendingSnapshot = NO_INDEX;
  progress.becomeProbe();
  raft.onEvent?.({
    type: 'snapshotReported',
    node: raft.id,
    peer: message.from,
    succeeded,
    progress: progress.status(),
  });
  // After success the follower's own answer is on its way; after a failure, try again in a heartbeat's time.
  progress.flowPaused = true;
}

/** Thesis 3.10: bring the target up to date, then let it campaign at once. */
function transferTo(raft: Raft, target: NodeId, progress: Progress): void {
  if (progress.isLearner) {
    transferEvent(raft, target, 'toLearner');
    return;
  }
  const previous = raft.transferTarget;
  if (previous !== NO_NODE) {
    if (previous === target) {
      transferEvent(raft, target, 'alreadyInProgress');
      return;
    }
    raft.abortTransfer();
    transferEvent(raft, previous, 'previousAborted');
  }
  if (target === raft.id) {
    transferEvent(raft, target, 'toSelf');
    return;
  }
  transferEvent(raft, target, 'started');
  // It has one election timeout.
  raft.electionElapsed = 0;
  raft.transferTarget = target;
  if (progress.match === raft.log.lastIndex()) {
    sendTimeoutNow(raft, target);
    transferEvent(raft, target, 'targetUpToDate');
  } else {
    sendAppend(raft, target);
  }
}

function sendTimeoutNow(raft: Raft, to: NodeId): void {
  const message = newMessage('MsgTimeoutNow');
  message.to = to;
  raft.transferSent = true;
  raft.send(message);
}

function transferEvent(
  raft: Raft,
  target: NodeId,
  step:
    | 'started'
    | 'alreadyInProgress'
    | 'previousAborted'
    | 'toSelf'
    | 'toLearner'
    | 'targetUpToDate'
    | 'targetCaughtUp',
): void {
  raft.onEvent?.({ type: 'transfer', node: raft.id, term: raft.term, target, step });
}
