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

/** Log entries that a node may lag behind what it knows to be committed and still count as caught up. */
export const READY_LAG_ENTRIES_MAX = 1_000;

/** Why a node should get no traffic; empty where it should. */
export function unreadiness(facts: ClusterFacts, stopping: boolean): readonly string[] {
  const reasons: string[] = [];
  if (stopping) reasons.push('stopping');
  if (facts.leaderId === 0) reasons.push('no leader known');
  const lag = facts.commitIndex - facts.appliedIndex;
  if (lag > READY_LAG_ENTRIES_MAX) reasons.push(`${String(lag)} entries behind what is committed`);
  return reasons;
}
