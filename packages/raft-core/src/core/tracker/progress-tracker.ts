import { jointCommittedIndex, jointVoteResult, sortedIds } from '../quorum/joint.ts';
import type { AckedIndexer, VoteResult } from '../quorum/majority.ts';
import type { LogIndex, NodeId } from '../types.ts';
import { EMPTY_CONFIG } from './configuration.ts';
import type { TrackerConfig } from './configuration.ts';
import { Inflights } from './inflights.ts';
import { Progress } from './progress.ts';

/** Progress of every member, by id. */
export type ProgressMap = ReadonlyMap<NodeId, Progress>;

/** How an election stands. */
export interface Tally {
  /** Votes for the candidate. */
  readonly granted: number;
  /** Votes against it. */
  readonly rejected: number;
  /** What they make under the present membership. */
  readonly result: VoteResult;
}

/** The active membership, and what this node knows about each member and its votes. */
export class ProgressTracker implements AckedIndexer {
  /** Limit on unanswered appends to one member. */
  readonly maxInflightMessages: number;
  /** Limit on their payload, in bytes; 0 for none. */
  readonly maxInflightBytes: number;
  #config: TrackerConfig = EMPTY_CONFIG;
  #progress: ProgressMap = new Map();
  #ids: readonly NodeId[] = [];
  #votes = new Map<NodeId, boolean>();

  constructor(maxInflightMessages: number, maxInflightBytes: number) {
    this.maxInflightMessages = maxInflightMessages;
    this.maxInflightBytes = maxInflightBytes;
  }

  /** The active membership. */
  get config(): TrackerConfig {
    return this.#config;
  }

  /** Progress of all members. */
  get progress(): ProgressMap {
    return this.#progress;
  }

  /** All members, voters and learners, in ascending order: the order in which messages are sent to them. */
  get ids(): readonly NodeId[] {
    return this.#ids;
  }

  /** Switches to a membership and the progress that goes with it. */
  install(config: TrackerConfig, progress: ProgressMap): void {
    this.#config = config;
    this.#progress = progress;
    this.#ids = sortedIds(progress.keys());
  }

  /** Progress of one member, `undefined` for a stranger. */
  get(id: NodeId): Progress | undefined {
    return this.#progress.get(id);
  }

  /** A window with this tracker's limits. */
  newInflights(): Inflights {
    return new Inflights(this.maxInflightMessages, this.maxInflightBytes);
  }

  /** What the commit arithmetic counts: the index up to which a member's log is known to match. */
  ackedIndex(id: NodeId): LogIndex | undefined {
    return this.#progress.get(id)?.match;
  }

  /** The highest index that the voters have acknowledged. */
  committed(): LogIndex {
    return jointCommittedIndex(this.#config.voters, this);
  }

  /** Starts all members anew, as a node does on every change of term or role. */
  resetProgress(self: NodeId, lastIndex: LogIndex, next: LogIndex): void {
    const fresh = new Map<NodeId, Progress>();
    for (const id of this.#ids) {
      const progress = new Progress(next, this.newInflights(), this.#progress.get(id)?.isLearner ?? false);
      if (id === self) progress.match = lastIndex;
      fresh.set(id, progress);
    }
    this.#progress = fresh;
  }

  /** True when a quorum of voters was heard from since the last check. */
  quorumActive(): boolean {
    const active = new Map<NodeId, boolean>();
    for (const [id, progress] of this.#progress) {
      if (!progress.isLearner) active.set(id, progress.recentActive);
    }
    return jointVoteResult(this.#config.voters, active) === 'won';
  }

  /** A new election begins. */
  resetVotes(): void {
    this.#votes = new Map();
  }

  /** A node's first answer counts; repeats do not change it. */
  recordVote(id: NodeId, granted: boolean): void {
    if (!this.#votes.has(id)) this.#votes.set(id, granted);
  }

  /** Counts the votes of present members, and what they make under the present membership. */
  tallyVotes(): Tally {
    let granted = 0;
    let rejected = 0;
    for (const [id, progress] of this.#progress) {
      if (progress.isLearner) continue;
      const vote = this.#votes.get(id);
      if (vote === undefined) continue;
      if (vote) granted += 1;
      else rejected += 1;
    }
    return { granted, rejected, result: jointVoteResult(this.#config.voters, this.#votes) };
  }
}
