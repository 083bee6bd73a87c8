/**
 * Drives a core: everything that happens to a node happens in a turn of this loop.
 *
 *   network ──> inbox ──┐                       ┌──> transport (at once)
 *   propose ──> tracker ┼──> step ──> Ready ────┼──> append worker ──> LogStore ──┐
 *   clock ────> ticker ─┘      ^                └──> apply worker ──> StateMachine │
 *                              └──────── responses of both workers <───────────────┘
 *
 * A turn takes all that has arrived since the last one, so that what arrives together is proposed, sent and written
 * together; only where much is proposed it comes early. Messages leave before the write that belongs to them starts, so
 * that disks work in parallel, and a follower's write starts before it applies what was committed meanwhile; what rests
 * on a write (votes, acknowledgements, the leader's own vote for its entries) comes back from the append worker when it
 * is durable, and only then counts.
 */
import { decodeConfChange } from '../core/confchange/codec.ts';
import { isRaftCoreError } from '../core/errors.ts';
import { SeededRandom } from '../core/random.ts';
import type { ProposalPosition, RawNode } from '../core/rawnode.ts';
import type { Ready } from '../core/ready.ts';
import type { ConfState, Entry, HardState, LogIndex, Message, NodeId, Snapshot } from '../core/types.ts';
import { NO_NODE } from '../core/types.ts';
import { AppendWorker } from './append-worker.ts';
import { ApplyWorker } from './apply-worker.ts';
import { isRaftError, NotLeaderError, type RaftError } from './errors.ts';
import { RaftEventEmitter } from './events.ts';
import { createCore } from './create-core.ts';
import { Inbox } from './inbox.ts';
import { readCommitted } from './committed-entries.ts';
import type { CommittedEntries, StoredSnapshot, TransportHandler } from './interfaces.ts';
import { LeaderDuties } from './leader-duties.ts';
import { LeadershipView } from './leadership-view.ts';
import { LeadershipTransfer } from './leadership-transfer.ts';
import { MemberDirectory } from './member-directory.ts';
import { MembershipOperations } from './membership-operations.ts';
import type { ResolvedOptions } from './options.ts';
import { Outbox } from './outbox.ts';
import { PeerWatch } from './peer-watch.ts';
import { ProposalTracker } from './proposal-tracker.ts';
import { mixSeeds } from './random.ts';
import { ReadTracker } from './read-tracker.ts';
import type { Recovered } from './recovery.ts';
import { classify, failedOver, isFatal, refusalOf, storageFailed } from './refusal.ts';
import { SnapshotKeeper } from './snapshot-keeper.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { Ticker } from './ticker.ts';

/** One running node. {@link RaftNode} is its public face. */
export class NodeLoop<Result> implements TransportHandler {
  readonly options: ResolvedOptions<Result>;
  readonly core: RawNode;
  readonly events: RaftEventEmitter;
  readonly directory: MemberDirectory;
  readonly peers: PeerWatch;
  readonly proposals: ProposalTracker<Result>;
  readonly reads: ReadTracker;
  readonly membership = new MembershipOperations();
  readonly transfer = new LeadershipTransfer();
  readonly keeper: SnapshotKeeper;
  readonly receiver: SnapshotReceiver;
  readonly appendWorker: AppendWorker;
  readonly applyWorker: ApplyWorker<Result>;
  readonly inbox: Inbox;
  readonly leadership: LeadershipView;
  readonly duties: LeaderDuties;
  readonly #outbox: Outbox;
  readonly #onFatal: (error: RaftError) => void;
  #ticker: Ticker | undefined;
  #durable: Message[] = [];
  #calls: (() => void)[] = [];
  readonly #whenHalted = new Set<(error: RaftError) => void>();
  #scheduled = false;
  #inTurn = false;
  #running = false;
  #hardState: HardState;

  constructor(options: ResolvedOptions<Result>, recovered: Recovered, onFatal: (error: RaftError) => void) {
    this.options = options;
    this.#onFatal = onFatal;
    this.#hardState = recovered.hardState;
    const { clock, logStore, snapshotStore, transport, stateMachine } = options;
    const electionMs = options.electionTicks * options.tickIntervalMs;
    const random = new SeededRandom(mixSeeds(options.randomSeed, options.id, Math.round(clock.now() * 1000)));
    this.core = createCore(options, recovered, random);
    this.events = new RaftEventEmitter(clock);
    this.directory = new MemberDirectory(recovered.confState, recovered.members);
    this.peers = new PeerWatch(clock, options.id, electionMs);
    this.inbox = new Inbox(options.inboxMaxBytes);
    this.proposals = new ProposalTracker<Result>(
      clock,
      { maxBytes: options.pendingProposalsMaxBytes, timeoutMs: options.proposalTimeoutMs },
      (durationMs) => {
        if (this.events.has('proposalApplied')) this.events.emit('proposalApplied', { durationMs });
      },
    );
    this.reads = new ReadTracker(
      clock,
      { maxPending: options.pendingReadsMax, timeoutMs: options.readTimeoutMs, retryMs: electionMs / 2 },
      [random.nextUint32(), random.nextUint32()],
    );
    this.leadership = new LeadershipView(options.id, this.events, this.directory);
    this.#outbox = new Outbox(options);
    this.duties = new LeaderDuties(this);
    this.keeper = new SnapshotKeeper(
      snapshotStore,
      stateMachine,
      clock,
      { entries: options.snapshotIntervalEntries, bytes: options.snapshotIntervalBytes },
      {
        point: () => ({
          index: this.applyWorker.appliedIndex,
          term: this.applyWorker.appliedTerm,
          confState: this.directory.confState,
          members: this.directory.list(),
        }),
        onSaved: (snapshot, durationMs) => {
          this.events.emit('snapshotSaved', { snapshot, durationMs });
          this.appendWorker.enqueueJob(() => this.duties.compactBehind(snapshot.meta.index));
        },
        onFailure: (error) => this.fail(storageFailed('saving a snapshot', error)),
      },
    );
    this.receiver = new SnapshotReceiver(transport, snapshotStore, clock, {
      commitIndex: () => this.core.basicStatus().committed,
      onReceived: (message) => this.call(() => this.#step(message)),
      onPhase: (message, phase, error) => {
        const index = message.snapshot?.metadata.index ?? (0 as LogIndex);
        this.events.emit('snapshotTransfer', { from: message.from, index, phase, error });
      },
    });
    this.appendWorker = new AppendWorker(logStore, clock, {
      onDurable: (responses) => this.#onDurable(responses),
      installSnapshot: (snapshot, hardState) => this.#install(snapshot, hardState),
      onReport: (report) => {
        if (this.events.has('appendDurable')) this.events.emit('appendDurable', report);
      },
      onFailure: (error) => this.fail(storageFailed('writing to the log', error)),
    });
    this.applyWorker = new ApplyWorker(stateMachine, recovered.applied, {
      onResults: (entries, results) => {
        this.proposals.applied(entries, results);
        this.membership.othersApplied(entries);
      },
      onEmpty: (entry) => {
        this.proposals.appliedOther(entry);
        this.membership.othersApplied([entry]);
      },
      onConfChange: (entry) => this.#applyConfChange(entry),
      onApplied: (fromIndex, toIndex, bytes) => {
        this.keeper.noteApplied(toIndex - fromIndex + 1, bytes);
        if (this.events.has('applied')) this.events.emit('applied', { fromIndex, toIndex });
      },
      onDone: (responses) => {
        for (const response of responses) this.#step(response);
      },
    });
  }

  get running(): boolean {
    return this.#running;
  }

  start(): void {
    this.#running = true;
    this.#outbox.setMembers(this.directory.list());
    this.#ticker = new Ticker(this.options.clock, this.options.tickIntervalMs, () => this.wake());
    const { voters, votersOutgoing } = this.directory.confState;
    // Nobody to wait for.
    if (voters.length === 1 && voters[0] === this.options.id && votersOutgoing.length === 0) {
      this.call(() => this.core.campaign());
    }
    this.wake();
  }

  /** No turn runs from now on, and everyone who waits is told. */
  halt(error: RaftError): void {
    this.#running = false;
    this.#ticker?.stop();
    this.#outbox.stop();
    this.proposals.failAll(error);
    this.reads.failAll(error);
    this.membership.fail(error);
    this.transfer.fail(error);
    for (const reject of this.#whenHalted) reject(error);
    this.#whenHalted.clear();
  }

  /** Ends this instance for good. */
  fail(error: RaftError): void {
    if (!this.#running) return;
    this.halt(error);
    this.#onFatal(error);
  }

  /** Takes a turn at once; called within one, schedules the next. */
  hurry(): void {
    if (this.#inTurn) this.wake();
    else this.#turn();
  }

  /** Schedules a turn. */
  wake(): void {
    if (this.#scheduled || !this.#running) return;
    this.#scheduled = true;
    this.options.clock.defer(this.#scheduledTurn);
  }

  /** Runs something on the core in the next turn. */
  call(work: () => void): void {
    this.#calls.push(work);
    this.wake();
  }

  /** Runs something on the core in the next turn and passes on what comes of it. */
  inTurn(work: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#whenHalted.add(reject);
      this.call(() => {
        this.#whenHalted.delete(reject);
        try {
          work().then(resolve, reject);
        } catch (error) {
          const reason = classify(error);
          reject(reason);
          // A refusal is the caller's; a failed disk or a broken assertion is the end of this node.
          if (isFatal(reason)) throw reason;
        }
      });
    });
  }

  /** True while another voter responds that could take the leadership over. */
  hasSuccessor(): boolean {
    return this.directory.confState.voters.some((id) => id !== this.options.id && this.peers.responds(id));
  }

  /**
   * Puts something into the log. Throws a RaftError: a refusal, or `outcomeUnknown` where this node has failed over it
   * and the entry may be in the core's log already.
   */
  propose(put: () => ProposalPosition | undefined, doing: string): ProposalPosition {
    let position: ProposalPosition | undefined;
    try {
      position = put();
    } catch (error) {
      const refusal = refusalOf(error, doing, {
        status: () => this.core.basicStatus(),
        limitBytes: this.options.pendingProposalsMaxBytes,
        notLeader: () => this.notLeader(doing),
      });
      if (refusal !== undefined) throw refusal;
      const reason = classify(error);
      this.fail(reason);
      throw failedOver(doing, reason);
    }
    if (position === undefined) throw this.notLeader(doing);
    return position;
  }

  notLeader(doing: string): NotLeaderError {
    const leader = this.leadership.leaderId === this.options.id ? NO_NODE : this.leadership.leaderId;
    return new NotLeaderError(leader, this.directory.get(leader), doing);
  }

  // TransportHandler

  receive(from: NodeId, messages: readonly Message[]): void {
    if (!this.#running) return;
    this.peers.heard(from);
    for (const message of messages) {
      if (message.to === this.options.id) this.inbox.push(message);
    }
    this.wake();
  }

  unreachable(peer: NodeId): void {
    this.peers.lost(peer);
    this.call(() => {
      this.core.reportUnreachable(peer);
      // It may have died with a snapshot on its way, of which it knows nothing when it is back.
      this.core.reportSnapshot(peer, 'failed');
      if (this.transfer.targetLost(peer)) this.core.transferLeader(this.options.id);
    });
  }

  readSnapshot(sha256: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    return this.options.snapshotStore.read(sha256, offset, maxBytes);
  }

  describeSnapshot(index: LogIndex): StoredSnapshot | undefined {
    return this.#outbox.describeSnapshot(index);
  }

  readCommitted(from: LogIndex, to: LogIndex, maxBytes: number): Promise<CommittedEntries> {
    return readCommitted(this, this.#outbox, { from, to, maxBytes });
  }

  // The turn

  readonly #scheduledTurn = (): void => {
    this.#scheduled = false;
    this.#turn();
  };

  #turn(): void {
    this.#inTurn = true;
    try {
      for (const stage of this.#stages) {
        // A stage may fail the node without throwing. A core that has failed must not be used, least of all written out.
        if (!this.#running) return;
        stage();
      }
    } catch (error) {
      this.fail(classify(error));
    } finally {
      this.#inTurn = false;
    }
  }

  readonly #stages: readonly (() => void)[] = [
    // A leader's lease is counted in ticks: it must know how late it is before it answers a read.
    () => {
      if (this.leadership.role === 'leader') this.#tick();
    },
    () => this.#stepAll(),
    // A follower must read what its leader sent before it decides that there is none.
    () => {
      if (this.leadership.role !== 'leader') this.#tick();
    },
    () => this.#propose(),
    () => this.reads.begin(this.#ask),
    () => this.#carryOut(),
    // What is being loaded will replace the state: no need to save it now.
    () => {
      if (!this.receiver.active) this.keeper.maybeStart();
    },
  ];

  #tick(): void {
    const due = this.#ticker?.take();
    if (due === undefined || due.ticks === 0) return;
    if (due.paused) this.core.voidLease();
    for (let tick = 0; tick < due.ticks; tick++) this.core.tick();
    const now = this.options.clock.now();
    this.proposals.expire();
    this.membership.expire(now, this.options.proposalTimeoutMs);
    this.reads.tick(this.#ask);
    if (this.transfer.expire(now)) this.core.transferLeader(this.options.id);
    this.appendWorker.flushHint();
    if (this.leadership.role === 'leader') this.duties.tick();
  }

  #stepAll(): void {
    const durable = this.#durable;
    this.#durable = [];
    for (const message of durable) this.#step(message);
    for (const message of this.inbox.take()) {
      if (message.type === 'MsgSnap') this.receiver.offer(message);
      else this.#step(message);
    }
    const calls = this.#calls;
    this.#calls = [];
    for (const work of calls) {
      if (!this.#running) return;
      work();
    }
    if (!this.inbox.isEmpty) this.wake();
  }

  #step(message: Message): void {
    try {
      this.core.step(message);
    } catch (error) {
      // An answer from a node that was removed meanwhile, or a message that no node should send: as good as lost.
      if (!isRaftCoreError(error)) throw error;
    }
  }

  #propose(): void {
    if (!this.proposals.hasWaiting) return;
    const batch = this.proposals.takeWaiting();
    if (batch.length === 0) return;
    try {
      const { index, term } = this.propose(
        () => this.core.proposeBatch(batch.map((proposal) => proposal.data)),
        'proposing',
      );
      this.proposals.appended(batch, index, term);
    } catch (error) {
      if (!isRaftError(error)) throw error;
      this.proposals.refused(batch, error);
    }
  }

  readonly #ask = (context: Uint8Array): void => {
    this.core.readIndex(context);
  };

  #carryOut(): void {
    let room = this.options.applyMaxEntries;
    while (this.core.hasReady()) {
      this.#dispatch(this.core.ready());
      room = this.applyWorker.run(room);
    }
    this.applyWorker.run(room);
    if (!this.applyWorker.idle) this.wake();
    this.reads.applied(this.applyWorker.appliedIndex);
  }

  #dispatch(ready: Ready): void {
    if (ready.hardState !== undefined) {
      this.#hardState = ready.hardState;
      this.receiver.noteCommit(ready.hardState.commit);
    }
    if (ready.softState !== undefined) {
      const successor = this.leadership.follow(ready.softState, this.core.basicStatus().term);
      if (successor !== undefined) this.transfer.succeeded(successor);
    }
    for (const { requestContext, index } of ready.readStates) this.reads.confirmed(requestContext, index);
    // Asked before its own vote is durable, a candidate could win, crash, and win the same term again: other entries
    // would get the places of those that it had sent out before.
    const held = ready.messages.filter(({ type }) => type === 'MsgVote');
    this.#outbox.send(
      held.length === 0 ? ready.messages : ready.messages.filter((each) => !held.includes(each)),
    );
    const replicates = ready.messages.some(({ type, entries }) => type === 'MsgApp' && entries.length > 0);
    for (const message of ready.messages) {
      if (message.type === 'MsgStorageAppend') {
        const request = {
          entries: message.entries,
          hardState: ready.hardState,
          mustSync: ready.mustSync,
          snapshot: message.snapshot,
          responses: held.length === 0 ? message.responses : [...held, ...message.responses],
        };
        // The followers' writes are what a commit waits for longest.
        this.appendWorker.enqueue(request, replicates);
      } else if (message.type === 'MsgStorageApply') this.applyWorker.enqueue(message);
    }
  }

  #onDurable(responses: readonly Message[]): void {
    if (!this.#running) return;
    this.#outbox.send(responses);
    for (const response of responses) {
      if (response.to === this.options.id) this.#durable.push(response);
    }
    if (this.#durable.length > 0) this.wake();
  }

  // Membership and snapshots

  #applyConfChange(entry: Entry): void {
    let confState: ConfState | undefined;
    try {
      const change = decodeConfChange(entry.data);
      confState = this.core.applyConfChange(change);
      this.directory.apply(change, confState);
    } catch (error) {
      // It does not fit: every node finds the same, and nothing changes anywhere.
      if (!isRaftCoreError(error)) throw error;
    }
    this.proposals.appliedOther(entry);
    if (confState !== undefined) {
      this.keeper.noteMembershipChange();
      this.#membersChanged(entry.index);
    }
    this.membership.changeApplied(entry, confState);
  }

  #membersChanged(index: LogIndex): void {
    this.#outbox.setMembers(this.directory.list());
    this.events.emit('membershipChange', { index, members: this.directory.roles() });
    if (this.directory.get(this.options.id) === undefined)
      this.proposals.leftBehind(this.core.basicStatus().committed);
  }

  /** Content first, then the log's new place, then the state: a crash in between is put right by `recover`. */
  async #install(snapshot: Snapshot, hardState: HardState | undefined): Promise<void> {
    const stored = this.receiver.take(snapshot);
    const { index, term, confState, members } = stored.meta;
    await this.applyWorker.untilIdle();
    await this.keeper.exclusive(async () => {
      await this.options.snapshotStore.install(stored);
      await this.options.logStore.reset(index, term, hardState ?? this.#hardState);
      await this.options.stateMachine.restore(this.options.snapshotStore.load(stored));
    });
    if (!this.#running) return;
    this.applyWorker.restored(index, term);
    this.directory.replace(confState, members);
    this.proposals.coveredBySnapshot(index);
    this.membership.coveredBySnapshot(index);
    this.events.emit('snapshotInstalled', { snapshot: stored });
    this.#membersChanged(index);
  }
}
