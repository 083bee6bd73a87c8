import { fail } from '../errors.ts';
import { maxIndex, minIndex, NO_INDEX, shiftIndex } from '../ids.ts';
import type { LogIndex } from '../types.ts';
import type { Inflights } from './inflights.ts';

/**
 * How the leader feeds a follower.
 *
 * - `probe`: it does not know how far their logs agree and sends one append per answer or heartbeat interval.
 * - `replicate`: it sends entries ahead of the answers, within the in-flight limits.
 * - `snapshot`: the follower needs entries that are compacted; a snapshot is on its way and nothing else is sent.
 */
export type ProgressState = 'probe' | 'replicate' | 'snapshot';

/** A picture of a {@link Progress}, for status and events. */
export interface ProgressStatus {
  /** How it is fed. */
  readonly state: ProgressState;
  /** Highest index known to be in the follower's log, equal to the leader's. */
  readonly match: LogIndex;
  /** Index of the next entry to send. Always above `match`. */
  readonly next: LogIndex;
  /** True for a member without a vote. */
  readonly isLearner: boolean;
  /** True while nothing is sent to it until it answers or a heartbeat comes back. */
  readonly paused: boolean;
  /** Index of the snapshot under way, 0 for none. */
  readonly pendingSnapshot: LogIndex;
  /** Heard from since the last quorum check. */
  readonly recentActive: boolean;
  /** Appends that it has not answered. */
  readonly inflightMessages: number;
  /** Payload of these, in bytes. */
  readonly inflightBytes: number;
  /** True when no further one may be sent. */
  readonly inflightFull: boolean;
}

/**
 * What a leader knows about one member, and its flow control.
 *
 * Invariants: `match < next`; in `snapshot`, `next = pendingSnapshot + 1`.
 */
export class Progress {
  /** Highest index known to be in the follower’s log, equal to the leader’s. */
  match: LogIndex = NO_INDEX;
  /** Index of the next entry to send. Always above `match`. */
  next: LogIndex;
  /** How it is fed. */
  state: ProgressState = 'probe';
  /** Index of the snapshot under way, 0 for none. */
  pendingSnapshot: LogIndex = NO_INDEX;
  /** Heard from since the last quorum check. */
  recentActive = false;
  /**
   * Nothing may be sent: a probe is unanswered, or the in-flight window is full. A heartbeat's answer lifts it, which
   * lets an empty append through; without that, a window full of lost messages would stop replication for ever.
   */
  flowPaused = false;
  /** True for a member without a vote. */
  isLearner: boolean;
  /** Appends that it has not answered. */
  readonly inflights: Inflights;
  /** Highest commit index sent. Saves appends that would only repeat it. */
  #sentCommit: LogIndex = NO_INDEX;

  constructor(next: LogIndex, inflights: Inflights, isLearner: boolean) {
    this.next = next;
    this.inflights = inflights;
    this.isLearner = isLearner;
  }

  /** A copy that shares only the in-flight window. */
  clone(): Progress {
    const copy = new Progress(this.next, this.inflights, this.isLearner);
    copy.match = this.match;
    copy.state = this.state;
    copy.pendingSnapshot = this.pendingSnapshot;
    copy.recentActive = this.recentActive;
    copy.flowPaused = this.flowPaused;
    copy.#sentCommit = this.#sentCommit;
    return copy;
  }

  /** Probes from after `match`, or from after the snapshot if that one arrived. */
  becomeProbe(): void {
    const delivered = this.state === 'snapshot' ? this.pendingSnapshot : NO_INDEX;
    this.#enter('probe');
    this.next = shiftIndex(maxIndex(this.match, delivered), 1);
    this.#regressSentCommit();
  }

  /** The logs agree up to `match`: entries may be sent ahead from there. */
  becomeReplicate(): void {
    this.#enter('replicate');
    this.next = shiftIndex(this.match, 1);
  }

  /** A snapshot at `index` was sent; what comes after it waits. */
  becomeSnapshot(index: LogIndex): void {
    this.#enter('snapshot');
    this.pendingSnapshot = index;
    this.next = shiftIndex(index, 1);
    this.#sentCommit = index;
  }

  /** Notes an append with `count` entries of `bytes` payload, starting at `next`. */
  sentEntries(count: number, bytes: number): void {
    switch (this.state) {
      case 'replicate':
        if (count > 0) {
          this.next = shiftIndex(this.next, count);
          this.inflights.add(shiftIndex(this.next, -1), bytes);
        }
        // An append into a full window is a probe: wait for the answer or a heartbeat.
        this.flowPaused = this.inflights.full();
        return;
      case 'probe':
        if (count > 0) this.flowPaused = true;
        return;
      case 'snapshot':
        fail('no append may be sent while a snapshot is on its way');
    }
  }

  /** True when telling the follower this commit index can move it: it has entries beyond what it was told. */
  canBumpCommit(commit: LogIndex): boolean {
    return commit > this.#sentCommit && this.#sentCommit < this.next - 1;
  }

  /** Notes the commit index that a message carried. */
  sentCommit(commit: LogIndex): void {
    this.#sentCommit = commit;
  }

  /** Takes in an acknowledgement. False when it says nothing new. */
  maybeUpdate(index: LogIndex): boolean {
    if (index <= this.match) return false;
    this.match = index;
    this.next = maxIndex(this.next, shiftIndex(index, 1));
    this.flowPaused = false;
    return true;
  }

  /**
   * Takes in the rejection of an append that was anchored at `rejected`; `matchHint` is the follower's guess of where
   * the logs agree. False when the rejection is out of date (messages may be reordered and repeated).
   */
  maybeDecrease(rejected: LogIndex, matchHint: LogIndex): boolean {
    if (this.state === 'replicate') {
      if (rejected <= this.match) return false;
      this.next = shiftIndex(this.match, 1);
      this.#regressSentCommit();
      return true;
    }
    // A probing follower has exactly one append in the air; any other anchor is an old answer.
    if (this.next - 1 !== rejected) return false;
    this.next = maxIndex(minIndex(rejected, shiftIndex(matchHint, 1)), shiftIndex(this.match, 1));
    this.#regressSentCommit();
    this.flowPaused = false;
    return true;
  }

  /** True while no append may be sent. */
  paused(): boolean {
    return this.state === 'snapshot' || this.flowPaused;
  }

  /** A copy of everything, for status and events. */
  status(): ProgressStatus {
    return {
      state: this.state,
      match: this.match,
      next: this.next,
      isLearner: this.isLearner,
      paused: this.paused(),
      pendingSnapshot: this.pendingSnapshot,
      recentActive: this.recentActive,
      inflightMessages: this.inflights.count,
      inflightBytes: this.inflights.bytes,
      inflightFull: this.inflights.full(),
    };
  }

  #enter(state: ProgressState): void {
    this.flowPaused = false;
    this.pendingSnapshot = NO_INDEX;
    this.state = state;
    this.inflights.reset();
  }

  #regressSentCommit(): void {
    this.#sentCommit = minIndex(this.#sentCommit, shiftIndex(this.next, -1));
  }
}
