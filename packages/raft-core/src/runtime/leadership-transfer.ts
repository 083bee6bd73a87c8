/** A hand-over of leadership under way, and who waits for it. */
import type { NodeId } from '../core/types.ts';
import { RaftError } from './errors.ts';

interface Transfer {
  readonly to: NodeId;
  readonly deadline: number;
  readonly resolve: () => void;
  readonly reject: (error: RaftError) => void;
}

/** Ends a call when another node leads, when its time is up, or when its target is gone. */
export class LeadershipTransfer {
  #transfers: Transfer[] = [];

  get pending(): boolean {
    return this.#transfers.length > 0;
  }

  start(to: NodeId, deadline: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#transfers.push({ to, deadline, resolve, reject });
    });
  }

  /** Another node leads now. */
  succeeded(leader: NodeId): void {
    const transfers = this.#transfers;
    this.#transfers = [];
    for (const { to, resolve, reject } of transfers) {
      if (to === leader) resolve();
      else
        reject(
          new RaftError(
            'transferTimeout',
            `transferring leadership to node ${to}: node ${leader} took it instead`,
          ),
        );
    }
  }

  /** True when the last transfer was given up, so that the core must take proposals again. */
  expire(now: number): boolean {
    return this.#giveUp((transfer) => now >= transfer.deadline, 'it did not take over by the deadline');
  }

  /** The same for transfers to a peer that cannot be reached. */
  targetLost(peer: NodeId): boolean {
    return this.#giveUp((transfer) => transfer.to === peer, 'it cannot be reached');
  }

  fail(error: RaftError): void {
    const transfers = this.#transfers;
    this.#transfers = [];
    for (const { reject } of transfers) reject(error);
  }

  #giveUp(hopeless: (transfer: Transfer) => boolean, why: string): boolean {
    const given = this.#transfers.filter(hopeless);
    if (given.length === 0) return false;
    this.#transfers = this.#transfers.filter((transfer) => !hopeless(transfer));
    for (const { to, reject } of given) {
      reject(new RaftError('transferTimeout', `transferring leadership to node ${to}: ${why}`));
    }
    return this.#transfers.length === 0;
  }
}
