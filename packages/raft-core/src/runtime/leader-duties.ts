/** What a leader looks after with every tick, besides what the core does. */
import type { ProposalPosition, RawNode } from '../core/rawnode.ts';
import type { ProgressStatus } from '../core/tracker/progress.ts';
import type { ConfChange, LogIndex, NodeId } from '../core/types.ts';
import type { AppendWorker } from './append-worker.ts';
import { isRaftError, RaftError } from './errors.ts';
import type { RaftEventEmitter } from './events.ts';
import { PROMOTE_ATTRIBUTE, type MemberDirectory } from './member-directory.ts';
import type { MembershipOperations } from './membership-operations.ts';
import { planMembershipChange, type MembershipChange, type MembershipView } from './membership-rules.ts';
import type { ResolvedOptions } from './options.ts';
import type { PeerWatch } from './peer-watch.ts';

/** What it needs of its node. */
export interface LeaderContext {
  readonly options: Pick<
    ResolvedOptions<unknown>,
    | 'id'
    | 'clock'
    | 'logStore'
    | 'snapshotTimeoutMs'
    | 'logRetentionEntries'
    | 'logRetentionMaxEntries'
    | 'promotionMaxLagEntries'
    | 'diskStallMs'
  >;
  readonly core: RawNode;
  readonly peers: PeerWatch;
  readonly directory: MemberDirectory;
  readonly membership: MembershipOperations;
  readonly appendWorker: AppendWorker;
  readonly events: RaftEventEmitter;
  /** Throws a RaftError. */
  propose(put: () => ProposalPosition | undefined, doing: string): ProposalPosition;
}

/** Snapshots that peers are loading, learners that are to be promoted, a disk that has stalled. */
export class LeaderDuties {
  readonly #node: LeaderContext;

  constructor(node: LeaderContext) {
    this.#node = node;
  }

  tick(): void {
    const { core, peers, options } = this.#node;
    const { progress } = core.status();
    for (const peer of peers.overdueSnapshots(progress, options.snapshotTimeoutMs))
      core.reportSnapshot(peer, 'failed');
    this.#watchDisk(progress);
    this.#promoteLearners(progress);
  }

  /** Drops the log behind a snapshot, but for what slow followers and loading ones will need. */
  async compactBehind(snapshotIndex: LogIndex): Promise<void> {
    const { core, peers, options } = this.#node;
    const { logRetentionEntries, logRetentionMaxEntries, logStore } = options;
    let target = snapshotIndex - logRetentionEntries;
    const loading = peers.lowestPendingSnapshot(core.status().progress);
    if (loading !== undefined) target = Math.min(target, loading);
    target = Math.max(target, snapshotIndex - logRetentionMaxEntries);
    target = Math.min(target, logStore.lastIndex());
    if (target >= logStore.firstIndex()) await logStore.compact(target as LogIndex);
  }

  /** Begins a hand-over and returns to whom. Throws a RaftError. */
  startTransfer(to: NodeId | undefined): NodeId {
    const { core, directory, options, peers } = this.#node;
    const { voters } = directory.confState;
    const target = to ?? peers.bestSuccessor(voters, core.status().progress);
    if (target === undefined) {
      throw new RaftError('transferTimeout', 'transferring leadership: no other voter responds');
    }
    if (target === options.id || !voters.includes(target)) {
      throw new RaftError(
        'invalidArgument',
        `transferring leadership to node ${target}: it must be another voter`,
      );
    }
    core.transferLeader(target);
    return target;
  }

  /** The changes as a proposal. Throws a RaftError. */
  changeMembership(changes: readonly MembershipChange[]): Promise<void> {
    const { core, membership, options } = this.#node;
    const change = this.checkMembership(changes);
    return membership.start(options.clock.now(), () =>
      this.#node.propose(() => core.proposeConfChange(change), 'changing the membership'),
    );
  }

  /** The same without proposing it. */
  checkMembership(changes: readonly MembershipChange[]): ConfChange {
    return planMembershipChange(changes, this.#view(this.#node.core.status().progress));
  }

  #view(progress: ReadonlyMap<NodeId, ProgressStatus>): MembershipView {
    const { core, directory, peers, options } = this.#node;
    const { committed } = core.basicStatus();
    return {
      confState: directory.confState,
      member: (id) => directory.get(id),
      responds: (id) => peers.responds(id),
      // Not from the last entry: what is on its way to everybody says nothing about one of them.
      lagEntries: (id) => Math.max(0, committed - (progress.get(id)?.match ?? 0)),
      promotionMaxLagEntries: options.promotionMaxLagEntries,
    };
  }

  /** A leader that cannot write holds the whole group up, without ever missing a heartbeat. */
  #watchDisk(progress: ReadonlyMap<NodeId, ProgressStatus>): void {
    const { core, peers, options, appendWorker, directory, events } = this.#node;
    const stalledMs = appendWorker.busyMs();
    if (
      options.diskStallMs === 0 ||
      stalledMs < options.diskStallMs ||
      core.basicStatus().transferTarget !== 0
    )
      return;
    const transferee = peers.bestSuccessor(directory.confState.voters, progress);
    if (transferee === undefined) return;
    events.emit('diskStalled', { stalledMs, transferee });
    core.transferLeader(transferee);
  }

  #promoteLearners(progress: ReadonlyMap<NodeId, ProgressStatus>): void {
    const { directory, membership } = this.#node;
    if (membership.pending || directory.confState.votersOutgoing.length > 0) return;
    const view = this.#view(progress);
    for (const id of directory.confState.learners) {
      if (directory.get(id)?.attributes[PROMOTE_ATTRIBUTE] === undefined) continue;
      if (!view.responds(id) || view.lagEntries(id) > view.promotionMaxLagEntries) continue;
      try {
        // Whatever becomes of it, the next tick looks again.
        this.changeMembership([{ type: 'promote', id }]).catch(() => undefined);
      } catch (error) {
        if (!isRaftError(error)) throw error;
      }
      return;
    }
  }
}
