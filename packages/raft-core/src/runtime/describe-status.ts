import type { ProgressStatus } from '../core/tracker/progress.ts';
import type { LogIndex } from '../core/types.ts';
import type { RaftError } from './errors.ts';
import type { MemberRole } from './events.ts';
import { PROMOTE_ATTRIBUTE } from './member-directory.ts';
import type { NodeLoop } from './node-loop.ts';
import type { MemberStatus, RaftStatus } from './status.ts';

/** Puts a node's status together. */
export function describeStatus<Result>(
  loop: NodeLoop<Result>,
  lifecycle: RaftStatus['lifecycle'],
  fatal: RaftError | undefined,
): RaftStatus {
  const { core, directory, options, proposals, inbox, appendWorker, applyWorker } = loop;
  const { progress, ...basic } = core.status();
  const latest = options.snapshotStore.latest();
  return {
    id: options.id,
    role: basic.role,
    isLearner: basic.isLearner,
    term: basic.term,
    leaderId: basic.leader,
    leader: directory.get(basic.leader),
    commitIndex: basic.committed,
    appliedIndex: applyWorker.appliedIndex,
    firstIndex: basic.firstIndex,
    lastIndex: basic.lastIndex,
    confState: directory.confState,
    members: directory
      .roles()
      .map((member) => describeMember(loop, member, progress.get(member.id), basic.lastIndex)),
    snapshot:
      latest === undefined
        ? undefined
        : {
            index: latest.meta.index,
            term: latest.meta.term,
            sizeBytes: latest.chunks.reduce((sum, chunk) => sum + chunk.sizeBytes, latest.manifest.sizeBytes),
          },
    receivingSnapshot: loop.receiver.active,
    queues: {
      proposalsBytes: proposals.pendingBytes,
      inboxBytes: inbox.queuedBytes,
      appendBytes: appendWorker.queuedBytes,
      applyBytes: applyWorker.queuedBytes,
    },
    pendingProposals: proposals.pendingCount,
    pendingReads: loop.reads.pendingCount,
    electionsStarted: loop.leadership.electionsStarted,
    droppedMessages: inbox.dropped,
    membershipChangePending: loop.membership.pending || directory.confState.votersOutgoing.length > 0,
    transferPending: basic.transferTarget !== 0,
    lifecycle,
    fatal,
  };
}

function describeMember<Result>(
  loop: NodeLoop<Result>,
  member: MemberRole,
  progress: ProgressStatus | undefined,
  lastIndex: LogIndex,
): MemberStatus {
  return {
    ...member,
    matchIndex: progress?.match,
    nextIndex: progress?.next,
    lagEntries: progress === undefined ? undefined : lastIndex - progress.match,
    state: progress?.state,
    promoting: member.role === 'learner' && member.attributes[PROMOTE_ATTRIBUTE] !== undefined,
    recentActive: progress === undefined ? undefined : loop.peers.responds(member.id),
    pendingSnapshotIndex: progress?.pendingSnapshot,
    inflightBytes: progress?.inflightBytes,
    transportQueuedBytes: loop.options.transport.stats(member.id)?.queuedBytes,
  };
}
