import type { Member, RaftStatus } from '@pact-journal/raft-core';
import type { ClusterFacts, MemberFacts, NodeRole } from './facts.ts';
import type { Readdress } from './readdressed-transport.ts';

export interface FactSources {
  readonly status: RaftStatus;
  readonly clusterId: string;
  readonly readdress: Readdress;
  /** Of the program that a member runs; empty where that is not known. */
  readonly versionOf: (id: number) => string;
  /** How long the entry after `index` has been committed, on the leader. */
  readonly committedForMs: (index: number) => number;
}

/** Raft's status in the words of the journal. */
export function factsOf(sources: FactSources): ClusterFacts {
  const { status, clusterId, readdress } = sources;
  return {
    nodeId: status.id,
    clusterId,
    role: roleOf(status),
    leaderId: status.leaderId,
    term: status.term,
    commitIndex: status.commitIndex,
    appliedIndex: status.appliedIndex,
    firstIndex: status.firstIndex,
    lastIndex: status.lastIndex,
    snapshotIndex: status.snapshot?.index ?? 0,
    members: status.members.map((member): MemberFacts => {
      const { id, address, attributes } = readdress(member);
      const { matchIndex, promoting } = member;
      const isLearner = member.role === 'learner' || member.role === 'demoting';
      return {
        id,
        role: id === status.leaderId ? 'leader' : isLearner ? 'learner' : 'follower',
        raft: address,
        grpc: attributes['grpc'] ?? '',
        metrics: attributes['metrics'] ?? '',
        matchIndex,
        active: member.recentActive,
        lagEntries: matchIndex === undefined ? undefined : Math.max(0, status.commitIndex - matchIndex),
        lagMs: matchIndex === undefined ? undefined : sources.committedForMs(matchIndex),
        promoting,
        version: sources.versionOf(id),
      };
    }),
  };
}

function roleOf(status: RaftStatus): NodeRole {
  if (status.isLearner) return 'learner';
  return status.role === 'preCandidate' ? 'candidate' : status.role;
}

/** Where a member serves clients; undefined where it never said. */
export function clientAddress(member: Member): string | undefined {
  const grpc = member.attributes['grpc'];
  return grpc === undefined || grpc === '' ? undefined : grpc;
}
