/** When each peer was last heard from, and since when it has owed an answer to a snapshot. */
import type { LogIndex, NodeId } from '../core/types.ts';
import type { ProgressStatus } from '../core/tracker/progress.ts';
import type { Clock } from './interfaces.ts';

/** Kept by the runtime, because it decides about operations of its users and not about Raft. */
export class PeerWatch {
  readonly #clock: Clock;
  readonly #self: NodeId;
  readonly #silentAfterMs: number;
  readonly #heardAt = new Map<NodeId, number>();
  readonly #snapshotSince = new Map<NodeId, number>();

  constructor(clock: Clock, self: NodeId, silentAfterMs: number) {
    this.#clock = clock;
    this.#self = self;
    this.#silentAfterMs = silentAfterMs;
  }

  heard(peer: NodeId): void {
    this.#heardAt.set(peer, this.#clock.now());
  }

  /** The transport could not reach it. */
  lost(peer: NodeId): void {
    this.#heardAt.delete(peer);
  }

  /** This node itself, and every peer that was heard from within an election timeout and not lost since. */
  responds(peer: NodeId): boolean {
    if (peer === this.#self) return true;
    const at = this.#heardAt.get(peer);
    return at !== undefined && this.#clock.now() - at <= this.#silentAfterMs;
  }

  /** Peers that have been loading a snapshot for longer than `timeoutMs`; each is returned once per timeout. */
  overdueSnapshots(progress: ReadonlyMap<NodeId, ProgressStatus>, timeoutMs: number): readonly NodeId[] {
    const now = this.#clock.now();
    const overdue: NodeId[] = [];
    for (const [peer, { state }] of progress) {
      if (state !== 'snapshot') {
        this.#snapshotSince.delete(peer);
        continue;
      }
      const since = this.#snapshotSince.get(peer);
      if (since === undefined) this.#snapshotSince.set(peer, now);
      else if (now - since >= timeoutMs) {
        this.#snapshotSince.delete(peer);
        overdue.push(peer);
      }
    }
    return overdue;
  }

  /** The lowest snapshot index that a responding peer is loading: the log after it will be needed. */
  lowestPendingSnapshot(progress: ReadonlyMap<NodeId, ProgressStatus>): LogIndex | undefined {
    let lowest: LogIndex | undefined;
    for (const [peer, { state, pendingSnapshot }] of progress) {
      if (state !== 'snapshot' || !this.responds(peer)) continue;
      if (lowest === undefined || pendingSnapshot < lowest) lowest = pendingSnapshot;
    }
    return lowest;
  }

  /** The responding voter, other than this node, whose log is longest. */
  bestSuccessor(
    voters: readonly NodeId[],
    progress: ReadonlyMap<NodeId, ProgressStatus>,
  ): NodeId | undefined {
    let best: NodeId | undefined;
    let bestMatch = -1;
    for (const id of voters) {
      const match = progress.get(id)?.match;
      if (id === this.#self || match === undefined || !this.responds(id) || match <= bestMatch) continue;
      best = id;
      bestMatch = match;
    }
    return best;
  }
}
