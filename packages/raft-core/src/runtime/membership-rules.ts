/** Which membership changes make sense, and which would leave the group without a majority. Pure. */
import type { ConfChange, ConfChangeSingle, ConfState, NodeId } from '../core/types.ts';
import { RaftError } from './errors.ts';
import type { Member } from './interfaces.ts';
import {
  checkMember,
  encodeMembers,
  PROMOTE_ATTRIBUTE,
  RESERVED_ATTRIBUTE_PREFIX,
} from './member-directory.ts';

/** One step of {@link RaftNode.changeMembership}. */
export type MembershipChange =
  | { readonly type: 'addVoter'; readonly member: Member }
  | { readonly type: 'addLearner'; readonly member: Member; readonly promoteWhenCaughtUp?: boolean }
  /** A learner becomes a voter. */
  | { readonly type: 'promote'; readonly id: NodeId }
  /** A voter becomes a learner. */
  | { readonly type: 'demote'; readonly id: NodeId }
  | { readonly type: 'remove'; readonly id: NodeId }
  /** New address or attributes of a member. */
  | { readonly type: 'update'; readonly member: Member };

/** What the leader knows when a change is asked for. */
export interface MembershipView {
  readonly confState: ConfState;
  member(id: NodeId): Member | undefined;
  /** Heard from within an election timeout; the leader itself always. */
  responds(id: NodeId): boolean;
  /** Committed entries that are not known to be in its log. */
  lagEntries(id: NodeId): number;
  readonly promotionMaxLagEntries: number;
}

/** Turns steps into a change to propose. Throws a RaftError that says what is wrong with it. */
export function planMembershipChange(changes: readonly MembershipChange[], view: MembershipView): ConfChange {
  if (changes.length === 0)
    throw new RaftError('invalidArgument', 'changing the membership: no changes were given');
  if (view.confState.votersOutgoing.length > 0) throw pending('the group is in a joint configuration');
  const singles: ConfChangeSingle[] = [];
  const members: Member[] = [];
  const named = new Set<NodeId>();
  for (const change of changes) {
    const id = 'id' in change ? change.id : change.member.id;
    if (named.has(id))
      throw new RaftError('invalidArgument', `changing the membership: node ${id} is named twice`);
    named.add(id);
    const { type, member } = planOne(change, id, view);
    singles.push({ type, nodeId: id });
    if (member !== undefined) members.push(member);
  }
  checkQuorum(singles, view);
  return { transition: 'auto', changes: singles, context: encodeMembers(members) };
}

/** What the call fails with while another change is under way. */
export function pending(why: string): RaftError {
  return new RaftError('membershipPending', `changing the membership: ${why}; try again when that is done`);
}

interface PlannedChange {
  readonly type: ConfChangeSingle['type'];
  readonly member?: Member;
}

function planOne(change: MembershipChange, id: NodeId, view: MembershipView): PlannedChange {
  const { voters, learners } = view.confState;
  const isVoter = voters.includes(id);
  const isLearner = learners.includes(id);
  switch (change.type) {
    case 'addVoter':
      if (isVoter || isLearner) throw invalid(`node ${id} is a member already; promote it or update it`);
      return { type: 'addNode', member: checked(change.member) };
    case 'addLearner': {
      if (isVoter || isLearner) throw invalid(`node ${id} is a member already; demote it or update it`);
      const { id: memberId, address, attributes } = checked(change.member);
      const marks = change.promoteWhenCaughtUp === true ? { [PROMOTE_ATTRIBUTE]: 'true' } : {};
      return {
        type: 'addLearnerNode',
        member: { id: memberId, address, attributes: { ...attributes, ...marks } },
      };
    }
    case 'promote':
      if (!isLearner)
        throw invalid(isVoter ? `node ${id} is a voter already` : `node ${id} is not a member; add it first`);
      checkCaughtUp(id, view);
      return { type: 'addNode', ...unmarked(view.member(id)) };
    case 'demote':
      if (!isVoter)
        throw invalid(isLearner ? `node ${id} is a learner already` : `node ${id} is not a member`);
      return { type: 'addLearnerNode' };
    case 'remove':
      if (!isVoter && !isLearner) throw invalid(`node ${id} is not a member`);
      return { type: 'removeNode' };
    case 'update':
      if (!isVoter && !isLearner) throw invalid(`node ${id} is not a member; add it first`);
      return { type: 'updateNode', member: keepMark(checked(change.member), view.member(id)) };
  }
}

function checked(member: Member): Member {
  checkMember(member);
  const reserved = Object.keys(member.attributes).find((name) => name.startsWith(RESERVED_ATTRIBUTE_PREFIX));
  if (reserved !== undefined) {
    throw new RaftError(
      'invalidArgument',
      `member ${member.id}: attribute ${reserved} is reserved for raft-core`,
    );
  }
  return member;
}

function unmarked(member: Member | undefined): { readonly member?: Member } {
  if (member === undefined) return {};
  const attributes = Object.entries(member.attributes).filter(([name]) => name !== PROMOTE_ATTRIBUTE);
  return { member: { ...member, attributes: Object.fromEntries(attributes) } };
}

function keepMark(member: Member, known: Member | undefined): Member {
  const mark = known?.attributes[PROMOTE_ATTRIBUTE];
  return mark === undefined
    ? member
    : { ...member, attributes: { ...member.attributes, [PROMOTE_ATTRIBUTE]: mark } };
}

function checkCaughtUp(id: NodeId, view: MembershipView): void {
  if (!view.responds(id)) {
    throw new RaftError(
      'learnerNotCaughtUp',
      `promoting node ${id}: it does not respond; start it, or remove it`,
    );
  }
  const lag = view.lagEntries(id);
  if (lag > view.promotionMaxLagEntries) {
    throw new RaftError(
      'learnerNotCaughtUp',
      `promoting node ${id}: it is ${lag} entries behind and at most ${view.promotionMaxLagEntries} are allowed; wait until it has caught up`,
    );
  }
}

/** The members that respond must be a majority of the voters to be, or the group stops with this very change. */
function checkQuorum(singles: readonly ConfChangeSingle[], view: MembershipView): void {
  const voters = new Set(view.confState.voters);
  for (const { type, nodeId } of singles) {
    if (type === 'addNode') voters.add(nodeId);
    else if (type !== 'updateNode') voters.delete(nodeId);
  }
  if (voters.size === 0) throw invalid('it would leave the group without a voter');
  const responding = [...voters].filter((id) => view.responds(id));
  const quorum = Math.floor(voters.size / 2) + 1;
  if (responding.length < quorum) {
    const silent = [...voters].filter((id) => !view.responds(id)).sort((a, b) => a - b);
    throw new RaftError(
      'quorumWouldBeLost',
      `changing the membership: of the voters to be, ${responding.length} respond and a majority is ${quorum}; ` +
        `bring node ${silent.join(', ')} up or remove it first, and add new voters as learners`,
    );
  }
}

function invalid(why: string): RaftError {
  return new RaftError('membershipInvalid', `changing the membership: ${why}`);
}
