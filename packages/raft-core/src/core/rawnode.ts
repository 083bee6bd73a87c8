/*
 * What the caller of a RawNode owes it.
 *
 * One caller at a time, from one thread. Time is `tick()`; input is `step(message)` and the calls below; output is
 * `ready()`, to be asked for whenever `hasReady()`. Nothing happens inside unless it is called.
 *
 * Without asynchronous storage writes, for each Ready, in this order:
 *
 *   1. Persist `snapshot`, `hardState` and `entries`. If `mustSync`, or if there is a snapshot, the write must be
 *      durable (fsync of the file, and of the directory for new names) before step 2. A snapshot replaces the log and
 *      the state machine: make it durable, then reset the log to it.
 *   2. Send `messages`, in order to each peer. They include votes and acknowledgements that rest on step 1; sending
 *      one before what it rests on is durable can elect two leaders in a term or lose committed entries.
 *   3. Apply `committedEntries` (and the snapshot) to the state machine, in order. For each membership change among
 *      them call `applyConfChange` at that point, unless the application refuses it.
 *   4. Call `advance()`. Only then may the next Ready be taken.
 *
 *   A failed write is the end of this node: it must not send, nor advance, nor write again.
 *
 * With `asyncStorageWrites`, a Ready is finished as soon as it is taken, and many may be under way:
 *
 *   - `messages` for other nodes may be sent at once, in parallel with the writes, but for `MsgVote`: hold it until the
 *     `MsgStorageAppend` of the same Ready is durable. Else a candidate could win with the votes of others, crash before
 *     its own is on disk, win the same term again, and write other entries at the places of those it had sent out.
 *   - `MsgStorageAppend` (to LOCAL_APPEND_THREAD) carries all that step 1 does: term, vote and commit if any of them is
 *     set, entries, a snapshot. These messages must be carried out in order. When one is durable (one without
 *     `responses` need not be), deliver its `responses`: those for other nodes over the network, those for this node
 *     through `step`, in order. Several may be written with one fsync; their responses come after it.
 *   - `MsgStorageApply` (to LOCAL_APPLY_THREAD) carries committed entries that are durable here. Apply them in order,
 *     `applyConfChange` included, then step the `responses`. It need not wait for any `MsgStorageAppend`.
 *   - `entries`, `hardState`, `snapshot` and `committedEntries` repeat what these messages carry: for reading only.
 *
 * In both modes:
 *
 *   - Messages may be lost, delayed, repeated and reordered, but not changed. When many to a peer were lost,
 *     `reportUnreachable`; when a snapshot was delivered or not, `reportSnapshot`.
 *   - A read (`readIndex`) is answered by a read state with the same context; serve it when `index` is applied. No
 *     answer comes if the leader is lost: ask again, with another context.
 *   - After a restart hand in the persisted state; `applied` is how far the state machine had got. A node that lost
 *     what it had made durable must come back under a new id: its votes and acknowledgements are forgotten.
 */
import { encodeConfChange } from './confchange/codec.ts';
import { resolveConfig } from './config.ts';
import type { RawNodeConfig } from './config.ts';
import { fail, RaftCoreError } from './errors.ts';
import { NO_INDEX, NO_TERM, shiftIndex } from './ids.ts';
import { entriesSize } from './log/entry-size.ts';
import { isLocalMessage, isLocalTarget, isResponseMessage, newMessage } from './message.ts';
import type { MutableMessage } from './message.ts';
import { bootstrap } from './raft/bootstrap.ts';
import type { BootstrapPeer } from './raft/bootstrap.ts';
import { applyConfChange } from './raft/membership.ts';
import { proposeAtLeader } from './raft/proposals.ts';
import { Raft } from './raft/raft.ts';
import type { ProposedEntry } from './raft/replication.ts';
import { raiseCommitOnRestart } from './raft/restart.ts';
import { becomeFollower } from './raft/roles.ts';
import { installConfState } from './raft/snapshots.ts';
import { step, tick } from './raft/step.ts';
import {
  needsStorageAppend,
  needsStorageAppendAnswer,
  storageAppend,
  storageAppendAnswer,
  storageApply,
  storageApplyAnswer,
} from './rawnode-async.ts';
import type { BasicStatus, Ready, Status } from './ready.ts';
import { voterIds } from './tracker/configuration.ts';
import type { ProgressStatus } from './tracker/progress.ts';
import type {
  ConfChange,
  ConfState,
  Entry,
  HardState,
  LogIndex,
  Message,
  MessageType,
  NodeId,
  ReadState,
  SoftState,
  Term,
} from './types.ts';
import { NO_NODE } from './types.ts';

/** Where a leader put a proposal. It is committed if an entry with this index and term is. */
export interface ProposalPosition {
  /** Index of the first entry proposed; the others follow without a gap. */
  readonly index: LogIndex;
  /** Term of the leader that appended it. */
  readonly term: Term;
}

/** Options of {@link RawNode.proposeConfChange}. */
export interface ConfChangeOptions {
  /** Writes the single-change entry type of the first format. Needs exactly one change and transition `auto`. */
  readonly v1?: boolean;
}

const NO_READS: readonly ReadState[] = Object.freeze<ReadState[]>([]);

/**
 * One member of a Raft group: synchronous, deterministic, without any I/O. The same configuration, random seed and
 * calls give the same output, byte for byte. What the caller owes it is told at the top of this file.
 *
 * Methods throw {@link RaftCoreError} for what can go wrong in operation, and `RaftAssertionError` for broken invariants,
 * after which the node must not be used.
 */
export class RawNode {
  readonly #raft: Raft;
  readonly #async: boolean;
  #previousSoftState: SoftState;
  #previousHardState: HardState;
  #stepsOnAdvance: Message[] = [];

  /** Starts from what `config.storage` has. Throws `invalidConfig`. */
  constructor(config: RawNodeConfig) {
    const resolved = resolveConfig(config);
    const raft = new Raft(resolved);
    const { hardState, confState } = resolved.storage.initialState();
    installConfState(raft, confState);
    if (!isEmptyHardState(hardState)) {
      raft.loadHardState(hardState);
      if (resolved.safeguards && resolved.readOnlyOption === 'leaseBased')
        raft.voteEmbargoUntilTick = resolved.electionTick;
    }
    raiseCommitOnRestart(raft);
    if (resolved.applied > NO_INDEX) raft.log.appliedTo(resolved.applied, 0);
    becomeFollower(raft, raft.term, NO_NODE);
    raft.onEvent?.({
      type: 'started',
      node: raft.id,
      voters: voterIds(raft.tracker.config),
      term: raft.term,
      committed: raft.log.committed,
      applied: raft.log.applied,
      last: raft.log.lastEntry(),
    });
    this.#raft = raft;
    this.#async = resolved.asyncStorageWrites;
    this.#previousSoftState = raft.softState();
    this.#previousHardState = raft.hardState();
  }

  /** One tick of time passes. */
  tick(): void {
    tick(this.#raft);
  }

  /** Starts an election now, as if the election timeout had passed. No effect on a leader or a non-voter. */
  campaign(): void {
    step(this.#raft, newMessage('MsgHup'));
  }

  /**
   * Proposes an entry. On the leader it is appended at once, and its position returned; a follower forwards it to the
   * leader and returns `undefined` (and nothing tells whether it arrived). Throws `proposalDropped`.
   */
  propose(data: Uint8Array): ProposalPosition | undefined {
    return this.#propose([{ type: 'normal', data }]);
  }

  /** Proposes several entries, in order and without others between them: all are appended or none. */
  proposeBatch(batch: readonly Uint8Array[]): ProposalPosition | undefined {
    if (batch.length === 0) fail('a proposal needs at least one entry');
    return this.#propose(batch.map((data): ProposedEntry => ({ type: 'normal', data })));
  }

  /**
   * Proposes a membership change. It takes effect when it is applied, not when it is committed. If it does not fit the
   * leader's active configuration, an empty entry takes its place (event `confChangeIgnored`). Throws
   * `proposalDropped`.
   */
  proposeConfChange(change: ConfChange, options?: ConfChangeOptions): ProposalPosition | undefined {
    const v1 = options?.v1 ?? false;
    if (v1 && (change.changes.length !== 1 || change.transition !== 'auto')) {
      throw new RaftCoreError('invalidConfChange', 'a v1 change has exactly one change and transition auto', {
        reason: 'inconsistent',
      });
    }
    return this.#propose([{ type: v1 ? 'confChange' : 'confChangeV2', data: encodeConfChange(change) }]);
  }

  /**
   * Applies a committed membership change, at its place among the committed entries. Returns the new membership, to be
   * stored with the application's state. Throws `invalidConfChange` if it does not fit; the membership is then as before.
   */
  applyConfChange(change: ConfChange): ConfState {
    return applyConfChange(this.#raft, change);
  }

  /**
   * Takes in a message from another node, or a response of a local storage thread. Throws `localMessage` for types that
   * never come over a network, `unknownPeer` for answers from non-members, `proposalDropped` for a forwarded proposal.
   */
  step(message: Message): void {
    const fromThread = isLocalTarget(message.from);
    if (isLocalMessage(message.type) && !fromThread) {
      throw new RaftCoreError('localMessage', `${message.type} from node ${message.from} can only be local`);
    }
    if (
      isResponseMessage(message.type) &&
      !fromThread &&
      this.#raft.tracker.get(message.from) === undefined
    ) {
      throw new RaftCoreError(
        'unknownPeer',
        `${message.type} from node ${message.from}, which is not a member`,
      );
    }
    step(this.#raft, message);
  }

  /**
   * Asks for a linearizable read (thesis 6.4). The answer is a read state with this context in a later Ready. Contexts
   * must be unique on this node. Lost without notice when no leader is known or the leader changes.
   */
  readIndex(context: Uint8Array): void {
    const message = newMessage('MsgReadIndex');
    message.entries = [{ term: NO_TERM, index: NO_INDEX, type: 'normal', data: context }];
    step(this.#raft, message);
  }

  /**
   * The process was paused, or time jumped, by more than a tick: a lease counted in ticks is worth nothing until a
   * quorum confirms the leadership again. Matters only to lease-based reads with `safeguards`.
   */
  voidLease(): void {
    this.#raft.rounds.voidLease();
  }

  /** Hands leadership to a voter (thesis 3.10). Proposals are dropped until that succeeds or an election timeout passes. */
  transferLeader(to: NodeId): void {
    this.#stepFrom('MsgTransferLeader', to);
  }

  /**
   * Makes a follower forget its leader without entering a new term, so that it grants pre-votes: for callers that know
   * the leader is dead. No effect on others, and refused with lease-based reads.
   */
  forgetLeader(): void {
    step(this.#raft, newMessage('MsgForgetLeader'));
  }

  /**
   * Has this node leave it to others to campaign, or not any more: it waits several election timeouts more than they do.
   * Where nobody else can be elected, because only this node's log is long enough, it campaigns after all. It votes, and
   * takes over leadership that is handed to it, as ever.
   */
  setReluctant(reluctant: boolean): void {
    this.#raft.reluctant = reluctant;
  }

  /** Messages to this peer were lost. The leader goes back to probing it. */
  reportUnreachable(peer: NodeId): void {
    this.#stepFrom('MsgUnreachable', peer);
  }

  /** How the transfer of a snapshot to this peer ended. Without it replication to the peer may never resume. */
  reportSnapshot(peer: NodeId, outcome: 'finished' | 'failed'): void {
    const message = newMessage('MsgSnapStatus');
    message.from = peer;
    message.reject = outcome === 'failed';
    step(this.#raft, message);
  }

  /** True when `ready` would return something. */
  hasReady(): boolean {
    const raft = this.#raft;
    const { log } = raft;
    return (
      raft.messages.length > 0 ||
      raft.messagesAfterAppend.length > 0 ||
      raft.readStates.length > 0 ||
      log.unstable.hasNextEntries() ||
      log.hasNextCommitted(!this.#async) ||
      log.unstable.nextSnapshot() !== undefined ||
      this.#changedSoftState() !== undefined ||
      this.#changedHardState() !== undefined
    );
  }

  /** Takes the outstanding work. It must be carried out. */
  ready(): Ready {
    if (this.#stepsOnAdvance.length > 0) fail('ready was called twice without advance');
    const raft = this.#raft;
    const { log } = raft;
    const softState = this.#changedSoftState();
    const hardState = this.#changedHardState();
    const entries = log.unstable.nextEntries();
    const snapshot = log.unstable.nextSnapshot();
    const committedEntries = log.nextCommitted(!this.#async);
    const work = { hardState, entries, snapshot };
    const messages = raft.messages;
    if (this.#async) {
      if (needsStorageAppend(raft, work)) messages.push(storageAppend(raft, work));
      if (committedEntries.length > 0) messages.push(storageApply(raft, committedEntries));
    } else {
      for (const message of raft.messagesAfterAppend) {
        if (message.to === raft.id) this.#stepsOnAdvance.push(message);
        else messages.push(message);
      }
      if (needsStorageAppendAnswer(raft, work)) this.#stepsOnAdvance.push(storageAppendAnswer(raft, work));
      if (committedEntries.length > 0) this.#stepsOnAdvance.push(storageApplyAnswer(raft, committedEntries));
    }
    const mustSync =
      entries.length > 0 ||
      (hardState !== undefined &&
        (hardState.term !== this.#previousHardState.term || hardState.vote !== this.#previousHardState.vote));
    const readStates = raft.readStates.length === 0 ? NO_READS : raft.readStates;
    this.#accept(softState, hardState, committedEntries);
    return { softState, hardState, readStates, entries, snapshot, committedEntries, messages, mustSync };
  }

  /** The last Ready was carried out. Not with asynchronous storage writes: there the responses say so. */
  advance(): void {
    if (this.#async) fail('advance must not be called with asynchronous storage writes');
    const steps = this.#stepsOnAdvance;
    this.#stepsOnAdvance = [];
    for (const message of steps) step(this.#raft, message);
  }

  /** Everything there is to know, copied. */
  status(): Status {
    const { tracker, role } = this.#raft;
    const progress = new Map<NodeId, ProgressStatus>();
    if (role === 'leader') {
      for (const id of tracker.ids) {
        const member = tracker.get(id);
        if (member !== undefined) progress.set(id, member.status());
      }
    }
    return { ...this.basicStatus(), config: tracker.config, progress };
  }

  /** What needs no copying of progress. */
  basicStatus(): BasicStatus {
    const raft = this.#raft;
    return {
      id: raft.id,
      term: raft.term,
      vote: raft.vote,
      role: raft.role,
      leader: raft.leader,
      isLearner: raft.isLearner,
      committed: raft.log.committed,
      applied: raft.log.applied,
      lastIndex: raft.log.lastIndex(),
      firstIndex: raft.log.firstIndex(),
      transferTarget: raft.transferTarget,
      uncommittedBytes: raft.uncommittedBytes,
    };
  }

  /** The active membership, as it is persisted. */
  confState(): ConfState {
    return this.#raft.confState();
  }

  /**
   * Founds a group: writes the membership changes that add `peers` as its first, already committed entries. Every
   * founding member must be started with the same list, on empty storage. Storage that already holds a snapshot with
   * the membership is the better way. Throws `bootstrapRefused`.
   */
  bootstrap(peers: readonly BootstrapPeer[]): void {
    bootstrap(this.#raft, peers);
    // Nothing of this is persisted yet, so the first Ready has to carry all of it.
    this.#previousHardState = { term: NO_TERM, vote: NO_NODE, commit: NO_INDEX };
  }

  /** Overrides the randomised election timeout until the next change of term or role. For tests and simulations. */
  setRandomizedElectionTimeout(ticks: number): void {
    if (!Number.isSafeInteger(ticks) || ticks < 1)
      fail(`an election timeout must be an integer from 1, got ${ticks}`);
    this.#raft.randomizedElectionTimeout = ticks;
  }

  #propose(entries: readonly ProposedEntry[]): ProposalPosition | undefined {
    const raft = this.#raft;
    if (raft.role === 'leader') {
      const last = proposeAtLeader(raft, entries);
      return { index: shiftIndex(last, 1 - entries.length), term: raft.term };
    }
    const message = newMessage('MsgProp');
    message.from = raft.id;
    message.entries = entries.map(({ type, data }): Entry => ({
      term: NO_TERM,
      index: NO_INDEX,
      type,
      data,
    }));
    step(raft, message);
    return undefined;
  }

  #stepFrom(type: MessageType, from: NodeId): void {
    const message: MutableMessage = newMessage(type);
    message.from = from;
    step(this.#raft, message);
  }

  #changedSoftState(): SoftState | undefined {
    const { leader, role } = this.#raft;
    const previous = this.#previousSoftState;
    return leader === previous.leader && role === previous.role ? undefined : { leader, role };
  }

  #changedHardState(): HardState | undefined {
    const { term, vote } = this.#raft;
    const commit = this.#raft.log.committed;
    const previous = this.#previousHardState;
    if (term === previous.term && vote === previous.vote && commit === previous.commit) return undefined;
    return { term, vote, commit };
  }

  #accept(
    softState: SoftState | undefined,
    hardState: HardState | undefined,
    committed: readonly Entry[],
  ): void {
    const raft = this.#raft;
    if (softState !== undefined) this.#previousSoftState = softState;
    if (hardState !== undefined) this.#previousHardState = hardState;
    if (raft.readStates.length > 0) raft.readStates = [];
    raft.messages = [];
    raft.messagesAfterAppend = [];
    raft.log.unstable.acceptInProgress();
    const last = committed.at(-1);
    if (last !== undefined) raft.log.acceptApplying(last.index, entriesSize(committed), !this.#async);
  }
}

function isEmptyHardState(state: HardState): boolean {
  return state.term === NO_TERM && state.vote === NO_NODE && state.commit === NO_INDEX;
}
