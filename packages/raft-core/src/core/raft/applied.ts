import { isRaftCoreError } from '../errors.ts';
import { maxIndex } from '../ids.ts';
import { NO_BYTES } from '../message.ts';
import type { LogIndex, Snapshot } from '../types.ts';
import { proposeAtLeader } from './proposals.ts';
import type { Raft } from './raft.ts';

/** Committed entries up to `index` are applied. `bytes` is what they count against the limit on applying. */
export function appliedTo(raft: Raft, index: LogIndex, bytes: number): void {
  const applied = maxIndex(index, raft.log.applied);
  raft.log.appliedTo(applied, bytes);
  const { config } = raft.tracker;
  if (!config.autoLeave || applied < raft.pendingConfIndex || raft.role !== 'leader') return;
  // Whoever leads takes the group out of the joint configuration, also when the leader that entered it is gone. A
  // change without bytes cannot be refused for its size; a leadership transfer may still drop it, and then the next
  // applied entry brings another attempt, here or on the next leader.
  try {
    proposeAtLeader(raft, [{ type: 'confChangeV2', data: NO_BYTES }]);
    raft.onEvent?.({ type: 'autoLeaveStarted', node: raft.id, config });
  } catch (error) {
    if (!isRaftCoreError(error, 'proposalDropped')) throw error;
    raft.onEvent?.({ type: 'autoLeaveDropped', node: raft.id, config });
  }
}

/** A snapshot is durable and is the application's state now. */
export function appliedSnapshot(raft: Raft, snapshot: Snapshot): void {
  const { index } = snapshot.metadata;
  raft.log.unstable.stableSnapshotTo(index);
  appliedTo(raft, index, 0);
}
