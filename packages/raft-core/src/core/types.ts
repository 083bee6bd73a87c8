/**
 * The vocabulary of the core: what is logged, what is persisted, what travels between nodes.
 *
 * Names follow the Raft paper and etcd's Raft library, so that either is documentation for this code.
 */

declare const brand: unique symbol;
type Branded<Name extends string> = number & { readonly [brand]: Name };

/** Identity of a node in its group. A safe integer from 1; 0 means "nobody". Never reused after a wipe. */
export type NodeId = Branded<'NodeId'>;
/** Election term. A safe integer from 0. */
export type Term = Branded<'Term'>;
/** Position in the log. A safe integer; the first entry ever is at 1, 0 means "before the log". */
export type LogIndex = Branded<'LogIndex'>;

/** Nobody: no leader, no vote. */
export const NO_NODE = 0 as NodeId;

/** What an entry's `data` means. */
export type EntryType = 'normal' | 'confChange' | 'confChangeV2';

/** One log entry. Immutable once created: cores, stores and transports share the same object. */
export interface Entry {
  /** Term of the leader that appended it first. */
  readonly term: Term;
  /** Its place in the log; the first entry ever is at 1. */
  readonly index: LogIndex;
  /** What `data` means. */
  readonly type: EntryType;
  /** Opaque to Raft for `normal`; an encoded membership change otherwise. Empty for a new leader's first entry. */
  readonly data: Uint8Array;
}

/** What must survive a restart, besides the log. */
export interface HardState {
  /** The latest term this node has seen. Durable before anything of that term is answered. */
  readonly term: Term;
  /** Whom this node voted for in `term`, 0 for nobody. Durable before the vote is answered. */
  readonly vote: NodeId;
  /** Highest index known to be committed. A hint: it may be lost without harm. */
  readonly commit: LogIndex;
}

/** A group's membership as it is persisted (in snapshots, and handed to a restarting core). Lists are sorted by id. */
export interface ConfState {
  /** Voters; of a joint configuration, those of its incoming half. */
  readonly voters: readonly NodeId[];
  /** Voters of the outgoing half of a joint configuration; empty outside of one. */
  readonly votersOutgoing: readonly NodeId[];
  /** Members without a vote. */
  readonly learners: readonly NodeId[];
  /** Voters of the outgoing half that become learners when the joint configuration is left. */
  readonly learnersNext: readonly NodeId[];
  /** True when the leader leaves the joint configuration by itself. */
  readonly autoLeave: boolean;
}

/** What a snapshot is of. */
export interface SnapshotMetadata {
  /** Index and term of the last entry that the snapshot contains. */
  readonly index: LogIndex;
  /** Term of that entry. */
  readonly term: Term;
  /** The membership as of that entry. */
  readonly confState: ConfState;
}

/** A snapshot as the core handles it. `data` is opaque (the runtime puts a small reference there, not the state). */
export interface Snapshot {
  /** What it is of. */
  readonly metadata: SnapshotMetadata;
  /** The state, or a reference to it. */
  readonly data: Uint8Array;
}

/** What a message is; names and meanings as in etcd's Raft library. `MsgStorage...` never leave a node. */
export type MessageType =
  | 'MsgHup'
  | 'MsgBeat'
  | 'MsgProp'
  | 'MsgApp'
  | 'MsgAppResp'
  | 'MsgVote'
  | 'MsgVoteResp'
  | 'MsgSnap'
  | 'MsgHeartbeat'
  | 'MsgHeartbeatResp'
  | 'MsgUnreachable'
  | 'MsgSnapStatus'
  | 'MsgCheckQuorum'
  | 'MsgTransferLeader'
  | 'MsgTimeoutNow'
  | 'MsgReadIndex'
  | 'MsgReadIndexResp'
  | 'MsgPreVote'
  | 'MsgPreVoteResp'
  | 'MsgStorageAppend'
  | 'MsgStorageAppendResp'
  | 'MsgStorageApply'
  | 'MsgStorageApplyResp'
  | 'MsgForgetLeader';

/**
 * A message between nodes, or between a core and its local storage threads. One flat shape for all types, every
 * field always present: the core handles millions of them a second and V8 likes one hidden class.
 */
export interface Message {
  /** What it asks or answers. */
  readonly type: MessageType;
  /** Whom it is for: a node, or a local storage thread. */
  readonly to: NodeId;
  /** Who sent it, or on whose behalf it is forwarded; 0 on local ones. */
  readonly from: NodeId;
  /** 0 on messages that carry no term (local ones, proposals, read requests). */
  readonly term: Term;
  /** Term of the entry at `index`. */
  readonly logTerm: Term;
  /** Before the entries of an append; the last one acknowledged by an answer; the last of a candidate's log; of a read. */
  readonly index: LogIndex;
  /** To be appended, proposed, written or applied; of a read, its context as data. */
  readonly entries: readonly Entry[];
  /** What the sender knows to be committed, as far as the receiver may use it. */
  readonly commit: LogIndex;
  /** On a write to the log: whom this node voted for. */
  readonly vote: NodeId;
  /** To be installed. */
  readonly snapshot: Snapshot | undefined;
  /** True for "no": to an append, a vote, or of a snapshot that failed. */
  readonly reject: boolean;
  /** On a rejected append: the follower's best guess of where the logs agree. */
  readonly rejectHint: LogIndex;
  /**
   * The core's own bytes: the round of a heartbeat, why a vote is asked for, or (with `safeguards`) what whoever rejects a
   * vote knows to be committed.
   */
  readonly context: Uint8Array;
  /** On messages to a local storage thread: what to deliver once the work is durable or applied. */
  readonly responses: readonly Message[];
}

/** Target of `MsgStorageAppend` messages (asynchronous storage writes). Never a real node. */
export const LOCAL_APPEND_THREAD = Number.MAX_SAFE_INTEGER as NodeId;
/** Target of `MsgStorageApply` messages. Never a real node. */
export const LOCAL_APPLY_THREAD = (Number.MAX_SAFE_INTEGER - 1) as NodeId;

/** Volatile state, for observers. */
export interface SoftState {
  /** 0 while none is known. */
  readonly leader: NodeId;
  /** What this node is in its term. */
  readonly role: Role;
}

/** What a node is in its current term. A learner is a `follower`. */
export type Role = 'follower' | 'candidate' | 'leader' | 'preCandidate';

/** A read may be served once the state machine has applied `index`. */
export interface ReadState {
  /** What has to be applied before the read is served. */
  readonly index: LogIndex;
  /** The `context` given to `readIndex`. */
  readonly requestContext: Uint8Array;
}

/** What happens to one member. `addNode` makes a voter (also of a learner), `addLearnerNode` a learner (also of a voter). */
export type ConfChangeType = 'addNode' | 'removeNode' | 'updateNode' | 'addLearnerNode';

/** One step of a membership change. `nodeId` 0 makes it void. */
export interface ConfChangeSingle {
  /** What happens to the member. */
  readonly type: ConfChangeType;
  /** The member, 0 for nobody. */
  readonly nodeId: NodeId;
}

/**
 * How a membership change enters and leaves a joint configuration (thesis 4.3).
 * `auto`: simple where one voter changes, else joint and left automatically; `jointImplicit`: always joint, left
 * automatically; `jointExplicit`: always joint, left by proposing an empty change.
 */
export type ConfChangeTransition = 'auto' | 'jointImplicit' | 'jointExplicit';

/** A membership change. No changes and `auto` leaves a joint configuration. */
export interface ConfChange {
  /** Whether it goes through a joint configuration, and how that is left. */
  readonly transition: ConfChangeTransition;
  /** In this order. */
  readonly changes: readonly ConfChangeSingle[];
  /** Opaque to the core: the runtime carries addresses here. */
  readonly context: Uint8Array;
}

/**
 * Where the core reads its log. Synchronous; what it returns is never mutated afterwards. The core keeps what is not
 * yet durable itself and asks only for what the application has been told to persist.
 */
export interface Storage {
  /** What was persisted: term, vote and commit index, and the membership of the newest snapshot. */
  initialState(): { readonly hardState: HardState; readonly confState: ConfState };
  /** Index of the first entry that `entries` can return: one after the newest compacted entry or snapshot. */
  firstIndex(): LogIndex;
  /** Index of the last entry; that of the newest snapshot when there is none. */
  lastIndex(): LogIndex;
  /** Term of the entry at `index`, which may be `firstIndex() - 1` too. Fails with `StorageError`. */
  term(index: LogIndex): Term;
  /** Entries in `[low, high)`, at least one if there is any, then as many as fit in `maxSizeBytes`. Fails with `StorageError`. */
  entries(low: LogIndex, high: LogIndex, maxSizeBytes: number): readonly Entry[];
  /** The newest snapshot. Fails with `StorageError` `snapshotTemporarilyUnavailable` while one is being made. */
  snapshot(): Snapshot;
}

/** Why a {@link Storage} does not give what it was asked for; explained at `StorageError`. */
export type StorageErrorCode = 'compacted' | 'unavailable' | 'snapshotTemporarilyUnavailable';
