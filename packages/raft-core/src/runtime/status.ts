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
  /** Index of the next entry that will be sent to it. */
  readonly nextIndex: LogIndex | undefined;
  /** Entries of this node's log that are not known to be durable there. */
  readonly lagEntries: number | undefined;
  /** How it is fed: one append an answer, ahead of the answers, or a snapshot. */
  readonly state: ProgressState | undefined;
  /** A learner that whoever leads makes a voter once it has caught up. Known on every node. */
  readonly promoting: boolean;
  /** Heard from within an election timeout. */
  readonly recentActive: boolean | undefined;
  /** Index of the snapshot that it is loading, 0 for none. */
  readonly pendingSnapshotIndex: LogIndex | undefined;
  /** Payload of entries sent to it and not acknowledged. */
  readonly inflightBytes: number | undefined;
  /** Waiting for it in the transport, in bytes. */
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
  /** This node. */
  readonly id: NodeId;
  /** What it is in its term. */
  readonly role: Role;
  /** True for a member without a vote. */
  readonly isLearner: boolean;
  /** The latest term that it knows, durable or about to be. */
  readonly term: Term;
  /** 0 while none is known. */
  readonly leaderId: NodeId;
  /** The leader with its address; undefined while none is known, or none of that id. */
  readonly leader: Member | undefined;
  /** Highest index known here to be committed. */
  readonly commitIndex: LogIndex;
  /** Highest index that the state machine here contains. */
  readonly appliedIndex: LogIndex;
  /** First entry in the log: what is before it is in a snapshot. */
  readonly firstIndex: LogIndex;
  /** Last entry in the log, durable or not. */
  readonly lastIndex: LogIndex;
  /** The membership that is applied here. */
  readonly confState: ConfState;
  /** Sorted by id. */
  readonly members: readonly MemberStatus[];
  /** Index and term of the newest snapshot, and the bytes of all its chunks. */
  readonly snapshot:
    { readonly index: LogIndex; readonly term: Term; readonly sizeBytes: number } | undefined;
  /** True while a leader's snapshot is being loaded. */
  readonly receivingSnapshot: boolean;
  /** What waits in this node. */
  readonly queues: QueueSizes;
  /** Proposals of this node without an outcome. */
  readonly pendingProposals: number;
  /** Reads of this node without an answer. */
  readonly pendingReads: number;
  /** Elections that this node has started since it was. */
  readonly electionsStarted: number;
  /** Received messages that found their queue full. */
  readonly droppedMessages: number;
  /** True while a membership change that was asked for here has no outcome. */
  readonly membershipChangePending: boolean;
  /** True while a transfer of leadership that was asked for here has no outcome. */
  readonly transferPending: boolean;
  /** `stopped` also after a fatal error, which is then in `fatal`. */
  readonly lifecycle: 'running' | 'stopping' | 'stopped';
  /** What ended this instance, if it was not `stop`. */
  readonly fatal: RaftError | undefined;
}
