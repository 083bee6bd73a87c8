/** What a node tells its observers. */
import type { LogIndex, NodeId, Role, Term } from '../core/types.ts';
import type { RaftError } from './errors.ts';
import type { Clock, Member, StoredSnapshot } from './interfaces.ts';

/** Events of a {@link RaftNode} by name. Listeners run synchronously, in the order in which they were added. */
export interface RaftEvents {
  /** The known leader changed; `leaderId` is 0 while there is none. */
  leaderChange: { readonly leaderId: NodeId; readonly leader: Member | undefined; readonly term: Term };
  /** This node is something else than before, or in another term. */
  roleChange: { readonly role: Role; readonly previous: Role; readonly term: Term };
  /** A membership change was applied here. */
  membershipChange: { readonly index: LogIndex; readonly members: readonly MemberRole[] };
  /** Entries `[fromIndex, toIndex]` are in the state machine. */
  applied: { readonly fromIndex: LogIndex; readonly toIndex: LogIndex };
  /** A snapshot of the local state machine is durable. */
  snapshotSaved: { readonly snapshot: StoredSnapshot; readonly durationMs: number };
  /** A peer's snapshot has replaced the local state. */
  snapshotInstalled: { readonly snapshot: StoredSnapshot };
  /** This instance has stopped for good. Emitted once. */
  fatal: { readonly error: RaftError };
  /** Metric: one durable append of `entries` entries in `requests` merged requests took so long. */
  appendDurable: {
    readonly durationMs: number;
    readonly entries: number;
    readonly bytes: number;
    readonly requests: number;
  };
  /** Metric: a proposal of this node was applied so long after `propose`. */
  proposalApplied: { readonly durationMs: number };
  /** A transfer of a peer's snapshot began, failed or ended. */
  snapshotTransfer: {
    readonly from: NodeId;
    readonly index: LogIndex;
    readonly phase: 'started' | 'failed' | 'received';
    readonly error?: unknown;
  };
  /** Leadership is being given away because the local disk has not answered for `stalledMs`. */
  diskStalled: { readonly stalledMs: number; readonly transferee: NodeId };
}

/** A member's part in a configuration. */
export type MembershipRole = 'voter' | 'learner' | 'outgoing' | 'incoming' | 'demoting';

/**
 * A member and its part in the present configuration. In a joint configuration `incoming` votes only in the new half,
 * `outgoing` only in the old one, and `demoting` becomes a learner when the old half is left.
 */
export interface MemberRole extends Member {
  /** Its part in the group. */
  readonly role: MembershipRole;
}

/** The name of an event. */
export type RaftEventName = keyof RaftEvents;
/** Must not throw; see {@link RaftNode.on}. */
export type RaftEventListener<Name extends RaftEventName> = (event: RaftEvents[Name]) => void;

type ListenerSets = { [Name in RaftEventName]?: Set<RaftEventListener<Name>> };

/** Typed listeners. One that throws does not disturb the node: its error surfaces as an uncaught exception later. */
export class RaftEventEmitter {
  readonly #listeners: ListenerSets = {};
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  on<Name extends RaftEventName>(name: Name, listener: RaftEventListener<Name>): void {
    const known: Set<RaftEventListener<Name>> | undefined = this.#listeners[name];
    if (known !== undefined) {
      known.add(listener);
      return;
    }
    const created: ListenerSets[Name] = new Set<RaftEventListener<Name>>([listener]) as ListenerSets[Name];
    this.#listeners[name] = created;
  }

  off<Name extends RaftEventName>(name: Name, listener: RaftEventListener<Name>): void {
    this.#listeners[name]?.delete(listener);
  }

  /** True where building the event is worth it. */
  has(name: RaftEventName): boolean {
    const listeners = this.#listeners[name];
    return listeners !== undefined && listeners.size > 0;
  }

  emit<Name extends RaftEventName>(name: Name, event: RaftEvents[Name]): void {
    const listeners: Set<RaftEventListener<Name>> | undefined = this.#listeners[name];
    if (listeners === undefined) return;
    for (const listener of listeners) {
      try {
        listener(event);
      } catch (error) {
        // A bug of the listener's owner: it must be seen, but not by the consensus loop.
        this.#clock.defer(() => {
          throw error;
        });
      }
    }
  }
}
