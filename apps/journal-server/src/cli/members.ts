/** The Raft group's members for human eyes. */
import type { MemberStatus } from '@pact-journal/journal-client';
import { formatCount, formatSpan } from './tables.ts';

export const MEMBER_COLUMNS = ['ID', 'ROLE', 'STATE', 'LAG', 'VERSION', 'GRPC', 'RAFT'] as const;

export function memberRow(member: MemberStatus): readonly string[] {
  return [
    String(member.id),
    member.role,
    memberState(member),
    memberLag(member),
    member.version === '' ? '-' : member.version,
    member.grpc,
    member.raft,
  ];
}

/** Unknown where only the leader could know: `-`. */
export function memberState({ active, promoting }: MemberStatus): string {
  const state = active === null ? '-' : active ? 'up' : 'silent';
  return promoting ? `${state}, to be promoted` : state;
}

/** Entries and, where it is behind, for how long; `-` where only the leader could know. */
export function memberLag({ lag_entries: entries, lag_ms: ms }: MemberStatus): string {
  if (entries === null) return '-';
  return entries === 0 || ms === null ? formatCount(entries) : `${formatCount(entries)} (${formatSpan(ms)})`;
}
