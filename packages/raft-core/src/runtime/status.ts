/** What a node tells about itself. */
import type { ProgressState } from '../core/tracker/progress.ts';
import type { ConfState, LogIndex, NodeId, Role, Term } from '../core/types.ts';
import type { RaftError } from './errors.ts';
import type { MemberRole } from './events.ts';
import type { Member } from './interfaces.ts';

/** A member as the leader sees it; on other nodes only who it is, its role and whether it is to be promoted. */
export interface MemberStatus extends MemberRole {
  /** Highest index known to be durable there. Undefined unless this node leads, like all that follow. */
  readonly matchIndex: LogIndex | undefined;
  readonly nextIndex: LogIndex | undefined;
  readonly lagEntries: number | undefined;
  readonly state: ProgressState | undefined;
  /** A learner that whoever leads makes a voter once it has caught up. Known on every node. */
  readonly promoting: boolean;
  /** Heard from within an election timeout. */
  readonly recentActive: boolean | undefined;
  /** Index of the snapshot that it is loading, 0 for none. */
  readonly pendingSnapshotIndex: LogIndex | undefined;
  /** Sent to it and not acknowledged, and waiting in the transport. */
  readonly inflightBytes: number | undefined;
  readonly transportQueuedBytes: number | undefined;
}

/** Everything in this node that waits, in bytes. Each is bounded by an option. */
export interface QueueSizes {
  /** Proposals without an outcome, data and 512 bytes for each (`pendingProposalsMaxBytes`). */
  readonly proposalsBytes: number;
  /** Received and not yet handled (`inboxMaxBytes`). */
  readonly inboxBytes: number;
  /** Not yet durable: on the leader bounded by what is proposed, on a follower by what a leader sends ahead. */
  readonly appendBytes: number;
  /** Committed and not yet applied (`applyMaxBytes`, but at least one entry). */
  readonly applyBytes: number;
}

/** A picture of a node at one moment. */
export interface RaftStatus {
  readonly id: NodeId;
  readonly role: Role;
  readonly isLearner: boolean;
  readonly term: Term;
  /** 0 while none is known. */
  readonly leaderId: NodeId;
  readonly leader: Member | undefined;
  readonly commitIndex: LogIndex;
  readonly appliedIndex: LogIndex;
  /** First entry in the log, and last one, durable or not. */
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly confState: ConfState;
  /** Sorted by id. */
  readonly members: readonly MemberStatus[];
  /** Index and term of the newest snapshot, and the bytes of all its chunks. */
  readonly snapshot:
    { readonly index: LogIndex; readonly term: Term; readonly sizeBytes: number } | undefined;
  /** True while a leader's snapshot is being loaded. */
  readonly receivingSnapshot: boolean;
  readonly queues: QueueSizes;
  readonly pendingProposals: number;
  readonly pendingReads: number;
  /** Elections that this node has started since it was. */
  readonly electionsStarted: number;
  /** Received messages that found their queue full. */
  readonly droppedMessages: number;
  readonly membershipChangePending: boolean;
  readonly transferPending: boolean;
  /** `stopped` also after a fatal error, which is then in `fatal`. */
  readonly lifecycle: 'running' | 'stopping' | 'stopped';
  readonly fatal: RaftError | undefined;
}
