/** The Raft group's members for human eyes. */
import type { MemberStatus } from '@pact-journal/journal-client';

export const MEMBER_COLUMNS = ['ID', 'ROLE', 'MATCH', 'GRPC', 'RAFT', 'ACTIVE'] as const;

/** Unknown where only the leader could know: `-`. */
export function memberRow(member: MemberStatus): readonly string[] {
  return [
    String(member.id),
    member.role,
    member.match_index === null ? '-' : String(member.match_index),
    member.grpc,
    member.raft,
    member.active === null ? '-' : member.active ? 'yes' : 'no',
  ];
}
