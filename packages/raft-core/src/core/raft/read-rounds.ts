import { NO_INDEX, toLogIndex } from '../ids.ts';
import { NO_BYTES } from '../message.ts';
import { jointCommittedIndex } from '../quorum/joint.ts';
import type { JointConfig } from '../quorum/joint.ts';
import type { AckedIndexer } from '../quorum/majority.ts';
import type { LogIndex, Message, NodeId } from '../types.ts';
import { decodeUints, encodeUints } from '../uint-bytes.ts';

/** A read that waits for a quorum to confirm the leadership. */
export interface PendingRead {
  readonly request: Message;
  /** Commit index when the read arrived. */
  readonly index: LogIndex;
  readonly round: LogIndex;
}

/**
 * Confirmation of leadership by heartbeats, in numbered rounds. A heartbeat carries the number of the newest round and
 * its answer returns it; a round that a quorum has answered confirms that this node was leader when it began, and with
 * it every read that arrived before.
 *
 * Rounds are this term's own numbers, never the application's bytes: a late or repeated answer can only confirm what
 * was asked before it was sent. Answers of other terms never get here.
 */
export class ReadRounds implements AckedIndexer {
  /** Rounds are counted like indexes, so that the commit arithmetic finds the one that a quorum has reached. */
  #round: LogIndex = NO_INDEX;
  #confirmed: LogIndex = NO_INDEX;
  #pending: PendingRead[] = [];
  readonly #acks = new Map<NodeId, LogIndex>();
  /** For unconfirmed rounds, the first of each tick: when it began. */
  #begun: { readonly round: LogIndex; readonly tick: number }[] = [];
  #confirmedTick: number | undefined;
  readonly #timed: boolean;

  /** @param timed whether anybody will ask when rounds began: for a lease only */
  constructor(timed: boolean) {
    this.#timed = timed;
  }

  ackedIndex(id: NodeId): LogIndex | undefined {
    return this.#acks.get(id);
  }

  /** Begins a round at `tick`, which this node itself answers at once. */
  begin(self: NodeId, tick: number): void {
    this.#round = toLogIndex(this.#round + 1);
    this.#acks.set(self, this.#round);
    if (!this.#timed) return;
    const last = this.#begun.at(-1);
    if (last === undefined || last.tick !== tick) this.#begun.push({ round: this.#round, tick });
  }

  /** Adds a read to the newest round. */
  add(request: Message, index: LogIndex): void {
    this.#pending.push({ request, index, round: this.#round });
  }

  hasPending(): boolean {
    return this.#pending.length > 0;
  }

  /** What a heartbeat of the newest round carries. */
  context(): Uint8Array {
    if (this.#round === NO_INDEX) return NO_BYTES;
    return encodeUints(this.#round);
  }

  /** Takes in a heartbeat's answer and returns the reads that are now confirmed, in the order of their arrival. */
  acknowledge(from: NodeId, context: Uint8Array, voters: JointConfig): readonly PendingRead[] {
    const round = parseRound(context);
    // A round that never began is not an answer to anything: a peer of another make, or rubbish.
    if (round === undefined || round > this.#round) return [];
    const known = this.#acks.get(from);
    if (known !== undefined && known >= round) return [];
    this.#acks.set(from, round);
    const confirmed = jointCommittedIndex(voters, this);
    if (confirmed <= this.#confirmed || confirmed > this.#round) return [];
    this.#confirmed = confirmed;
    this.#noteConfirmedTick(confirmed);
    const count = this.#pending.findIndex((read) => read.round > confirmed);
    return this.#pending.splice(0, count === -1 ? this.#pending.length : count);
  }

  /** The tick at which the newest confirmed round had begun, at the latest. */
  confirmedTick(): number | undefined {
    return this.#confirmedTick;
  }

  /** What was confirmed so far no longer counts for a lease. Rounds under way neither: they began before the pause. */
  voidLease(): void {
    this.#confirmedTick = undefined;
    this.#begun = [];
  }

  #noteConfirmedTick(confirmed: LogIndex): void {
    let covered = 0;
    for (const begun of this.#begun) {
      if (begun.round > confirmed) break;
      this.#confirmedTick = begun.tick;
      covered += 1;
    }
    // The last one stays: later rounds of the same tick are covered by it too.
    if (covered > 1) this.#begun.splice(0, covered - 1);
  }
}

function parseRound(context: Uint8Array): LogIndex | undefined {
  const round = decodeUints(context, 1)?.[0];
  return round === undefined ? undefined : toLogIndex(round);
}
