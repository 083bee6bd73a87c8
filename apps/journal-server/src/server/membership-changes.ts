/** Changes of the group's members, as operators ask for them. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  isRaftError,
  RaftError,
  toNodeId,
  type MembershipChange,
  type NodeId,
  type NotLeaderError,
  type RaftErrorCode,
  type RaftNode,
} from '@pact-journal/raft-core';
import type { MemberFacts } from './facts.ts';
import { raftMember } from './members.ts';
import type { NewMember } from './services/cluster-service.ts';

/**
 * How long a change waits for what passes by itself: another one that is under way; and a leader that has just come to
 * lead and has not heard from all others yet, to whom they seem not to respond.
 */
const CHANGE_WAIT_MS: Partial<Record<RaftErrorCode, number>> = {
  membershipPending: 5_000,
  quorumWouldBeLost: 1_000,
  learnerNotCaughtUp: 1_000,
};
const CHANGE_RETRY_MS = 20;

type Node = Pick<
  RaftNode<unknown>,
  'id' | 'addLearner' | 'promote' | 'checkMembership' | 'changeMembership' | 'transferLeadership'
>;

export interface Leadership {
  /** Undefined while this node leads. */
  readonly whoLeads: () => NotLeaderError | undefined;
  /** Whether this node alone has a vote. */
  readonly isSoleVoter: () => boolean;
  readonly members: () => readonly MemberFacts[];
}

/** All of them fail with raft-core's errors, `NotLeaderError` among them: then they are another node's to make. */
export class MembershipChanges {
  readonly #node: Node;
  readonly #leadership: Leadership;

  constructor(node: Node, leadership: Leadership) {
    this.#node = node;
    this.#leadership = leadership;
  }

  async addLearner(newMember: NewMember, promoteWhenCaughtUp: boolean): Promise<void> {
    const { id, raft, grpc, metrics } = newMember;
    if (this.#leadership.whoLeads() === undefined) checkAddresses(newMember, this.#leadership.members());
    const member = raftMember(id, raft, grpc, metrics, '');
    await this.#change(() => this.#node.addLearner(member, { promoteWhenCaughtUp }));
  }

  async promote(id: number): Promise<void> {
    await this.#change(() => this.#node.promote(toNodeId(id)));
  }

  async remove(id: number): Promise<void> {
    const leaving = toNodeId(id);
    await this.#take(leaving, [{ type: 'remove', id: leaving }]);
  }

  /** The learner takes the voter's place in one change: there is no moment with a vote too many or too few. */
  async replace(oldId: number, newId: number): Promise<void> {
    const [leaving, coming] = [toNodeId(oldId), toNodeId(newId)];
    await this.#take(leaving, [
      { type: 'promote', id: coming },
      { type: 'remove', id: leaving },
    ]);
  }

  /** Takes a member out. What is refused moves no leadership. */
  async #take(leaving: NodeId, changes: readonly MembershipChange[]): Promise<void> {
    if (leaving === this.#node.id) {
      await this.#change(() => this.#node.checkMembership(changes));
      await this.#stepAside();
    }
    await this.#change(() => this.#node.changeMembership(changes));
  }

  /** One change at a time; what is in its way is often soon over. */
  async #change(change: () => Promise<void>): Promise<void> {
    const startedMs = performance.now();
    for (;;) {
      try {
        await change();
        return;
      } catch (error) {
        const waitMs = isRaftError(error) ? (CHANGE_WAIT_MS[error.code] ?? 0) : 0;
        if (performance.now() - startedMs >= waitMs) throw error;
        await sleep(CHANGE_RETRY_MS);
      }
    }
  }

  /**
   * A leader that is to leave hands leadership over first, so that nobody has to wait for an election. Then it throws
   * `NotLeaderError`: the change is its successor's. Where nobody can take over, the change itself is what happens.
   */
  async #stepAside(): Promise<void> {
    const { whoLeads, isSoleVoter } = this.#leadership;
    if (isSoleVoter()) return;
    await this.#node.transferLeadership().catch((error: unknown) => {
      if (!isRaftError(error)) throw error;
    });
    const successor = whoLeads();
    if (successor !== undefined) throw successor;
  }
}

/**
 * Two members that respond cannot be at one address. One that does not may have left it to the newcomer: a machine that
 * lost its disk comes back under another id.
 */
function checkAddresses(newcomer: NewMember, members: readonly MemberFacts[]): void {
  for (const kind of ['raft', 'grpc', 'metrics'] as const) {
    const address = newcomer[kind];
    const holder = members.find((member) => member.id !== newcomer.id && member[kind] === address);
    if (address === '' || holder?.active !== true) continue;
    throw new RaftError(
      'membershipInvalid',
      `adding node ${String(newcomer.id)}: ${address} is the ${kind} address of node ${String(holder.id)}, which responds; give each member addresses of its own`,
    );
  }
}
