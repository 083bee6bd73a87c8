/** Who leads, as far as this node knows, and what role it has itself. */
import type { NodeId, Role, SoftState, Term } from '../core/types.ts';
import { NO_NODE } from '../core/types.ts';
import type { RaftEventEmitter } from './events.ts';
import type { MemberDirectory } from './member-directory.ts';

/** As of the last Ready: what callers are told, and what events are made of. */
export class LeadershipView {
  readonly #self: NodeId;
  readonly #events: RaftEventEmitter;
  readonly #directory: MemberDirectory;
  #role: Role = 'follower';
  #leaderId: NodeId = NO_NODE;
  #electionsStarted = 0;

  constructor(self: NodeId, events: RaftEventEmitter, directory: MemberDirectory) {
    this.#self = self;
    this.#events = events;
    this.#directory = directory;
  }

  get role(): Role {
    return this.#role;
  }

  /** 0 while none is known. */
  get leaderId(): NodeId {
    return this.#leaderId;
  }

  get electionsStarted(): number {
    return this.#electionsStarted;
  }

  /** Takes in what the core says; returns another node that has taken the leadership over, if one has. */
  follow({ role, leader }: SoftState, term: Term): NodeId | undefined {
    const previous = this.#role;
    const former = this.#leaderId;
    this.#role = role;
    this.#leaderId = leader;
    if (role !== previous) {
      const campaigns =
        role === 'preCandidate' || role === 'candidate' || (role === 'leader' && previous === 'follower');
      if (campaigns && previous !== 'preCandidate') this.#electionsStarted++;
      this.#events.emit('roleChange', { role, previous, term });
    }
    if (leader === former) return undefined;
    this.#events.emit('leaderChange', { leaderId: leader, leader: this.#directory.get(leader), term });
    return leader === NO_NODE || leader === this.#self ? undefined : leader;
  }
}
