/** Who the members are and where: replicated in the context of membership changes, persisted in snapshots. */
import type { ConfChange, ConfState, NodeId } from '../core/types.ts';
import { RaftError } from './errors.ts';
import type { MemberRole, MembershipRole } from './events.ts';
import type { Member } from './interfaces.ts';

/** Attributes below this prefix are the runtime's own. */
export const RESERVED_ATTRIBUTE_PREFIX = 'raft-core:';
/** Set on a learner that the leader promotes by itself once it has caught up. */
export const PROMOTE_ATTRIBUTE = `${RESERVED_ATTRIBUTE_PREFIX}promote-when-caught-up`;

const ATTRIBUTES_MAX_BYTES = 4096;
const ADDRESS_MAX_BYTES = 1024;
const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Fails with `invalidArgument` on an id, address or attributes out of range. */
export function checkMember(member: Member): void {
  if (!Number.isSafeInteger(member.id) || member.id < 1) {
    throw new RaftError('invalidArgument', `member id ${member.id}: ids are safe integers from 1`);
  }
  if (encoder.encode(member.address).length > ADDRESS_MAX_BYTES) {
    throw new RaftError(
      'invalidArgument',
      `member ${member.id}: its address is longer than ${ADDRESS_MAX_BYTES} bytes`,
    );
  }
  if (encoder.encode(JSON.stringify(member.attributes)).length > ATTRIBUTES_MAX_BYTES) {
    throw new RaftError(
      'invalidArgument',
      `member ${member.id}: its attributes take more than ${ATTRIBUTES_MAX_BYTES} bytes as JSON`,
    );
  }
}

/** Members as the context of a membership change. The same members give the same bytes. */
export function encodeMembers(members: readonly Member[]): Uint8Array {
  const plain = [...members].sort(byId).map((member) => ({
    id: member.id,
    address: member.address,
    attributes: Object.fromEntries(Object.entries(member.attributes).sort(([a], [b]) => (a < b ? -1 : 1))),
  }));
  return encoder.encode(JSON.stringify(plain));
}

/** The inverse. Bytes that are not members (a change proposed by other means) count as none. */
export function decodeMembers(context: Uint8Array): readonly Member[] {
  if (context.length === 0) return [];
  let parsed: unknown;
  try {
    parsed = JSON.parse(decoder.decode(context));
  } catch {
    return [];
  }
  return Array.isArray(parsed) ? parsed.filter(isMember) : [];
}

function isMember(value: unknown): value is Member {
  if (typeof value !== 'object' || value === null) return false;
  const { id, address, attributes } = value as Partial<Record<keyof Member, unknown>>;
  return (
    Number.isSafeInteger(id) &&
    typeof address === 'string' &&
    typeof attributes === 'object' &&
    attributes !== null &&
    Object.values(attributes).every((attribute) => typeof attribute === 'string')
  );
}

function byId(a: Member, b: Member): number {
  return a.id - b.id;
}

/** The role of `id` in a configuration; undefined for a stranger. */
export function membershipRole(confState: ConfState, id: NodeId): MembershipRole | undefined {
  const joint = confState.votersOutgoing.length > 0;
  if (confState.voters.includes(id))
    return joint && !confState.votersOutgoing.includes(id) ? 'incoming' : 'voter';
  if (confState.learnersNext.includes(id)) return 'demoting';
  if (confState.votersOutgoing.includes(id)) return 'outgoing';
  return confState.learners.includes(id) ? 'learner' : undefined;
}

/** All ids that take any part in a configuration, ascending. */
export function memberIds(confState: ConfState): readonly NodeId[] {
  const ids = new Set([
    ...confState.voters,
    ...confState.votersOutgoing,
    ...confState.learners,
    ...confState.learnersNext,
  ]);
  return [...ids].sort((a, b) => a - b);
}

/** The members of the present configuration, as of the last applied change. */
export class MemberDirectory {
  #members = new Map<NodeId, Member>();
  #confState: ConfState;

  constructor(confState: ConfState, members: readonly Member[]) {
    this.#confState = confState;
    this.replace(confState, members);
  }

  get confState(): ConfState {
    return this.#confState;
  }

  /** After a snapshot was installed. */
  replace(confState: ConfState, members: readonly Member[]): void {
    this.#members = new Map(members.map((member) => [member.id, member]));
    this.#settle(confState);
  }

  /** After the core applied a change: what the change carried is learned, whoever left is forgotten. */
  apply(change: ConfChange, confState: ConfState): void {
    const named = new Set(change.changes.map((single) => single.nodeId));
    for (const member of decodeMembers(change.context)) {
      if (named.has(member.id)) this.#members.set(member.id, member);
    }
    this.#settle(confState);
  }

  get(id: NodeId): Member | undefined {
    return this.#members.get(id);
  }

  /** Sorted by id. */
  list(): readonly Member[] {
    return [...this.#members.values()].sort(byId);
  }

  roles(): readonly MemberRole[] {
    return this.list().map((member) => ({
      ...member,
      role: membershipRole(this.#confState, member.id) ?? 'learner',
    }));
  }

  #settle(confState: ConfState): void {
    this.#confState = confState;
    const present = new Set(memberIds(confState));
    for (const id of this.#members.keys()) {
      if (!present.has(id)) this.#members.delete(id);
    }
    for (const id of present) {
      // A change proposed without a context: the member counts, but nobody knows where it is.
      if (!this.#members.has(id)) this.#members.set(id, { id, address: '', attributes: {} });
    }
  }
}
