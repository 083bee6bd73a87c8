/** A node's Transport on a {@link MemoryNetwork}. */
import type { LogIndex, Message, NodeId, Term } from '../core/types.ts';
import type {
  Member,
  SnapshotSource,
  StoredSnapshot,
  Transport,
  TransportHandler,
  TransportPeerStats,
} from '../runtime/interfaces.ts';
import type { MemoryNetwork } from './memory-network.ts';

/** See {@link Transport}. Members are found by id: addresses are ignored. */
export class MemoryTransport implements Transport {
  readonly #network: MemoryNetwork;
  readonly #id: NodeId;
  #handler: TransportHandler | undefined;
  #peers: readonly Member[] = [];

  constructor(network: MemoryNetwork, id: NodeId) {
    this.#network = network;
    this.#id = id;
  }

  start(handler: TransportHandler): Promise<void> {
    this.#network.attach(this.#id, handler);
    this.#handler = handler;
    return Promise.resolve();
  }

  setPeers(peers: readonly Member[]): void {
    this.#peers = peers;
  }

  /** The peers last set. */
  get peers(): readonly Member[] {
    return this.#peers;
  }

  send(to: NodeId, messages: readonly Message[]): void {
    if (this.#handler !== undefined) this.#network.send(this.#id, to, messages);
  }

  async fetchSnapshot(
    from: NodeId,
    index: LogIndex,
    term: Term,
    signal: AbortSignal,
  ): Promise<{ readonly stored: StoredSnapshot; readonly source: SnapshotSource }> {
    await this.#latency();
    signal.throwIfAborted();
    const stored = this.#network.peer(this.#id, from).describeSnapshot(index, term);
    if (stored === undefined)
      throw new Error(`fetching the snapshot at ${index} from node ${from}: it has none any more`);
    return {
      stored,
      source: {
        read: async (sha256, offset, maxBytes) => {
          await this.#latency();
          signal.throwIfAborted();
          return await this.#network.peer(this.#id, from).readSnapshot(sha256, offset, maxBytes);
        },
      },
    };
  }

  stats(peer: NodeId): TransportPeerStats | undefined {
    if (!this.#peers.some((member) => member.id === peer)) return undefined;
    const { queuedBytes, sentBytes, sentMessages, droppedMessages } = this.#network.linkStats(this.#id, peer);
    return {
      connected: this.#network.reachable(this.#id, peer),
      queuedBytes,
      sentBytes,
      sentMessages,
      droppedMessages,
      reconnects: 0,
    };
  }

  stop(): Promise<void> {
    if (this.#handler !== undefined) this.#network.detach(this.#id, this.#handler);
    this.#handler = undefined;
    return Promise.resolve();
  }

  #latency(): Promise<void> {
    return new Promise((resolve) => {
      this.#network.clock.defer(resolve);
    });
  }
}
