import { Changer } from '../confchange/changer.ts';
import type { ChangedConfig } from '../confchange/changer.ts';
import { jointEntry, leavesJoint } from '../confchange/conf-change.ts';
import { isVoter } from '../tracker/configuration.ts';
import type { ConfChange, ConfState } from '../types.ts';
import { NO_NODE } from '../types.ts';
import type { Raft } from './raft.ts';
import { broadcastAppend, maybeCommit, maybeSendAppend } from './replication.ts';
import { becomeFollower } from './roles.ts';

/** Applies a committed membership change. Throws `RaftCoreError` `invalidConfChange` if it does not fit. */
export function applyConfChange(raft: Raft, change: ConfChange): ConfState {
  const changer = new Changer(raft.tracker, raft.log.lastIndex());
  if (leavesJoint(change)) return switchToConfig(raft, changer.leaveJoint());
  const joint = jointEntry(change);
  return switchToConfig(
    raft,
    joint === undefined
      ? changer.simple(change.changes)
      : changer.enterJoint(joint.autoLeave, change.changes),
  );
}

/** Makes a membership the active one, and does what follows from it. */
export function switchToConfig(raft: Raft, { config, progress }: ChangedConfig): ConfState {
  raft.tracker.install(config, progress);
  raft.onEvent?.({ type: 'configSwitched', node: raft.id, config });
  const state = raft.confState();
  const own = raft.tracker.get(raft.id);
  raft.isLearner = own?.isLearner ?? false;

  if (raft.role !== 'leader') return state;
  if (own === undefined || raft.isLearner) {
    if (raft.config.stepDownOnRemoval) becomeFollower(raft, raft.term, NO_NODE);
    return state;
  }
  if (state.voters.length === 0) return state;

  if (maybeCommit(raft)) {
    // With fewer voters to ask, more may be committed now.
    broadcastAppend(raft);
  } else {
    // New members should not have to wait for a heartbeat or a proposal.
    for (const id of raft.tracker.ids) {
      if (id !== raft.id) maybeSendAppend(raft, id, false);
    }
  }
  if (raft.transferTarget !== NO_NODE && !isVoter(config, raft.transferTarget)) raft.abortTransfer();
  return state;
}
