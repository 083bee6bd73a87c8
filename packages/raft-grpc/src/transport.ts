import type {
  LogIndex,
  Member,
  Message,
  NodeId,
  SnapshotSource,
  StoredSnapshot,
  Term,
  Transport,
  TransportHandler,
} from '@pact-journal/raft-core';
import type { RefusalReason } from './codec/decode.ts';
import { isControlType } from './codec/types.ts';
import { RaftGrpcError } from './errors.ts';
import { Lane as WireLane } from './gen/raft/v1/raft.ts';
import type { Hello } from './gen/raft/v1/raft.ts';
import type { CallerRefusal } from './inbound/caller-refusal.ts';
import { findVersionMismatch } from './inbound/version-rule.ts';
import { listen } from './inbound/server.ts';
import type { PeerServer } from './inbound/server.ts';
import type { InboundHost } from './inbound/host.ts';
import { resolveOptions } from './options.ts';
import type { GrpcTransportOptions, ResolvedOptions } from './options.ts';
import { helloFrom, openClient } from './outbound/calling.ts';
import { PeerLink } from './outbound/peer-link.ts';
import { fetchSnapshot } from './outbound/snapshot-client.ts';
import type { CallerRefusalCounts, GrpcPeerStats, RefusalCounts } from './stats.ts';

/** Callers that are no members yet, whose addresses are remembered: more than any group has. */
const LEARNED_MAX = 256;

/**
 * A Raft node's network over gRPC: two connections to each peer (entries; and heartbeats, votes and reads, which
 * entries cannot delay), a third one while a snapshot is fetched. Each direction of traffic has streams of its own.
 *
 * Best effort, as Raft expects: messages are dropped, and counted, while a peer cannot be reached or its queue is
 * full; they are never corrupted or reordered within a kind.
 */
export class GrpcTransport implements Transport {
  readonly #options: ResolvedOptions;
  readonly #links = new Map<NodeId, PeerLink>();
  /** Where callers say that they are reached: for members that `setPeers` has not named yet. */
  readonly #learned = new Map<NodeId, string>();
  readonly #refusals = new Map<RefusalReason, number>();
  readonly #callerRefusals = new Map<CallerRefusal, number>();
  #named: readonly Member[] = [];
  #handler: TransportHandler | undefined;
  #server: PeerServer | undefined;
  #port: number | undefined;
  #snapshotReads = 0;
  #stopped: Promise<void> | undefined;

  /** Fails with `invalidOption`. */
  constructor(options: GrpcTransportOptions) {
    this.#options = resolveOptions(options);
  }

  /** The port that is bound; undefined before `start`. */
  get boundPort(): number | undefined {
    return this.#port;
  }

  /** Where peers reach this node: what was advertised, else the bound address. Fails with `stopped` before `start`. */
  get address(): string {
    if (this.#options.advertise !== undefined) return this.#options.advertise;
    if (this.#port === undefined)
      throw new RaftGrpcError('stopped', 'the address is known once the transport has started');
    const { listen: address } = this.#options;
    return `${address.slice(0, address.lastIndexOf(':'))}:${this.#port}`;
  }

  /** Messages refused since the start. */
  get refusals(): RefusalCounts {
    return Object.fromEntries(this.#refusals);
  }

  /** Callers refused since the start. */
  get callerRefusals(): CallerRefusalCounts {
    return Object.fromEntries(this.#callerRefusals);
  }

  /** Listens, and connects to the peers set so far. Fails with `addressInUse` or `listenFailed`. */
  async start(handler: TransportHandler): Promise<void> {
    if (this.#handler !== undefined || this.#stopped !== undefined) {
      throw new RaftGrpcError('stopped', 'a transport is started once; make a new one');
    }
    this.#handler = handler;
    const server = await listen(this.#inboundHost(handler));
    if (this.#stopped !== undefined) {
      server.shutDown();
      throw new RaftGrpcError('stopped', 'the transport was stopped while it started');
    }
    this.#server = server;
    this.#port = server.port;
    this.setPeers(this.#named);
  }

  setPeers(peers: readonly Member[]): void {
    this.#named = peers.filter((peer) => peer.id !== this.#options.id);
    if (this.#server === undefined) return;
    const wanted = new Map(this.#named.map((peer) => [peer.id, peer.address]));
    for (const [id, link] of this.#links) {
      const address = wanted.get(id);
      if (address === link.address) continue;
      // Members that are not named any more still get what is queued: it may tell them so.
      this.#links.delete(id);
      this.#learned.delete(id);
      void link.close();
    }
    for (const [id, address] of wanted) this.#link(id, address);
  }

  send(to: NodeId, messages: readonly Message[]): void {
    if (messages.length === 0) return;
    const link = this.#linkTo(to);
    if (link === undefined) return;
    if (messages.every((message) => isControlType(message.type))) {
      link.control.send(messages);
    } else if (messages.some((message) => isControlType(message.type))) {
      link.control.send(messages.filter((message) => isControlType(message.type)));
      link.bulk.send(messages.filter((message) => !isControlType(message.type)));
    } else {
      link.bulk.send(messages);
    }
  }

  /** Fails with `unknownPeer`, `snapshotNotFound`, `refused`, `unavailable`, `malformed`, `aborted` or `stopped`. */
  async fetchSnapshot(
    from: NodeId,
    index: LogIndex,
    term: Term,
    signal: AbortSignal,
  ): Promise<{ readonly stored: StoredSnapshot; readonly source: SnapshotSource }> {
    const link = this.#linkTo(from);
    if (link === undefined) {
      const doing = `fetching the snapshot at index ${index} from node ${from}`;
      throw this.#server === undefined
        ? new RaftGrpcError('stopped', `${doing}: the transport is not running`)
        : new RaftGrpcError('unknownPeer', `${doing}: no address is known for it`);
    }
    const host = {
      timings: this.#options.timings,
      hello: () => this.#hello(from, WireLane.UNSPECIFIED),
      client: () => link.snapshotClient(),
    };
    return await fetchSnapshot(host, from, index, term, signal);
  }

  stats(peer: NodeId): GrpcPeerStats | undefined {
    return this.#links.get(peer)?.stats();
  }

  /** Sends what is queued, for `drainMs` at most, then closes every connection. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#shutDown();
    return this.#stopped;
  }

  async #shutDown(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.all(links.map((link) => link.close()));
    server?.shutDown();
  }

  #linkTo(peer: NodeId): PeerLink | undefined {
    const link = this.#links.get(peer);
    if (link !== undefined || this.#server === undefined) return link;
    const learned = this.#learned.get(peer);
    return learned === undefined ? undefined : this.#link(peer, learned);
  }

  #link(peer: NodeId, address: string): PeerLink {
    const existing = this.#links.get(peer);
    if (existing !== undefined) return existing;
    const link = new PeerLink(peer, address, {
      limits: this.#options.limits,
      timings: this.#options.timings,
      open: () => openClient(this.#options, { id: peer, address }),
      hello: (lane) => this.#hello(peer, lane === 'control' ? WireLane.CONTROL : WireLane.BULK),
      check: (answer) => findVersionMismatch(this.#hello(peer, WireLane.UNSPECIFIED), answer),
      connected: (lane, answer) => {
        this.#options.onEvent?.({ type: 'connected', peer, lane, address });
        if (answer !== undefined) this.#heardFrom(peer, answer);
      },
      disconnected: (lane, reason, retryInMs, refused) => {
        this.#options.onEvent?.({ type: 'disconnected', peer, lane, address, reason, retryInMs, refused });
        this.#reportUnreachable(peer);
      },
      lost: () => this.#reportUnreachable(peer),
    });
    this.#links.set(peer, link);
    link.connect();
    return link;
  }

  #heardFrom(peer: NodeId, { softwareVersion, timeMs }: Hello): void {
    const link = this.#links.get(peer);
    if (link !== undefined) link.softwareVersion = softwareVersion;
    if (timeMs > 0) this.#options.onEvent?.({ type: 'peerTime', peer, timeMs });
  }

  /** Never from within `send`: the caller is not prepared to be called back. */
  #reportUnreachable(peer: NodeId): void {
    queueMicrotask(() => {
      if (this.#server !== undefined) this.#handler?.unreachable(peer);
    });
  }

  #hello(to: NodeId, lane: Hello['lane']): Hello {
    return helloFrom(this.#options, { to, lane, address: this.address });
  }

  #inboundHost(handler: TransportHandler): InboundHost {
    return {
      options: this.#options,
      hello: () => ({ ...this.#hello(this.#options.id, WireLane.UNSPECIFIED), toNodeId: 0 }),
      receive: (from, messages) => {
        if (this.#server !== undefined) handler.receive(from, messages);
      },
      peerCalled: (peer, hello) => {
        const { address } = hello;
        if (address !== '' && (this.#learned.has(peer) || this.#learned.size < LEARNED_MAX)) {
          this.#learned.set(peer, address);
        }
        this.#heardFrom(peer, hello);
        this.#links.get(peer)?.connect();
      },
      describeSnapshot: (index, term) => handler.describeSnapshot(index, term),
      readSnapshot: (sha256, offset, maxBytes) => handler.readSnapshot(sha256, offset, maxBytes),
      readCommitted: (from, to, maxBytes) => handler.readCommitted(from, to, maxBytes),
      beginSnapshotRead: () => {
        if (this.#snapshotReads >= this.#options.limits.maxSnapshotReads) return false;
        this.#snapshotReads += 1;
        return true;
      },
      endSnapshotRead: () => {
        this.#snapshotReads -= 1;
      },
      callerRefused: (from, claimed, kind, reason) => {
        count(this.#callerRefusals, kind);
        this.#options.onEvent?.({ type: 'callerRefused', from, claimed, kind, reason });
      },
      messageRefused: (peer, reason) => {
        count(this.#refusals, reason);
        this.#options.onEvent?.({ type: 'messageRefused', peer, reason });
      },
    };
  }
}

function count<Key>(counts: Map<Key, number>, key: Key): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
