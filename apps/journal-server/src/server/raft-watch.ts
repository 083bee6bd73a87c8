/** What the log and the metrics are told of consensus. */
import type { CommandResult } from '@pact-journal/journal-state';
import type { NodeId, RaftError, RaftNode } from '@pact-journal/raft-core';
import type { Alarms } from './alarms.ts';
import type { Logger } from './log.ts';
import type { ServerMetrics } from './metrics.ts';

export function watchRaft(
  node: RaftNode<CommandResult>,
  metrics: ServerMetrics,
  log: Logger,
  alarms: Alarms,
  onFatal: (error: RaftError) => void,
  membership: MembershipListener,
): void {
  node.on('leaderChange', ({ leaderId, leader, term }) => {
    metrics.leaderChanged();
    log.info(
      { leader_id: leaderId, address: leader?.address, term },
      leaderId === 0 ? 'no leader' : 'leader',
    );
  });
  node.on('roleChange', ({ role, previous, term }) => {
    if (role === 'candidate') metrics.stoodForElection();
    log.debug({ role, previous, term }, 'role changed');
  });
  node.on('membershipChange', ({ index, members }) => {
    log.info({ index, members: members.map(({ id, role }) => ({ id, role })) }, 'membership changed');
  });
  watchRemoval(node, {
    isJoining: membership.isJoining,
    onRemoved: () => {
      const message = `node ${String(node.id)} is no member any more; stop it and remove its data directory, whose id is used up`;
      alarms.raise('removed', message);
      log.warn(message);
      membership.onRemoved();
    },
    onReadmitted: () => {
      alarms.clear('removed');
      log.warn(`node ${String(node.id)} is a member again`);
      membership.onReadmitted();
    },
  });
  node.on('appendDurable', (event) => {
    metrics.appendDurable(event);
  });
  node.on('proposalApplied', (event) => {
    metrics.proposalApplied(event);
  });
  node.on('snapshotSaved', (event) => {
    metrics.snapshotSaved(event);
    const { index } = event.snapshot.meta;
    log.info({ index, duration_ms: Math.round(event.durationMs) }, 'snapshot saved');
  });
  node.on('snapshotInstalled', ({ snapshot }) => {
    metrics.snapshotOf(Date.now());
    log.info({ index: snapshot.meta.index }, "a peer's snapshot is installed");
  });
  node.on('snapshotTransfer', ({ from, index, phase, error }) => {
    if (phase === 'failed') log.warn({ from, index, err: error }, "a peer's snapshot could not be fetched");
    else
      log.info(
        { from, index },
        phase === 'started' ? "fetching a peer's snapshot" : "a peer's snapshot is here",
      );
  });
  node.on('diskStalled', ({ stalledMs, transferee }) => {
    log.warn({ stalled_ms: stalledMs, transferee }, 'the disk does not answer: leadership is handed over');
  });
  node.on('fatal', ({ error }) => {
    log.fatal({ err: error }, 'this node has stopped for good');
    onFatal(error);
  });
}

/** What tells of a node's membership. */
export interface WatchedMember extends Pick<RaftNode<CommandResult>, 'id' | 'on'> {
  status(): { readonly members: readonly { readonly id: NodeId }[] };
}

/** Told of this node's own membership. */
export interface MembershipListener {
  /** It is not a member yet, and asks to become one. */
  readonly isJoining: boolean;
  /** Called at once where it was removed before it started. */
  readonly onRemoved: () => void;
  /** It is a member again after that. */
  readonly onReadmitted: () => void;
}

/** A node that joins reads of the members before it; it is not removed by that. */
export function watchRemoval(
  node: WatchedMember,
  { isJoining, onRemoved, onReadmitted }: MembershipListener,
): void {
  const isIn = (members: readonly { readonly id: NodeId }[]): boolean =>
    members.some(({ id }) => id === node.id);
  const { members: present } = node.status();
  let state: 'joining' | 'member' | 'removed' = isIn(present) ? 'member' : isJoining ? 'joining' : 'removed';
  if (state === 'removed') onRemoved();
  node.on('membershipChange', ({ members }) => {
    if (isIn(members)) {
      if (state === 'removed') onReadmitted();
      state = 'member';
    } else if (state === 'member') {
      state = 'removed';
      onRemoved();
    }
  });
}
