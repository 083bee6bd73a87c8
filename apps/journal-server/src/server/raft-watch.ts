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
  onRemoved: () => void,
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
  watchRemoval(node, () => {
    const message = `node ${String(node.id)} is no member any more; stop it and remove its data directory, whose id is used up`;
    alarms.raise('removed', message);
    log.warn(message);
    onRemoved();
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

/** Tells of a removal of this node. A node that joins reads of the members before it, which is none. */
export function watchRemoval(node: WatchedMember, onRemoved: () => void): void {
  const isIn = (members: readonly { readonly id: NodeId }[]): boolean =>
    members.some(({ id }) => id === node.id);
  let wasMember = isIn(node.status().members);
  node.on('membershipChange', ({ members }) => {
    const removed = wasMember && !isIn(members);
    wasMember = isIn(members);
    if (removed) onRemoved();
  });
}
