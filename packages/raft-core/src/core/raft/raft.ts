import type { ResolvedConfig } from '../config.ts';
import { fail } from '../errors.ts';
import type { RaftEventSink } from '../events.ts';
import { NO_INDEX, NO_TERM } from '../ids.ts';
import { RaftLog } from '../log/raft-log.ts';
import type { MutableMessage } from '../message.ts';
import { ProgressTracker } from '../tracker/progress-tracker.ts';
import type {
  ConfState,
  HardState,
  LogIndex,
  Message,
  NodeId,
  ReadState,
  Role,
  SoftState,
  Term,
} from '../types.ts';
import { NO_NODE } from '../types.ts';
import { ReadRounds } from './read-rounds.ts';

/**
 * The state of one member of a Raft group. Only data and the outboxes: what happens to it is in the other files of this
 * folder, one per idea.
 */
export class Raft {
  readonly config: ResolvedConfig;
  readonly id: NodeId;
  readonly log: RaftLog;
  readonly onEvent: RaftEventSink | undefined;

  term: Term = NO_TERM;
  vote: NodeId = NO_NODE;
  role: Role = 'follower';
  leader: NodeId = NO_NODE;
  isLearner = false;
  tracker: ProgressTracker;

  /** Messages that may leave at once. They are addressed to other nodes. */
  messages: Message[] = [];
  /**
   * Messages that may leave only when everything unstable so far (term, vote, entries, snapshot) is durable: votes and
   * acknowledgements, also those of this node to itself (paper, 5.1 and 5.3; thesis 3.8).
   */
  messagesAfterAppend: Message[] = [];
  readStates: ReadState[] = [];

  /** Ticks since the last election timeout, or since the leader was heard from. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** In `[electionTick, 2 * electionTick)`, drawn anew on every change of term or role. */
  randomizedElectionTimeout = 0;
  /** Leaves it to others to campaign, as long as one of them does. Changes when this node campaigns, and nothing else. */
  reluctant = false;
  /** Ticks since the start of this node. */
  ticks = 0;

  /** Whom the leader is handing over to. */
  transferTarget: NodeId = NO_NODE;
  /** The target was told to campaign in this term: its votes are not bound by any lease, however late they come. */
  transferSent = false;
  /** A membership change may be in the log at or before this index; the next one waits until it is applied. */
  pendingConfIndex: LogIndex = NO_INDEX;
  /** No membership change among the committed entries that are not applied yet, up to here. */
  noConfChangeUpTo: LogIndex = NO_INDEX;
  /** Payload bytes appended in this term and not applied yet. Never above the truth, sometimes below. */
  uncommittedBytes = 0;
  rounds = new ReadRounds();
  /** Reads that arrived before the first commit of this leader's term. */
  earlyReads: Message[] = [];
  /**
   * A restarted node does not know whom it promised not to depose, so it keeps the promise to anybody: no vote before
   * this tick. Only with lease-based reads and `safeguards`.
   */
  voteEmbargoUntilTick = 0;

  constructor(config: ResolvedConfig) {
    this.config = config;
    this.id = config.id;
    this.onEvent = config.onEvent;
    this.log = new RaftLog(config.id, config.storage, config.maxCommittedSizePerReadyBytes, config.onEvent);
    this.tracker = this.newTracker();
  }

  newTracker(): ProgressTracker {
    return new ProgressTracker(this.config.maxInflightMessages, this.config.maxInflightBytes);
  }

  softState(): SoftState {
    return { leader: this.leader, role: this.role };
  }

  hardState(): HardState {
    return { term: this.term, vote: this.vote, commit: this.log.committed };
  }

  /** Takes over what was persisted. */
  loadHardState(state: HardState): void {
    if (state.commit < this.log.committed || state.commit > this.log.lastIndex()) {
      fail(
        `persisted commit index ${state.commit} of node ${this.id} is outside of its log ` +
          `[${this.log.committed}, ${this.log.lastIndex()}]: entries were lost, or the files belong together no more`,
      );
    }
    this.log.committed = state.commit;
    this.term = state.term;
    this.vote = state.vote;
  }

  /** True when this node may become leader: a voter, and not about to be replaced by a snapshot. */
  promotable(): boolean {
    const progress = this.tracker.get(this.id);
    return progress !== undefined && !progress.isLearner && this.log.unstable.snapshot === undefined;
  }

  /** True when an entry of the current term is committed, which makes the commit index current (paper, section 8). */
  committedInTerm(): boolean {
    return this.log.term(this.log.committed) === this.term;
  }

  resetElectionTimeout(): void {
    const { electionTick, random } = this.config;
    this.randomizedElectionTimeout = electionTick + random.nextInt(electionTick);
  }

  abortTransfer(): void {
    this.transferTarget = NO_NODE;
  }

  /** Puts a message into the right outbox, stamped with sender and term. */
  send(message: MutableMessage): void {
    if (message.from === NO_NODE) message.from = this.id;
    switch (message.type) {
      case 'MsgVote':
      case 'MsgVoteResp':
      case 'MsgPreVote':
      case 'MsgPreVoteResp':
        // A pre-vote is about the next term, so whoever sends one of these decides on its term.
        if (message.term === NO_TERM) fail(`${message.type} needs a term`);
        break;
      case 'MsgProp':
      case 'MsgReadIndex':
        // Forwarded on behalf of whoever asked: as good in the leader's term as in this node's.
        if (message.term !== NO_TERM) fail(`${message.type} must not have a term`);
        break;
      default:
        if (message.term !== NO_TERM) fail(`the term of ${message.type} is set when it is sent`);
        message.term = this.term;
    }
    switch (message.type) {
      case 'MsgAppResp':
      case 'MsgVoteResp':
      case 'MsgPreVoteResp':
        // Rejections too: they may rest on a vote or on entries that are not durable yet.
        this.messagesAfterAppend.push(message);
        break;
      default:
        if (message.to === this.id) fail(`${message.type} must not be sent to oneself`);
        this.messages.push(message);
    }
  }

  /** Switches the tracker to a membership; `raft/membership.ts` decides what follows from it. */
  confState(): ConfState {
    const { config } = this.tracker;
    return {
      voters: config.voters.incoming,
      votersOutgoing: config.voters.outgoing,
      learners: config.learners,
      learnersNext: config.learnersNext,
      autoLeave: config.autoLeave,
    };
  }
}
