import type { Client } from '@grpc/grpc-js';
import type { NodeId } from '@pact-journal/raft-core';
import type { LaneName } from '../events.ts';
import type { Hello } from '../gen/raft/v1/raft.ts';
import type { TransportLimits, TransportTimings } from '../options.ts';
import type { GrpcPeerStats } from '../stats.ts';
import { Lane } from './lane.ts';

/** What a link needs from its transport. */
export interface LinkHost {
  readonly limits: TransportLimits;
  readonly timings: TransportTimings;
  open(): Client;
  hello(lane: LaneName): Hello;
  check(answer: Hello): string | undefined;
  connected(lane: LaneName, answer: Hello | undefined): void;
  disconnected(lane: LaneName, reason: string, retryInMs: number, refused: boolean): void;
  lost(): void;
}

/** A snapshot connection that nothing has used for this long is closed. */
const SNAPSHOT_IDLE_MS = 30_000;

/** Everything that goes to one peer at one address. */
export class PeerLink {
  readonly address: string;
  readonly control: Lane;
  readonly bulk: Lane;
  /** Of the program at the other end, as it last said; empty before it did. */
  softwareVersion = '';
  readonly #host: LinkHost;
  #snapshots: { readonly client: Client; readonly idle: NodeJS.Timeout } | undefined;

  constructor(peer: NodeId, address: string, host: LinkHost) {
    this.address = address;
    this.#host = host;
    const lane = (name: LaneName): Lane =>
      new Lane(name, peer, address, {
        limits: host.limits,
        timings: host.timings,
        open: () => host.open(),
        hello: () => host.hello(name),
        check: (answer) => host.check(answer),
        connected: (which, answer) => host.connected(which, answer),
        disconnected: (which, reason, retryInMs, refused) =>
          host.disconnected(which, reason, retryInMs, refused),
        lost: () => host.lost(),
      });
    this.control = lane('control');
    this.bulk = lane('bulk');
  }

  /** Connects now where it waits for the next attempt. */
  connect(): void {
    this.control.connect();
    this.bulk.connect();
  }

  /** The connection for snapshots, opened when needed. */
  snapshotClient(): Client {
    if (this.#snapshots === undefined) {
      const client = this.#host.open();
      const idle = setTimeout(() => this.#closeSnapshots(), SNAPSHOT_IDLE_MS);
      idle.unref();
      this.#snapshots = { client, idle };
    }
    this.#snapshots.idle.refresh();
    return this.#snapshots.client;
  }

  stats(): GrpcPeerStats {
    const { control, bulk } = this;
    return {
      address: this.address,
      connected: control.state === 'ready' && bulk.state === 'ready',
      queuedBytes: control.queuedBytes + bulk.queuedBytes,
      sentMessages: control.sentMessages + bulk.sentMessages,
      sentBytes: control.sentBytes + bulk.sentBytes,
      droppedMessages: control.droppedMessages + bulk.droppedMessages,
      reconnects: Math.max(0, control.connections - 1) + Math.max(0, bulk.connections - 1),
      softwareVersion: this.softwareVersion,
      lastError: control.lastError ?? bulk.lastError,
    };
  }

  async close(): Promise<void> {
    this.#closeSnapshots();
    await Promise.all([this.control.close(), this.bulk.close()]);
  }

  #closeSnapshots(): void {
    if (this.#snapshots === undefined) return;
    clearTimeout(this.#snapshots.idle);
    this.#snapshots.client.close();
    this.#snapshots = undefined;
  }
}
