/** The node that people embed. */
import type { LogIndex, NodeId } from '../core/types.ts';
import { describeError, isRaftError, RaftError } from './errors.ts';
import type { RaftEventListener, RaftEventName } from './events.ts';
import type { Member, StoredSnapshot } from './interfaces.ts';
import type { MembershipChange } from './membership-rules.ts';
import { NodeLoop } from './node-loop.ts';
import { resolveOptions, type RaftNodeOptions, type ResolvedOptions } from './options.ts';
import type { Committed } from './proposal-tracker.ts';
import { recover } from './recovery.ts';
import { describeStatus } from './describe-status.ts';
import type { RaftStatus } from './status.ts';

/**
 * A member of a Raft group: replicates proposals to the other members, applies them to a state machine in the same
 * order everywhere, and survives crashes with what its stores have made durable.
 *
 * One instance lives from {@link RaftNode.start} to {@link RaftNode.stop} or to its first fatal error (event `fatal`),
 * after which every call fails; to go on, start another one over the same stores. All methods may be called at any
 * time; all errors are {@link RaftError}s.
 */
export class RaftNode<Result> {
  readonly #options: ResolvedOptions<Result>;
  readonly #loop: NodeLoop<Result>;
  #lifecycle: RaftStatus['lifecycle'] = 'running';
  #fatal: RaftError | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(
    options: ResolvedOptions<Result>,
    loop: (onFatal: (error: RaftError) => void) => NodeLoop<Result>,
  ) {
    this.#options = options;
    this.#loop = loop((error) => this.#onFatal(error));
  }

  /**
   * Opens the stores, restores the newest snapshot, starts the transport, and takes part. Resolves before a leader is
   * known. Fails with `invalidArgument`, `damaged`, `storageFailed` or `transportFailed`; the stores are then closed.
   */
  static async start<Result>(options: RaftNodeOptions<Result>): Promise<RaftNode<Result>> {
    const resolved = resolveOptions(options);
    const { logStore, snapshotStore, transport } = resolved;
    try {
      const recovered = await recover(resolved);
      const node = new RaftNode(resolved, (onFatal) => new NodeLoop(resolved, recovered, onFatal));
      try {
        await transport.start(node.#loop);
      } catch (error) {
        throw new RaftError('transportFailed', `starting the transport: ${describeError(error)}`, error);
      }
      node.#loop.start();
      return node;
    } catch (error) {
      await settle([() => transport.stop(), () => logStore.close(), () => snapshotStore.close()]);
      throw isRaftError(error)
        ? error
        : new RaftError('storageFailed', `starting: ${describeError(error)}`, error);
    }
  }

  /** This node's id. */
  get id(): NodeId {
    return this.#options.id;
  }

  /**
   * Replicates `data` (at least one byte, at most `proposalMaxBytes`) and resolves when it is committed and applied
   * here. It is durable on a majority then. Only the leader takes proposals. With 96 KiB waiting it begins before it
   * returns: the state machine may apply entries, and listeners be called, during the call.
   *
   * When it fails, `error.outcome` tells what is known: `notCommitted` for certain, or `unknown`. Codes:
   * `notLeader`, `overloaded`, `transferInProgress`, `notCommitted`, `outcomeUnknown`, `invalidArgument`, `stopped`
   * and those of fatal errors. An aborted `signal` gives `notCommitted` before the entry is in the log and
   * `outcomeUnknown` after. A leader that removes itself does not learn what becomes of its last proposals: they fail
   * with `outcomeUnknown` as soon as its removal is applied.
   */
  propose(data: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<Committed<Result>> {
    const refusal = this.#refuseProposal(data);
    if (refusal !== undefined) return Promise.reject(refusal);
    const outcome = this.#loop.proposals.submit(data, options?.signal);
    if (this.#loop.proposals.manyWait) this.#loop.hurry();
    else this.#loop.wake();
    return outcome;
  }

  /**
   * Resolves with an index once the local state machine has applied everything that was acknowledged anywhere before
   * this call: a read of it is then linearizable (thesis 6.4). Works on leaders, followers and learners. Nothing is
   * written. Fails with `readTimeout` where no leader confirms it in time, `overloaded` where `pendingReadsMax` others
   * wait, `stopped`, or the code of a fatal error.
   */
  linearizableRead(): Promise<LogIndex> {
    const unusable = this.#unusable('reading');
    if (unusable !== undefined) return Promise.reject(unusable);
    const index = this.#loop.reads.submit();
    this.#loop.wake();
    return index;
  }

  /**
   * Adds a member that receives the log but does not vote (thesis 4.2.1). Resolves when that is applied here. With
   * `promoteWhenCaughtUp` whoever leads makes it a voter once it lags by at most `promotionMaxLagEntries`.
   */
  addLearner(member: Member, options?: { readonly promoteWhenCaughtUp?: boolean }): Promise<void> {
    return this.changeMembership([
      { type: 'addLearner', member, promoteWhenCaughtUp: options?.promoteWhenCaughtUp ?? false },
    ]);
  }

  /** Makes a learner that has caught up a voter. Fails with `learnerNotCaughtUp` before; see `changeMembership`. */
  promote(id: NodeId): Promise<void> {
    return this.changeMembership([{ type: 'promote', id }]);
  }

  /** Removes a member. A leader may remove itself and steps down when that is applied. See `changeMembership`. */
  remove(id: NodeId): Promise<void> {
    return this.changeMembership([{ type: 'remove', id }]);
  }

  /** Replaces a member's address and attributes everywhere. See `changeMembership`. */
  updateMember(member: Member): Promise<void> {
    return this.changeMembership([{ type: 'update', member }]);
  }

  /**
   * Makes several changes in one step: with more than one, through a joint configuration that is left by itself (thesis
   * 4.3), also by the next leader if this one dies in between.
   * Resolves when the last configuration is applied here.
   *
   * Fails with `membershipPending` while another change is under way, `membershipInvalid` where it does not fit the
   * members there are, `quorumWouldBeLost` where those that respond would be no majority, `notLeader`,
   * `notCommitted`, or `outcomeUnknown` (then look at `status().members`).
   */
  async changeMembership(changes: readonly MembershipChange[]): Promise<void> {
    await this.#asLeader('changing the membership', () => this.#loop.duties.changeMembership(changes));
  }

  /** Fails as `changeMembership` would now, and changes nothing. That it resolves is no promise for later. */
  async checkMembership(changes: readonly MembershipChange[]): Promise<void> {
    await this.#asLeader('checking a change of the membership', () => {
      this.#loop.duties.checkMembership(changes);
      return Promise.resolve();
    });
  }

  /**
   * Hands leadership to a voter (thesis 3.10), by default the most up-to-date one that responds, and resolves when it leads.
   * Proposals are refused meanwhile. Fails with `transferTimeout` after `deadlineMs` (milliseconds from 0, default an
   * election timeout) and goes on leading.
   */
  async transferLeadership(to?: NodeId, deadlineMs?: number): Promise<void> {
    const { electionTicks, tickIntervalMs, clock } = this.#options;
    if (deadlineMs !== undefined && !(deadlineMs >= 0 && Number.isFinite(deadlineMs))) {
      throw new RaftError(
        'invalidArgument',
        `transferring leadership: deadlineMs must be a finite number from 0, not ${deadlineMs}`,
      );
    }
    await this.#asLeader('transferring leadership', () => {
      const target = this.#loop.duties.startTransfer(to);
      return this.#loop.transfer.start(target, clock.now() + (deadlineMs ?? electionTicks * tickIntervalMs));
    });
  }

  /**
   * Has this node leave it to others to campaign, or not any more: for one that should not lead although it could. It
   * waits several election timeouts more than they do, and campaigns after all where nobody else is elected, because the
   * group needs what only its log holds. It goes on voting, and leads if leadership is handed to it. Lost with a restart.
   */
  setReluctant(reluctant: boolean): void {
    this.#loop.core.setReluctant(reluctant);
  }

  /** Saves a snapshot of everything applied here, or returns the newest one if it is that. Durable when resolved. */
  async snapshot(): Promise<StoredSnapshot> {
    const unusable = this.#unusable('taking a snapshot');
    if (unusable !== undefined) throw unusable;
    try {
      return await this.#loop.keeper.take();
    } catch (error) {
      throw isRaftError(error)
        ? error
        : new RaftError('storageFailed', `taking a snapshot: ${describeError(error)}`, error);
    }
  }

  /** A picture of this node now. Also after it has stopped. */
  status(): RaftStatus {
    return describeStatus(this.#loop, this.#lifecycle, this.#fatal);
  }

  /**
   * Calls `listener` synchronously at each event, in the order of registration. An error that it throws does not
   * disturb the node; it comes out later as an uncaught exception.
   */
  on<Name extends RaftEventName>(name: Name, listener: RaftEventListener<Name>): void {
    this.#loop.events.on(name, listener);
  }

  /** Undoes `on`. A listener that was not registered is ignored. */
  off<Name extends RaftEventName>(name: Name, listener: RaftEventListener<Name>): void {
    this.#loop.events.off(name, listener);
  }

  /**
   * Hands leadership over if this node leads others, waits for its proposals within `stopHandoverMs`, then stops the
   * transport and closes the stores. What has no outcome by then fails with `outcomeUnknown`. Idempotent; never rejects.
   *
   * A disk or a transport that hangs is given `stopTimeoutMs`, then this resolves all the same. The write under way is
   * abandoned: it may still become durable, what was queued behind it does not, and the stores are closed once it ends.
   * Until then they stay locked, if need be until the process ends.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    if (this.#lifecycle === 'running') {
      this.#lifecycle = 'stopping';
      await this.#handOver();
    }
    await this.#close(new RaftError('stopped', 'the node was stopped'));
  }

  async #handOver(): Promise<void> {
    const { clock, stopHandoverMs, tickIntervalMs } = this.#options;
    const deadline = clock.now() + stopHandoverMs;
    if (this.#loop.leadership.role !== 'leader' || this.#loop.directory.confState.voters.length < 2) return;
    while (this.#loop.leadership.role === 'leader' && this.#loop.running && clock.now() < deadline) {
      // With everybody else gone too there is nobody to wait for.
      if (!this.#loop.hasSuccessor()) return;
      await this.#loop
        .inTurn(() => this.#loop.transfer.start(this.#loop.duties.startTransfer(undefined), deadline))
        .catch(() => this.#pause(tickIntervalMs));
    }
    // The new leader tells what became of the last proposals.
    while (this.#loop.running && this.#loop.proposals.pendingCount > 0 && clock.now() < deadline) {
      await this.#pause(tickIntervalMs);
    }
  }

  /** Ends what runs, in the order in which one part may still call another. */
  async #close(error: RaftError): Promise<void> {
    const { appendWorker, keeper, receiver } = this.#loop;
    const { transport, logStore, snapshotStore, clock, stopTimeoutMs } = this.#options;
    const failed = this.#fatal !== undefined;
    if (!failed) this.#loop.halt(error);
    const closing = settle([
      () => transport.stop(),
      () => receiver.stop(),
      () => (failed ? appendWorker.abandon() : appendWorker.drain()),
      () => keeper.stop(),
      () => logStore.close(),
      () => snapshotStore.close(),
    ]);
    await new Promise<void>((resolve) => {
      const cancel = clock.setTimer(stopTimeoutMs, () => {
        // Never settles while the disk hangs; what counts is that nothing more is written after that.
        appendWorker.abandon().catch(() => undefined);
        resolve();
      });
      void closing.then(() => {
        cancel();
        resolve();
      });
    });
    this.#lifecycle = 'stopped';
  }

  #onFatal(error: RaftError): void {
    this.#fatal = error;
    this.#stopping ??= this.#close(error);
    this.#loop.events.emit('fatal', { error });
  }

  async #asLeader(doing: string, work: () => Promise<void>): Promise<void> {
    const unusable = this.#unusable(doing);
    if (unusable !== undefined) throw unusable;
    await this.#loop.inTurn(() => {
      if (this.#loop.leadership.role !== 'leader') throw this.#loop.notLeader(doing);
      return work();
    });
  }

  #refuseProposal(data: Uint8Array): RaftError | undefined {
    const unusable = this.#unusable('proposing');
    if (unusable !== undefined) return unusable;
    if (data.length === 0)
      return new RaftError('invalidArgument', 'proposing: the data is empty; give at least one byte');
    if (data.length > this.#options.proposalMaxBytes) {
      return new RaftError(
        'invalidArgument',
        `proposing: ${data.length} bytes are more than proposalMaxBytes (${this.#options.proposalMaxBytes})`,
      );
    }
    return this.#loop.leadership.role === 'leader' ? undefined : this.#loop.notLeader('proposing');
  }

  #unusable(doing: string): RaftError | undefined {
    if (this.#fatal !== undefined) {
      return new RaftError(
        this.#fatal.code,
        `${doing}: this node has failed: ${this.#fatal.message}`,
        this.#fatal,
      );
    }
    if (this.#lifecycle !== 'running')
      return new RaftError('stopped', `${doing}: this node is ${this.#lifecycle}`);
    return undefined;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.clock.setTimer(ms, resolve);
    });
  }
}

/** Runs all, one after the other. Closing goes on past an error: there is nobody left who could act on it. */
async function settle(steps: readonly (() => Promise<void>)[]): Promise<void> {
  for (const step of steps) {
    try {
      await step();
    } catch {
      continue;
    }
  }
}
