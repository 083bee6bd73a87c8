/** What this node knows of itself and its group, in the words of the services, of HTTP and of the metrics. */

/** This node's part right now. A voter that is between leaders is a `candidate` once it asks for votes. */
export type NodeRole = 'leader' | 'follower' | 'candidate' | 'learner';

export interface MemberFacts {
  readonly id: number;
  readonly role: 'leader' | 'follower' | 'learner';
  readonly grpc: string;
  readonly raft: string;
  readonly metrics: string;
  /** The last log index known to be on it; undefined where this node cannot know, because it does not lead. */
  readonly matchIndex: number | undefined;
  /** Heard from lately; undefined where this node cannot know. */
  readonly active: boolean | undefined;
  /** Committed log entries that are not known to be on it; undefined where this node cannot know. */
  readonly lagEntries: number | undefined;
  /** How old the oldest of these is, as far as the leader remembers; undefined where this node cannot know. */
  readonly lagMs: number | undefined;
  /** A learner that is given a vote once it has caught up. */
  readonly promoting: boolean;
  /** Of the program that it runs; empty where this node has not heard it say so. */
  readonly version: string;
}

/** The file system below the data directory. Sizes in bytes. */
export interface DiskFacts {
  readonly dataDir: string;
  /** What the journal takes there. */
  readonly usedBytes: number;
  /** What it may still take. */
  readonly freeBytes: number;
  /** Of the whole file system. */
  readonly totalBytes: number;
}

/** A certificate that this node presents or trusts. */
export interface CertificateFacts {
  /** What it is for, for example `peer` or `client CA`. */
  readonly purpose: string;
  /** Whom it names. */
  readonly subject: string;
  /** The file that it was read from. */
  readonly path: string;
  readonly notAfter: Date;
}

export interface ClusterFacts {
  readonly nodeId: number;
  readonly clusterId: string;
  readonly role: NodeRole;
  /** 0 while no leader is known. */
  readonly leaderId: number;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** 0 where there is no snapshot. */
  readonly snapshotIndex: number;
  /** Sorted by id. */
  readonly members: readonly MemberFacts[];
}
