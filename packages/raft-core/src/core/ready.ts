import type {
  Entry,
  HardState,
  LogIndex,
  Message,
  NodeId,
  ReadState,
  Role,
  Snapshot,
  SoftState,
  Term,
} from './types.ts';
import type { ProgressStatus } from './tracker/progress.ts';
import type { TrackerConfig } from './tracker/configuration.ts';

/** Work that the core hands to its caller. What has to happen in which order is told at {@link RawNode}. */
export interface Ready {
  /** Present when leader or role changed. Volatile. */
  readonly softState: SoftState | undefined;
  /** Present when term, vote or commit index changed. To be persisted before `messages` are sent. */
  readonly hardState: HardState | undefined;
  /** Reads that may be served once `index` is applied. */
  readonly readStates: readonly ReadState[];
  /** To be appended to the log before `messages` are sent. An index that exists already: replace from there on. */
  readonly entries: readonly Entry[];
  /** To be persisted, and put in place of the state machine and the log, before `messages` are sent. */
  readonly snapshot: Snapshot | undefined;
  /** Committed, to be applied in order. */
  readonly committedEntries: readonly Entry[];
  /** To be sent, in order. With asynchronous storage writes some are for the local storage threads. */
  readonly messages: readonly Message[];
  /**
   * True when entries, term or vote changed: then the write must be synced. A commit index alone need not be. A
   * snapshot must always be durable before its acknowledgement is sent, whatever this says.
   */
  readonly mustSync: boolean;
}

/** The cheap part of {@link Status}. */
export interface BasicStatus {
  /** This node. */
  readonly id: NodeId;
  /** The latest term it knows. */
  readonly term: Term;
  /** Whom it voted for in that term, 0 for nobody. */
  readonly vote: NodeId;
  /** What it is in that term. */
  readonly role: Role;
  /** 0 when none is known. */
  readonly leader: NodeId;
  /** True for a member without a vote. */
  readonly isLearner: boolean;
  /** Highest index known to be committed. */
  readonly committed: LogIndex;
  /** Highest index that the application has applied. */
  readonly applied: LogIndex;
  /** Last entry of the log, durable or not. */
  readonly lastIndex: LogIndex;
  /** First entry of the log that is not compacted. */
  readonly firstIndex: LogIndex;
  /** Whom leadership is being handed to, 0 for nobody. */
  readonly transferTarget: NodeId;
  /** Payload bytes appended by this leader and not applied yet. */
  readonly uncommittedBytes: number;
}

/** What a node knows about itself and, if it leads, about the others. */
export interface Status extends BasicStatus {
  /** The active membership. */
  readonly config: TrackerConfig;
  /** Every member, in ascending order of ids; empty unless this node is the leader. */
  readonly progress: ReadonlyMap<NodeId, ProgressStatus>;
}
