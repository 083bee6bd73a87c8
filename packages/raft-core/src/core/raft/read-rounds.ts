import { NO_BYTES } from '../message.ts';
import { jointVoteResult } from '../quorum/joint.ts';
import type { JointConfig } from '../quorum/joint.ts';
import type { LogIndex, Message, NodeId } from '../types.ts';
import { decodeUints, encodeUints } from '../uint-bytes.ts';

/** A read that waits for a quorum to confirm the leadership. */
export interface PendingRead {
  readonly request: Message;
  /** Commit index when the read arrived. */
  readonly index: LogIndex;
}

/** A question to all: am I still your leader? */
interface Round {
  /** When it began. */
  readonly tick: number;
  readonly answers: Map<NodeId, true>;
  readonly reads: PendingRead[];
}

/**
 * Confirmation of leadership by heartbeats, in numbered rounds. A heartbeat carries the number of the newest round and
 * its answer returns it; a round that a quorum has answered confirms that this node was leader when it began, and with
 * it every read that arrived before.
 *
 * Rounds are this term's own numbers, never the application's bytes: a late or repeated answer can only confirm what
 * was asked before it was sent. Answers of other terms never get here.
 */
export class ReadRounds {
  /** Number of the newest round, 0 before the first. */
  #newest = 0;
  /** The rounds that no quorum has answered yet, up to the newest. */
  #open: Round[] = [];
  #pending = 0;
  #confirmedTick: number | undefined;
  /** Rounds up to this one say nothing about a lease. */
  #voided = 0;

  /** Begins a round at `tick`, which this node itself answers at once. */
  begin(self: NodeId, tick: number): void {
    this.#newest += 1;
    this.#open.push({ tick, answers: new Map([[self, true]]), reads: [] });
  }

  /** Adds a read to the newest round. */
  add(request: Message, index: LogIndex): void {
    this.#open.at(-1)?.reads.push({ request, index });
    this.#pending += 1;
  }

  hasPending(): boolean {
    return this.#pending > 0;
  }

  /** What a heartbeat of the newest round carries. */
  context(): Uint8Array {
    return this.#newest === 0 ? NO_BYTES : encodeUints(this.#newest);
  }

  /** Takes in a heartbeat's answer and returns the reads that are now confirmed, in the order of their arrival. */
  acknowledge(from: NodeId, context: Uint8Array, voters: JointConfig): readonly PendingRead[] {
    const number = decodeUints(context, 1)?.[0];
    if (number === undefined) return [];
    const position = number - (this.#newest - this.#open.length) - 1;
    const round = this.#open[position];
    // Confirmed before; or never asked, which is a peer of another make, or rubbish.
    if (round === undefined) return [];
    round.answers.set(from, true);
    if (jointVoteResult(voters, round.answers) !== 'won') return [];
    const reads = this.#open.splice(0, position + 1).flatMap((confirmed) => confirmed.reads);
    this.#pending -= reads.length;
    if (number > this.#voided) this.#confirmedTick = round.tick;
    return reads;
  }

  /** The tick at which the newest confirmed round began. */
  confirmedTick(): number | undefined {
    return this.#confirmedTick;
  }

  /** What was confirmed so far no longer counts for a lease. Rounds under way neither: they began before the pause. */
  voidLease(): void {
    this.#confirmedTick = undefined;
    this.#voided = this.#newest;
  }
}
