import type { Member, RaftStatus } from '@pact-journal/raft-core';
import type { ClusterFacts, MemberFacts, NodeRole } from './facts.ts';
import type { Readdress } from './readdressed-transport.ts';

/** Raft's status in the words of the journal. */
export function factsOf(status: RaftStatus, clusterId: string, readdress: Readdress): ClusterFacts {
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
      const isLearner = member.role === 'learner' || member.role === 'demoting';
      return {
        id,
        role: id === status.leaderId ? 'leader' : isLearner ? 'learner' : 'follower',
        raft: address,
        grpc: attributes['grpc'] ?? '',
        metrics: attributes['metrics'] ?? '',
        matchIndex: member.matchIndex,
        active: member.recentActive,
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
