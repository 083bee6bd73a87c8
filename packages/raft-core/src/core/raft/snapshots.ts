import { confStatesEqual, restoreConfig } from '../confchange/restore.ts';
import { fail } from '../errors.ts';
import { nextTerm } from '../ids.ts';
import { newMessage } from '../message.ts';
import type { ConfState, Message, Snapshot } from '../types.ts';
import { NO_NODE } from '../types.ts';
import { switchToConfig } from './membership.ts';
import type { Raft } from './raft.ts';
import { becomeFollower } from './roles.ts';

/** A snapshot arrived from the leader (paper, section 7). */
export function handleSnapshot(raft: Raft, message: Message): void {
  const { snapshot } = message;
  if (snapshot === undefined) fail('MsgSnap without a snapshot');
  const { index, term } = snapshot.metadata;
  const restored = restore(raft, snapshot);
  raft.onEvent?.({
    type: 'snapshotHandled',
    node: raft.id,
    committed: raft.log.committed,
    snapshot: { term, index },
    restored,
  });
  const answer = newMessage('MsgAppResp');
  answer.to = message.from;
  answer.index = restored ? raft.log.lastIndex() : raft.log.committed;
  raft.send(answer);
}

/** Puts a membership that was persisted or sent in place of the current one. */
export function installConfState(raft: Raft, state: ConfState): void {
  raft.tracker = raft.newTracker();
  const restored = switchToConfig(raft, restoreConfig(raft.tracker, raft.log.lastIndex(), state));
  if (!confStatesEqual(state, restored)) {
    fail(`restoring the membership ${JSON.stringify(state)} gave ${JSON.stringify(restored)}`);
  }
}

/** True when the snapshot replaces the log; false when it is of no use here. */
function restore(raft: Raft, snapshot: Snapshot): boolean {
  const { index, term, confState } = snapshot.metadata;
  // An old one, or a repeat: state never goes back.
  if (index <= raft.log.committed) return false;
  if (raft.role !== 'follower') {
    raft.onEvent?.({ type: 'snapshotRefused', node: raft.id, reason: 'notFollower', snapshot });
    becomeFollower(raft, nextTerm(raft.term), NO_NODE);
    return false;
  }
  // Outgoing voters count: in a joint configuration the group may depend on their vote. Staged learners are among them.
  const member =
    confState.voters.includes(raft.id) ||
    confState.learners.includes(raft.id) ||
    confState.votersOutgoing.includes(raft.id);
  // A newcomer may be sent a snapshot from before it was added; the change that adds it comes with the entries after.
  const newcomer = raft.config.safeguards && raft.tracker.get(raft.id) === undefined;
  if (!member && !newcomer) {
    raft.onEvent?.({ type: 'snapshotRefused', node: raft.id, reason: 'notMember', snapshot });
    return false;
  }
  if (raft.log.matches(term, index)) {
    // The log has all of it: only the commit index was behind.
    raft.onEvent?.({
      type: 'snapshotFastForwarded',
      node: raft.id,
      committed: raft.log.committed,
      last: raft.log.lastEntry(),
      snapshot: { term, index },
    });
    raft.log.commitTo(index);
    return false;
  }
  raft.log.restore(snapshot);
  installConfState(raft, confState);
  raft.onEvent?.({
    type: 'snapshotRestored',
    node: raft.id,
    committed: raft.log.committed,
    last: raft.log.lastEntry(),
    snapshot: { term, index },
  });
  return true;
}
