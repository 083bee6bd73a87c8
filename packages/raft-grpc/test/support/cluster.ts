/** Transports over real sockets, and what stands between them. */
import { createServer, connect } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createMessage, toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import type {
  CommittedEntries,
  Message,
  NodeId,
  StoredSnapshot,
  TransportHandler,
} from '@pact-journal/raft-core';
import { GrpcTransport } from '../../src/index.ts';
import type { GrpcTransportOptions, TransportEvent } from '../../src/index.ts';

/** An address that nothing listens on at the moment. */
export async function freeAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}

/** Records what a transport delivers, and serves chunks. */
export class Recorder implements TransportHandler {
  readonly received: { readonly from: NodeId; readonly message: Message }[] = [];
  readonly unreachablePeers: NodeId[] = [];
  readonly chunks = new Map<string, Uint8Array>();
  readonly reads: { readonly sha256: string; readonly offset: number; readonly maxBytes: number }[] = [];
  stored: StoredSnapshot | undefined;
  committed: CommittedEntries | undefined;

  receive(from: NodeId, messages: readonly Message[]): void {
    for (const message of messages) this.received.push({ from, message });
  }

  unreachable(peer: NodeId): void {
    this.unreachablePeers.push(peer);
  }

  readSnapshot(sha256: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    this.reads.push({ sha256, offset, maxBytes });
    const chunk = this.chunks.get(sha256);
    if (chunk === undefined) return Promise.reject(new Error(`no chunk ${sha256}`));
    return Promise.resolve(chunk.subarray(offset, offset + maxBytes));
  }

  describeSnapshot(index: number, term: number): StoredSnapshot | undefined {
    return this.stored?.meta.index === index && this.stored.meta.term === term ? this.stored : undefined;
  }

  readCommitted(from: number, to: number): Promise<CommittedEntries> {
    if (this.committed === undefined) return Promise.reject(new Error('no log'));
    const entries = this.committed.entries.filter(({ index }) => index >= from && index <= to);
    return Promise.resolve({ ...this.committed, entries });
  }

  indexes(type: Message['type'] = 'MsgApp'): number[] {
    return this.received.filter(({ message }) => message.type === type).map(({ message }) => message.index);
  }
}

export interface TestNode {
  readonly transport: GrpcTransport;
  readonly recorder: Recorder;
  readonly events: TransportEvent[];
  readonly address: string;
}

const running: { stop(): Promise<void> }[] = [];

/** Starts a transport on a free port. Stopped by {@link stopAll}. */
export async function startNode(id: number, options: Partial<GrpcTransportOptions> = {}): Promise<TestNode> {
  const events: TransportEvent[] = [];
  const transport = new GrpcTransport({
    id: toNodeId(id),
    clusterId: 'test',
    listen: '127.0.0.1:0',
    onEvent: (event) => events.push(event),
    ...options,
    timings: { backoffMinMs: 10, backoffMaxMs: 100, drainMs: 50, ...options.timings },
  });
  const recorder = new Recorder();
  running.push(transport);
  await transport.start(recorder);
  return { transport, recorder, events, address: transport.address };
}

export async function stopAll(): Promise<void> {
  await Promise.all(running.splice(0).map((part) => part.stop()));
}

/** A TCP relay that can be cut, and can stop reading: a broken or slow network. */
export class Relay {
  readonly #server: Server;
  readonly #target: string;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #stalled = false;

  private constructor(server: Server, target: string) {
    this.#server = server;
    this.#target = target;
  }

  static async to(target: string): Promise<Relay> {
    const server = createServer();
    const relay = new Relay(server, target);
    server.on('connection', (inbound) => relay.#accept(inbound));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    running.push(relay);
    return relay;
  }

  get address(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  #accept(inbound: Socket): void {
    const at = this.#target.lastIndexOf(':');
    const outbound = connect(Number(this.#target.slice(at + 1)), this.#target.slice(0, at));
    const pair = [inbound, outbound] as const;
    this.#pairs.add(pair);
    const end = (): void => {
      inbound.destroy();
      outbound.destroy();
      this.#pairs.delete(pair);
    };
    for (const socket of pair) socket.on('error', end).on('close', end);
    inbound.pipe(outbound);
    outbound.pipe(inbound);
    if (this.#stalled) inbound.unpipe(outbound).pause();
  }

  /** Breaks every connection; new ones are taken. */
  cut(): void {
    for (const sockets of this.#pairs) for (const socket of sockets) socket.destroy();
  }

  /** From now on takes nothing from callers, while their connections stay up. */
  stall(): void {
    this.#stalled = true;
    for (const [inbound, outbound] of this.#pairs) inbound.unpipe(outbound).pause();
  }

  /** From now on gives nothing back to callers, while their connections stay up. */
  stallBack(): void {
    for (const [inbound, outbound] of this.#pairs) outbound.unpipe(inbound).pause();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** An append of one entry, recognised by its index. */
export function append(index: number, sizeBytes = 16, from = 1, to = 2): Message {
  return createMessage({
    type: 'MsgApp',
    to: toNodeId(to),
    from: toNodeId(from),
    term: toTerm(1),
    index: toLogIndex(index),
    entries: [
      { term: toTerm(1), index: toLogIndex(index + 1), type: 'normal', data: new Uint8Array(sizeBytes) },
    ],
  });
}

/** A heartbeat, recognised by its commit index. */
export function heartbeat(commit: number, from = 1, to = 2): Message {
  return createMessage({
    type: 'MsgHeartbeat',
    to: toNodeId(to),
    from: toNodeId(from),
    term: toTerm(1),
    commit: toLogIndex(commit),
  });
}
