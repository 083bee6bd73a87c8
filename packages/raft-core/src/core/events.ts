import type { ProposalDropReason } from './errors.ts';
import type { TrackerConfig } from './tracker/configuration.ts';
import type { ProgressStatus } from './tracker/progress.ts';
import type { ConfChange, EntryType, LogIndex, MessageType, NodeId, Role, Snapshot, Term } from './types.ts';

/** An entry's position and the term it was written in. */
export interface EntryId {
  /** Term it was written in. */
  readonly term: Term;
  /** Its place in the log. */
  readonly index: LogIndex;
}

/** Where the log of a node stands, in events about restoring a snapshot. */
export interface LogPosition {
  /** Highest index known to be committed. */
  readonly committed: LogIndex;
  /** Highest index that the application has applied. */
  readonly applied: LogIndex;
  /** Highest index handed out for applying. */
  readonly applying: LogIndex;
  /** First index that is not known to be durable. */
  readonly unstableOffset: LogIndex;
  /** First index whose writing has not begun. */
  readonly unstableOffsetInProgress: LogIndex;
  /** Entries not known to be durable. */
  readonly unstableEntries: number;
}

/** Why a leader refuses to append a membership change. */
export type ConfChangeIgnoreReason =
  | { readonly kind: 'unappliedChange'; readonly index: LogIndex; readonly applied: LogIndex }
  | { readonly kind: 'mustLeaveJoint' }
  | { readonly kind: 'notJoint' };

/**
 * A decision of the core, for logs, metrics and tests. Events never influence anything; without a sink none is made.
 * `render/` turns them into lines of text.
 */
export type RaftEvent =
  // Life and roles
  | {
      readonly type: 'started';
      readonly node: NodeId;
      readonly voters: readonly NodeId[];
      readonly term: Term;
      readonly committed: LogIndex;
      readonly applied: LogIndex;
      readonly last: EntryId;
    }
  | { readonly type: 'roleChanged'; readonly node: NodeId; readonly role: Role; readonly term: Term }
  | { readonly type: 'configSwitched'; readonly node: NodeId; readonly config: TrackerConfig }
  | { readonly type: 'quorumLost'; readonly node: NodeId }
  | { readonly type: 'leaderForgotten'; readonly node: NodeId; readonly leader: NodeId; readonly term: Term }
  | { readonly type: 'forgetLeaderRefused'; readonly node: NodeId }
  // Elections
  | { readonly type: 'electionStarted'; readonly node: NodeId; readonly term: Term }
  | {
      readonly type: 'electionRefused';
      readonly node: NodeId;
      readonly term: Term;
      readonly reason: 'alreadyLeader' | 'notPromotable' | 'unappliedConfChange';
    }
  | {
      readonly type: 'voteRequested';
      readonly node: NodeId;
      readonly to: NodeId;
      readonly term: Term;
      readonly last: EntryId;
      readonly messageType: MessageType;
    }
  | {
      readonly type: 'voteReceived';
      readonly node: NodeId;
      readonly from: NodeId;
      readonly term: Term;
      readonly messageType: MessageType;
      readonly granted: boolean;
    }
  | {
      readonly type: 'votesTallied';
      readonly node: NodeId;
      readonly messageType: MessageType;
      readonly granted: number;
      readonly rejected: number;
    }
  | {
      readonly type: 'voteAnswered';
      readonly node: NodeId;
      readonly candidate: NodeId;
      readonly messageType: MessageType;
      readonly answer: 'granted' | 'rejected';
      /** Whom this node had voted for before, 0 for nobody. */
      readonly vote: NodeId;
      readonly last: EntryId;
      readonly candidateLast: EntryId;
      readonly term: Term;
    }
  | {
      readonly type: 'voteIgnoredInLease';
      readonly node: NodeId;
      readonly candidate: NodeId;
      readonly messageType: MessageType;
      readonly vote: NodeId;
      readonly last: EntryId;
      readonly candidateLast: EntryId;
      readonly term: Term;
      readonly remainingTicks: number;
    }
  // Terms
  | {
      readonly type: 'higherTermReceived' | 'lowerTermIgnored';
      readonly node: NodeId;
      readonly from: NodeId;
      readonly messageType: MessageType;
      readonly term: Term;
      readonly messageTerm: Term;
    }
  | {
      readonly type: 'staleAppendAckIgnored';
      readonly node: NodeId;
      readonly messageType: MessageType;
      readonly term: Term;
      readonly messageTerm: Term;
    }
  // Replication
  | {
      readonly type: 'appendRejected';
      readonly node: NodeId;
      readonly from: NodeId;
      /** Term of this node's own entry at the anchor, 0 when it has none. */
      readonly ownTerm: Term;
      readonly anchor: EntryId;
    }
  | {
      readonly type: 'rejectionReceived';
      readonly node: NodeId;
      readonly from: NodeId;
      readonly hint: EntryId;
      readonly index: LogIndex;
    }
  | {
      readonly type: 'progressDecreased' | 'peerUnreachable' | 'snapshotRecovered' | 'replicationPaused';
      readonly node: NodeId;
      readonly peer: NodeId;
      readonly progress: ProgressStatus;
    }
  | { readonly type: 'progressMissing'; readonly node: NodeId; readonly peer: NodeId }
  | {
      readonly type: 'conflictFound';
      readonly node: NodeId;
      readonly index: LogIndex;
      readonly existingTerm: Term;
      readonly conflictingTerm: Term;
    }
  | {
      readonly type:
        'unstableReplaced' | 'unstableTruncated' | 'stableEntryMissing' | 'stableEntryIsSnapshot';
      readonly node: NodeId;
      readonly index: LogIndex;
    }
  | {
      readonly type: 'stableEntryMismatch';
      readonly node: NodeId;
      readonly acknowledged: EntryId;
      readonly actualTerm: Term;
    }
  // Proposals and membership
  | {
      readonly type: 'proposalDropped';
      readonly node: NodeId;
      readonly term: Term;
      readonly reason: ProposalDropReason;
      /** The leader or the transfer's target, where the reason has one. */
      readonly peer: NodeId;
    }
  | {
      readonly type: 'confChangeIgnored';
      readonly node: NodeId;
      readonly entryType: EntryType;
      readonly change: ConfChange;
      /** True for the change without bytes, which a leader proposes by itself. */
      readonly automatic: boolean;
      readonly config: TrackerConfig;
      readonly reason: ConfChangeIgnoreReason;
    }
  | { readonly type: 'autoLeaveStarted'; readonly node: NodeId; readonly config: TrackerConfig }
  | { readonly type: 'autoLeaveDropped'; readonly node: NodeId; readonly config: TrackerConfig }
  // Snapshots
  | {
      readonly type: 'snapshotSent';
      readonly node: NodeId;
      readonly to: NodeId;
      readonly firstIndex: LogIndex;
      readonly committed: LogIndex;
      readonly snapshot: EntryId;
      readonly progress: ProgressStatus;
    }
  | {
      readonly type: 'snapshotNotSent';
      readonly node: NodeId;
      readonly to: NodeId;
      readonly reason: 'inactive' | 'unavailable';
    }
  | {
      readonly type: 'snapshotReported';
      readonly node: NodeId;
      readonly peer: NodeId;
      readonly succeeded: boolean;
      readonly progress: ProgressStatus;
    }
  | {
      readonly type: 'snapshotRestoring';
      readonly node: NodeId;
      readonly position: LogPosition;
      readonly snapshot: EntryId;
    }
  | {
      readonly type: 'snapshotRestored' | 'snapshotFastForwarded';
      readonly node: NodeId;
      readonly committed: LogIndex;
      readonly last: EntryId;
      readonly snapshot: EntryId;
    }
  | {
      readonly type: 'snapshotHandled';
      readonly node: NodeId;
      readonly committed: LogIndex;
      readonly snapshot: EntryId;
      readonly restored: boolean;
    }
  | {
      readonly type: 'snapshotRefused';
      readonly node: NodeId;
      readonly reason: 'notFollower' | 'notMember';
      readonly snapshot: Snapshot;
    }
  // Leadership transfer
  | {
      readonly type: 'transfer';
      readonly node: NodeId;
      readonly term: Term;
      readonly target: NodeId;
      readonly step:
        | 'started'
        | 'alreadyInProgress'
        | 'previousAborted'
        | 'toSelf'
        | 'toLearner'
        | 'targetUpToDate'
        | 'targetCaughtUp'
        | 'noLeader';
    }
  | {
      readonly type: 'timeoutNowReceived';
      readonly node: NodeId;
      readonly term: Term;
      readonly from: NodeId;
      /** True for a candidate, which is campaigning anyhow. */
      readonly ignored: boolean;
      readonly role: Role;
    }
  // Reads
  | { readonly type: 'readDropped'; readonly node: NodeId; readonly term: Term }
  | { readonly type: 'readReleasedTooEarly'; readonly node: NodeId }
  | {
      readonly type: 'readResponseMalformed';
      readonly node: NodeId;
      readonly from: NodeId;
      readonly entries: number;
    };

/** Receives events, synchronously, in the order of the decisions. Must not call back into the node. */
export type RaftEventSink = (event: RaftEvent) => void;
