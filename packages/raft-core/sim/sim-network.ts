import type { LogIndex, Message, NodeId, SeededRandom, Term } from '../src/core/index.ts';
import type {
  Member,
  SnapshotSource,
  StoredSnapshot,
  Transport,
  TransportHandler,
  TransportPeerStats,
} from '../src/runtime/interfaces.ts';
import type { FaultCounts } from './faults.ts';
import type { NodeClock, SimClock } from './sim-clock.ts';

/** Chances are per message, in [0, 1]. */
export interface NetworkQuality {
  readonly loss: number;
  readonly duplication: number;
  readonly reordering: number;
  readonly delayMsMax: number;
}

interface Endpoint {
  readonly clock: NodeClock;
  readonly handler: TransportHandler;
}

const nothing = (): boolean => false;

/** Carries messages between nodes, badly. */
export class SimNetwork {
  readonly #world: SimClock;
  readonly #random: SeededRandom;
  readonly #faults: FaultCounts;
  readonly #endpoints = new Map<NodeId, Endpoint>();
  readonly #cut = new Set<string>();
  /** Messages that get lost in any case. */
  loses: (message: Message) => boolean = nothing;
  quality: NetworkQuality = { loss: 0, duplication: 0, reordering: 0, delayMsMax: 1 };
  /** Sees every message as it leaves. */
  onSend: (message: Message) => void = () => undefined;
  /** Sees every message as it arrives. */
  onArrival: (message: Message) => void = () => undefined;

  constructor(world: SimClock, random: SeededRandom, faults: FaultCounts) {
    this.#world = world;
    this.#random = random;
    this.#faults = faults;
  }

  /** Cuts one direction of a link, or restores it. */
  setCut(from: NodeId, to: NodeId, cut: boolean): void {
    if (cut) this.#cut.add(`${from}>${to}`);
    else this.#cut.delete(`${from}>${to}`);
  }

  /** Restores all links. */
  heal(): void {
    this.loses = nothing;
    this.#cut.clear();
  }

  attach(id: NodeId, endpoint: Endpoint): void {
    this.#endpoints.set(id, endpoint);
  }

  detach(id: NodeId): void {
    this.#endpoints.delete(id);
  }

  passes(from: NodeId, to: NodeId): boolean {
    return !this.#cut.has(`${from}>${to}`);
  }

  /** The other end of a call that must pass in both directions; fails where a network would. */
  peer(from: NodeId, to: NodeId): TransportHandler {
    const endpoint = this.#endpoints.get(to);
    const lost = this.#chance(this.quality.loss);
    if (endpoint === undefined || lost || !this.passes(from, to) || !this.passes(to, from)) {
      throw new Error(`node ${to} does not answer node ${from}`);
    }
    return endpoint.handler;
  }

  send(message: Message): void {
    this.onSend(message);
    if (this.loses(message) || this.#chance(this.quality.loss)) {
      this.#faults.count('loss');
      return;
    }
    this.#deliver(message, this.delayMs());
    if (this.#chance(this.quality.duplication)) {
      this.#faults.count('duplicate');
      // Snapshots are few, and the late ones do the damage.
      this.#deliver(message, message.type === 'MsgSnap' ? this.#random.nextInt(1000) : this.delayMs());
    }
  }

  /** A delay that fits the quality of the network. */
  delayMs(): number {
    const { delayMsMax, reordering } = this.quality;
    if (this.#chance(reordering)) {
      this.#faults.count('reorder');
      return this.#random.nextInt(delayMsMax * 10 + 1);
    }
    if (delayMsMax > 3) this.#faults.count('delay');
    return 1 + this.#random.nextInt(delayMsMax);
  }

  #deliver(message: Message, delayMs: number): void {
    this.#world.schedule(delayMs, () => {
      if (!this.passes(message.from, message.to)) return;
      const endpoint = this.#endpoints.get(message.to);
      if (endpoint === undefined) {
        // Nobody listens there, which a sender is told; a cut it can only guess at.
        const sender = this.#endpoints.get(message.from);
        sender?.clock.run(() => sender.handler.unreachable(message.to));
        return;
      }
      endpoint.clock.run(() => {
        this.onArrival(message);
        endpoint.handler.receive(message.from, [message]);
      });
    });
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#random.nextFloat() < probability;
  }
}

/** One node's way into the network, for one run of its process. */
export class SimTransport implements Transport {
  readonly #network: SimNetwork;
  readonly #id: NodeId;
  readonly #clock: NodeClock;

  constructor(network: SimNetwork, id: NodeId, clock: NodeClock) {
    this.#network = network;
    this.#id = id;
    this.#clock = clock;
  }

  start(handler: TransportHandler): Promise<void> {
    this.#network.attach(this.#id, { clock: this.#clock, handler });
    return Promise.resolve();
  }

  setPeers(_peers: readonly Member[]): void {
    return;
  }

  send(_to: NodeId, messages: readonly Message[]): void {
    for (const message of messages) this.#network.send(message);
  }

  async fetchSnapshot(
    from: NodeId,
    index: LogIndex,
    term: Term,
    signal: AbortSignal,
  ): Promise<{ readonly stored: StoredSnapshot; readonly source: SnapshotSource }> {
    await this.#clock.sleep(this.#network.delayMs());
    signal.throwIfAborted();
    const stored = this.#network.peer(this.#id, from).describeSnapshot(index, term);
    if (stored === undefined) throw new Error(`node ${from} has no snapshot at ${index}`);
    return {
      stored,
      source: {
        read: async (sha256, offset, maxBytes) => {
          await this.#clock.sleep(this.#network.delayMs());
          signal.throwIfAborted();
          // Small pieces, so that transfers break off in the middle.
          return this.#network.peer(this.#id, from).readSnapshot(sha256, offset, Math.min(maxBytes, 512));
        },
      },
    };
  }

  stats(_peer: NodeId): TransportPeerStats | undefined {
    return undefined;
  }

  stop(): Promise<void> {
    this.#network.detach(this.#id);
    return Promise.resolve();
  }
}
