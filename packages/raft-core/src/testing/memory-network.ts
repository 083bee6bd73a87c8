/** A network in memory with the faults of a real one, and a Transport for each node on it. */
import { SeededRandom } from '../core/random.ts';
import type { Message, NodeId } from '../core/types.ts';
import type { Clock, Transport, TransportHandler } from '../runtime/interfaces.ts';
import { messageSizeBytes } from '../runtime/message-size.ts';
import { MemoryTransport, type MemoryFabric } from './memory-transport.ts';

/** What goes wrong on every link. Probabilities are in [0, 1] and count per message. */
export interface NetworkFaults {
  /** Chance that a message is lost. */
  readonly dropProbability: number;
  /** Chance that a message arrives twice. */
  readonly duplicateProbability: number;
  /** Delay of a message, uniform in [min, max] milliseconds. Messages of one link overtake each other only by `reorderProbability`. */
  readonly latencyMsMin: number;
  /** See `latencyMsMin`. */
  readonly latencyMsMax: number;
  /** Chance that a message is held back for up to another `latencyMsMax` (at least 1 ms) and overtaken. */
  readonly reorderProbability: number;
  /** Chance that one ranged read of a snapshot transfer fails. */
  readonly transferFailureProbability: number;
}

/** Everything arrives, at once and in order. */
export const NO_FAULTS: NetworkFaults = {
  dropProbability: 0,
  duplicateProbability: 0,
  latencyMsMin: 0,
  latencyMsMax: 0,
  reorderProbability: 0,
  transferFailureProbability: 0,
};

/** How a {@link MemoryNetwork} is made. */
export interface MemoryNetworkOptions {
  /** What delays are measured by. */
  readonly clock: Clock;
  /** Decides over every fault. Default 1. */
  readonly randomSeed?: number;
  /** What goes wrong. Default: nothing. */
  readonly faults?: Partial<NetworkFaults>;
  /** Bytes one node may have in flight to another; more is dropped. Default 64 MiB. */
  readonly queueMaxBytes?: number;
}

/** Counters of one direction between two nodes. */
export interface LinkStats {
  /** Messages that arrived. */
  sentMessages: number;
  /** Their bytes. */
  sentBytes: number;
  /** Messages lost, by fault, block or limit. */
  droppedMessages: number;
  /** Bytes on their way. */
  queuedBytes: number;
}

interface Link {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly stats: LinkStats;
  /** Nothing passes; the sender is not told. */
  blocked: boolean;
  /** The receiver does not read: messages pile up at the sender. */
  stalled: boolean;
  queue: Message[];
  flushing: boolean;
  /** When the newest message in order arrives. */
  lastArrival: number;
}

/** Connects {@link MemoryTransport}s. All faults are drawn from one seed, so a run on a manual clock repeats exactly. */
export class MemoryNetwork implements MemoryFabric {
  /** What its delays are measured by. */
  readonly clock: Clock;
  readonly #random: SeededRandom;
  readonly #queueMaxBytes: number;
  readonly #handlers = new Map<NodeId, TransportHandler>();
  readonly #links = new Map<NodeId, Map<NodeId, Link>>();
  #faults: NetworkFaults;
  #filter: ((message: Message) => boolean) | undefined;

  constructor(options: MemoryNetworkOptions) {
    this.clock = options.clock;
    this.#random = new SeededRandom(options.randomSeed ?? 1);
    this.#queueMaxBytes = options.queueMaxBytes ?? 64 * 1024 * 1024;
    this.#faults = { ...NO_FAULTS, ...options.faults };
  }

  /** A transport for node `id`. At most one per node is started at a time. */
  transport(id: NodeId): Transport {
    return new MemoryTransport(this, id);
  }

  /** Replaces the faults given by name; the rest stays. */
  setFaults(faults: Partial<NetworkFaults>): void {
    this.#faults = { ...this.#faults, ...faults };
  }

  /** Drops every message for which `keep` is false; undefined lets all pass again. */
  setFilter(keep: ((message: Message) => boolean) | undefined): void {
    this.#filter = keep;
  }

  /** Cuts one direction. The sender is not told. */
  block(from: NodeId, to: NodeId): void {
    this.#link(from, to).blocked = true;
  }

  /** Undoes `block` for one direction. */
  unblock(from: NodeId, to: NodeId): void {
    this.#link(from, to).blocked = false;
  }

  /** Cuts a node off from all others known to the network, in both directions. */
  isolate(id: NodeId): void {
    for (const other of this.#handlers.keys()) {
      if (other === id) continue;
      this.block(id, other);
      this.block(other, id);
    }
  }

  /** Only nodes of the same group reach each other; a node in no group reaches nobody. */
  partition(...groups: readonly (readonly NodeId[])[]): void {
    const groupOf = new Map(groups.flatMap((group, index) => group.map((id) => [id, index] as const)));
    for (const from of this.#handlers.keys()) {
      for (const to of this.#handlers.keys()) {
        if (from === to) continue;
        const together = groupOf.has(from) && groupOf.get(from) === groupOf.get(to);
        this.#link(from, to).blocked = !together;
      }
    }
  }

  /** The receiver stops reading: messages of this direction stay queued at the sender, up to its limit. */
  stall(from: NodeId, to: NodeId): void {
    this.#link(from, to).stalled = true;
  }

  /** Undoes `block`, `isolate`, `partition` and `stall` everywhere. Faults by probability stay. */
  heal(): void {
    for (const links of this.#links.values()) {
      for (const link of links.values()) {
        link.blocked = false;
        if (link.stalled) {
          link.stalled = false;
          this.#scheduleFlush(link);
        }
      }
    }
  }

  /** Counters of one direction. */
  linkStats(from: NodeId, to: NodeId): Readonly<LinkStats> {
    return this.#link(from, to).stats;
  }

  /** For transports: node `id` listens. */
  attach(id: NodeId, handler: TransportHandler): void {
    if (this.#handlers.has(id))
      throw new Error(`starting the transport of node ${id}: one is started already`);
    this.#handlers.set(id, handler);
  }

  /** For transports: node `id` no longer listens; what is on its way to it is lost. */
  detach(id: NodeId, handler: TransportHandler): void {
    if (this.#handlers.get(id) === handler) this.#handlers.delete(id);
  }

  /** For transports: true while a call from one to the other and its answer would pass. */
  reachable(from: NodeId, to: NodeId): boolean {
    return this.#handlers.has(to) && !this.#link(from, to).blocked && !this.#link(to, from).blocked;
  }

  /** For transports: the handler to ask for a snapshot; fails where the network would. */
  peer(from: NodeId, to: NodeId): TransportHandler {
    const handler = this.#handlers.get(to);
    if (handler === undefined || !this.reachable(from, to))
      throw new Error(`calling node ${to} from node ${from}: not reachable`);
    if (this.#chance(this.#faults.transferFailureProbability))
      throw new Error(`calling node ${to} from node ${from}: connection lost`);
    return handler;
  }

  /** For transports: queues messages on a link. */
  send(from: NodeId, to: NodeId, messages: readonly Message[]): void {
    const link = this.#link(from, to);
    if (!this.#handlers.has(to)) {
      link.stats.droppedMessages += messages.length;
      this.clock.defer(() => this.#handlers.get(from)?.unreachable(to));
      return;
    }
    for (const message of messages) {
      const bytes = messageSizeBytes(message);
      if (
        link.stats.queuedBytes + bytes > this.#queueMaxBytes ||
        this.#filter?.(message) === false ||
        this.#chance(this.#faults.dropProbability)
      ) {
        link.stats.droppedMessages++;
        continue;
      }
      link.stats.queuedBytes += bytes;
      link.queue.push(message);
    }
    this.#scheduleFlush(link);
  }

  #scheduleFlush(link: Link): void {
    if (link.flushing || link.stalled || link.queue.length === 0) return;
    link.flushing = true;
    this.clock.defer(() => {
      link.flushing = false;
      this.#flush(link);
    });
  }

  #flush(link: Link): void {
    if (link.stalled) return;
    const messages = link.queue;
    link.queue = [];
    const { latencyMsMax, duplicateProbability, reorderProbability } = this.#faults;
    if (latencyMsMax === 0 && duplicateProbability === 0 && reorderProbability === 0) {
      this.#arrive(link, messages);
      return;
    }
    for (const message of messages) {
      this.#dispatch(link, message);
      if (this.#chance(duplicateProbability)) {
        link.stats.queuedBytes += messageSizeBytes(message);
        this.#dispatch(link, message);
      }
    }
  }

  #dispatch(link: Link, message: Message): void {
    const { latencyMsMin, latencyMsMax, reorderProbability } = this.#faults;
    const now = this.clock.now();
    const latency = latencyMsMin + this.#random.nextFloat() * (latencyMsMax - latencyMsMin);
    let arrival: number;
    if (this.#chance(reorderProbability)) {
      arrival = now + latency + this.#random.nextFloat() * Math.max(1, latencyMsMax);
    } else {
      arrival = Math.max(now + latency, link.lastArrival);
      link.lastArrival = arrival;
    }
    this.clock.setTimer(arrival - now, () => this.#arrive(link, [message]));
  }

  #arrive(link: Link, messages: readonly Message[]): void {
    let bytes = 0;
    for (const message of messages) bytes += messageSizeBytes(message);
    link.stats.queuedBytes -= bytes;
    const handler = this.#handlers.get(link.to);
    if (handler === undefined || link.blocked) {
      link.stats.droppedMessages += messages.length;
      return;
    }
    link.stats.sentMessages += messages.length;
    link.stats.sentBytes += bytes;
    handler.receive(link.from, messages);
  }

  #link(from: NodeId, to: NodeId): Link {
    let links = this.#links.get(from);
    if (links === undefined) this.#links.set(from, (links = new Map<NodeId, Link>()));
    let link = links.get(to);
    if (link === undefined) {
      const stats = { sentMessages: 0, sentBytes: 0, droppedMessages: 0, queuedBytes: 0 };
      link = { from, to, stats, blocked: false, stalled: false, queue: [], flushing: false, lastArrival: 0 };
      links.set(to, link);
    }
    return link;
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#random.nextFloat() < probability;
  }
}
