/** Which stored snapshots peers may still be asking for. */
import type { LogIndex } from '../core/types.ts';
import type { SnapshotStore, StoredSnapshot } from './interfaces.ts';

/** As many as stores keep. */
const KEPT = 3;

/** A peer that was sent a snapshot asks for it a little later, when a newer one may have taken its place. */
export class RecentSnapshots {
  readonly #store: SnapshotStore;
  #sent: StoredSnapshot[] = [];

  constructor(store: SnapshotStore) {
    this.#store = store;
  }

  /** The newest snapshot is offered to a peer. Returns it. */
  remember(): StoredSnapshot | undefined {
    const latest = this.#store.latest();
    if (latest !== undefined && this.#sent.at(-1)?.meta.index !== latest.meta.index) {
      this.#sent = [...this.#sent.slice(1 - KEPT), latest];
    }
    return latest;
  }

  /** The snapshot at `index`; in its place the newest, which contains it, if it is gone. */
  find(index: LogIndex): StoredSnapshot | undefined {
    const latest = this.#store.latest();
    if (latest === undefined || latest.meta.index < index) return undefined;
    return this.#sent.find((stored) => stored.meta.index === index) ?? latest;
  }
}
