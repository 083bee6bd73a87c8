import { decodeConfChange } from '../confchange/codec.ts';
import { RaftCoreError } from '../errors.ts';
import type { ProposalDropReason } from '../errors.ts';
import type { ConfChangeIgnoreReason } from '../events.ts';
import { shiftIndex } from '../ids.ts';
import { NO_BYTES } from '../message.ts';
import { isJoint } from '../tracker/configuration.ts';
import type { ConfChange, LogIndex, NodeId } from '../types.ts';
import { NO_NODE } from '../types.ts';
import type { Raft } from './raft.ts';
import { appendEntries, broadcastAppend } from './replication.ts';
import type { ProposedEntry } from './replication.ts';

/** Appends proposals on the leader and sends them out. Returns the index of the last one. */
export function proposeAtLeader(raft: Raft, proposed: readonly ProposedEntry[]): LogIndex {
  if (proposed.length === 0) throw dropped(raft, 'emptyProposal', NO_NODE);
  // A leader that was removed serves on until the change is spread, but takes nothing new.
  if (raft.tracker.get(raft.id) === undefined) throw dropped(raft, 'leaderRemoved', NO_NODE);
  if (raft.transferTarget !== NO_NODE) throw dropped(raft, 'transferInProgress', raft.transferTarget);
  const index = appendEntries(raft, vetConfChanges(raft, proposed));
  if (index === undefined) throw dropped(raft, 'uncommittedSizeLimit', NO_NODE);
  broadcastAppend(raft);
  return index;
}

/** The error for a proposal that goes nowhere. */
export function dropped(raft: Raft, reason: ProposalDropReason, peer: NodeId): RaftCoreError {
  raft.onEvent?.({ type: 'proposalDropped', node: raft.id, term: raft.term, reason, peer });
  return new RaftCoreError('proposalDropped', `node ${raft.id} dropped a proposal: ${DROP_TEXT[reason]}`, {
    reason,
  });
}

const DROP_TEXT: Readonly<Record<ProposalDropReason, string>> = {
  noLeader: 'no leader is known; try again after an election',
  forwardingDisabled: 'it is not the leader and forwarding is disabled; ask the leader',
  transferInProgress: 'leadership is being transferred; ask the new leader',
  uncommittedSizeLimit: 'too many bytes are uncommitted; try again when some are applied',
  leaderRemoved: 'it is no longer a member; ask the next leader',
  emptyProposal: 'it has no entries; whoever forwards one sends at least one entry',
};

/**
 * Replaces each membership change that does not fit by an empty entry, so that the proposal keeps its place in the
 * log. Best effort: the active configuration may not be the one that the change will be applied to.
 */
function vetConfChanges(raft: Raft, proposed: readonly ProposedEntry[]): readonly ProposedEntry[] {
  if (proposed.every((entry) => entry.type === 'normal')) return proposed;
  // All of them first: bytes that are no change refuse the whole proposal, and nothing may have happened by then.
  const changes = proposed.map((entry) =>
    entry.type === 'normal' ? undefined : decodeConfChange(entry.data),
  );
  return proposed.map((entry, position) => {
    const change = changes[position];
    if (change === undefined) return entry;
    const reason = misfit(raft, change);
    if (reason !== undefined && !raft.config.disableConfChangeValidation) {
      raft.onEvent?.({
        type: 'confChangeIgnored',
        node: raft.id,
        entryType: entry.type,
        change,
        automatic: entry.data.length === 0,
        config: raft.tracker.config,
        reason,
      });
      return { type: 'normal', data: NO_BYTES };
    }
    raft.pendingConfIndex = shiftIndex(raft.log.lastIndex(), position + 1);
    return entry;
  });
}

function misfit(raft: Raft, change: ConfChange): ConfChangeIgnoreReason | undefined {
  const { applied } = raft.log;
  if (raft.pendingConfIndex > applied)
    return { kind: 'unappliedChange', index: raft.pendingConfIndex, applied };
  const leaves = change.changes.length === 0;
  if (isJoint(raft.tracker.config)) return leaves ? undefined : { kind: 'mustLeaveJoint' };
  return leaves ? { kind: 'notJoint' } : undefined;
}
