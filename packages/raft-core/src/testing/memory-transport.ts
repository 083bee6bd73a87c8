/** A node's Transport on a {@link MemoryNetwork}. */
import type { LogIndex, Message, NodeId, Term } from '../core/types.ts';
import type {
  Clock,
  Member,
  SnapshotSource,
  StoredSnapshot,
  Transport,
  TransportHandler,
  TransportPeerStats,
} from '../runtime/interfaces.ts';

/** What a {@link MemoryTransport} needs of its network. */
export interface MemoryFabric {
  /** What delays are measured by. */
  readonly clock: Clock;
  /** Node `id` listens; fails if it does already. */
  attach(id: NodeId, handler: TransportHandler): void;
  /** Node `id` no longer listens; what is on its way to it is lost. */
  detach(id: NodeId, handler: TransportHandler): void;
  /** Queues messages on a link. */
  send(from: NodeId, to: NodeId, messages: readonly Message[]): void;
  /** True while a call from one to the other and its answer would pass. */
  reachable(from: NodeId, to: NodeId): boolean;
  /** The handler to ask for a snapshot; fails where the network would. */
  peer(from: NodeId, to: NodeId): TransportHandler;
  /** Counters of one direction. */
  linkStats(from: NodeId, to: NodeId): Omit<TransportPeerStats, 'connected' | 'reconnects'>;
}

/** See {@link Transport}. Members are found by id: addresses are ignored. */
export class MemoryTransport implements Transport {
  readonly #network: MemoryFabric;
  readonly #id: NodeId;
  #handler: TransportHandler | undefined;
  #peers: readonly Member[] = [];

  constructor(network: MemoryFabric, id: NodeId) {
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
