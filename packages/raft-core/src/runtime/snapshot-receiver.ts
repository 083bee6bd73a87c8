/** Pulls a leader's snapshot before the core hears of it. */
import type { LogIndex, Message, Snapshot } from '../core/types.ts';
import type { Clock, SnapshotStore, StoredSnapshot, Transport } from './interfaces.ts';

const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 5_000;
/** As many as stores keep of what was received and not installed. */
const RECEIVED_MAX = 3;

/** What the receiver asks of and tells its node. */
export interface SnapshotReceiverHooks {
  /** What this node has committed; a snapshot that is not newer is of no use. */
  commitIndex(): LogIndex;
  /** The content is durable here: the message may be stepped. */
  onReceived(message: Message): void;
  onPhase(message: Message, phase: 'started' | 'failed' | 'received', error?: unknown): void;
}

interface Transfer {
  readonly message: Message;
  readonly snapshot: Snapshot;
  readonly abort: AbortController;
}

/**
 * One transfer at a time, retried with back-off for as long as it may be of use. Parts that arrived stay in the store,
 * so a transfer that is broken off and begun again, also from another leader, fetches only what is missing.
 */
export class SnapshotReceiver {
  readonly #transport: Transport;
  readonly #store: SnapshotStore;
  readonly #clock: Clock;
  readonly #hooks: SnapshotReceiverHooks;
  #transfer: Transfer | undefined;
  /** What the same leader has offered since; taken when the transfer under way fails. */
  #newer: Message | undefined;
  /** Not installed yet: the disk may be busy while the next one arrives. Oldest first. */
  #received: StoredSnapshot[] = [];
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(transport: Transport, store: SnapshotStore, clock: Clock, hooks: SnapshotReceiverHooks) {
    this.#transport = transport;
    this.#store = store;
    this.#clock = clock;
    this.#hooks = hooks;
  }

  get active(): boolean {
    return this.#transfer !== undefined;
  }

  /** A `MsgSnap` arrived. It is stepped once its content is here, or dropped while another transfer is as good. */
  offer(message: Message): void {
    const { snapshot } = message;
    if (snapshot === undefined || this.#stopped) return;
    if (snapshot.metadata.index <= this.#hooks.commitIndex()) {
      // The core answers what is old by where it stands.
      this.#hooks.onReceived(message);
      return;
    }
    if (this.#transfer !== undefined) {
      // Of the same leader: what is under way gets this node into reach of its log, and it will send again if not.
      if (message.term <= this.#transfer.message.term) {
        this.#newer = message;
        return;
      }
      this.#transfer.abort.abort(new Error('a new leader has sent another snapshot'));
    }
    this.#begin(message, snapshot);
  }

  #begin(message: Message, snapshot: Snapshot): void {
    const transfer: Transfer = { message, snapshot, abort: new AbortController() };
    this.#transfer = transfer;
    this.#newer = undefined;
    this.#hooks.onPhase(message, 'started');
    this.#running = this.#running.then(() => this.#run(transfer));
  }

  /** The received content of a snapshot that the core decided to install. */
  take(snapshot: Snapshot): StoredSnapshot {
    const { index, term } = snapshot.metadata;
    const stored = this.#received.find(({ meta }) => meta.index === index && meta.term === term);
    if (stored === undefined)
      throw new Error(`installing the snapshot at ${index}: its content was not received`);
    this.#received = this.#received.filter(({ meta }) => meta.index > index);
    return stored;
  }

  /** Gives up a transfer that the log has made needless. */
  noteCommit(index: LogIndex): void {
    if (this.#transfer !== undefined && this.#transfer.snapshot.metadata.index <= index) {
      this.#transfer.abort.abort(new Error('the log has caught up'));
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#transfer?.abort.abort(new Error('the node is stopping'));
    await this.#running;
  }

  async #run(transfer: Transfer): Promise<void> {
    const { message, abort } = transfer;
    let delayMs = RETRY_MIN_MS;
    while (!abort.signal.aborted && !this.#stopped) {
      try {
        const stored = await this.#pull(transfer);
        this.#transfer = undefined;
        this.#received = [...this.#received, stored].slice(-RECEIVED_MAX);
        this.#hooks.onPhase(message, 'received');
        const { index, term, confState } = stored.meta;
        this.#hooks.onReceived({
          ...message,
          snapshot: { ...transfer.snapshot, metadata: { index, term, confState } },
        });
        return;
      } catch (error) {
        this.#hooks.onPhase(message, 'failed', error);
        if (this.#replaced(transfer)) return;
        await this.#pause(delayMs, abort.signal);
        delayMs = Math.min(RETRY_MAX_MS, 2 * delayMs);
      }
    }
    if (this.#transfer === transfer) this.#transfer = undefined;
  }

  /** True when the leader has offered another snapshot meanwhile, which is now fetched in place of this one. */
  #replaced(transfer: Transfer): boolean {
    const newer = this.#newer;
    if (newer?.snapshot === undefined || this.#transfer !== transfer || this.#stopped) return false;
    if (newer.snapshot.metadata.index <= transfer.snapshot.metadata.index) return false;
    this.#begin(newer, newer.snapshot);
    return true;
  }

  async #pull({ message, snapshot, abort }: Transfer): Promise<StoredSnapshot> {
    const { index, term } = snapshot.metadata;
    const { stored, source } = await this.#transport.fetchSnapshot(message.from, index, term, abort.signal);
    await this.#store.receive(stored, source, abort.signal);
    abort.signal.throwIfAborted();
    return stored;
  }

  #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const finish = (): void => {
        cancel();
        signal.removeEventListener('abort', finish);
        resolve();
      };
      const cancel = this.#clock.setTimer(delayMs, finish);
      signal.addEventListener('abort', finish, { once: true });
    });
  }
}
