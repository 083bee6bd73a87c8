import { status } from '@grpc/grpc-js';
import type { Client, ClientDuplexStream, ServiceError, StatusObject } from '@grpc/grpc-js';
import type { Message, NodeId } from '@pact-journal/raft-core';
import { encodeFrame, sizeMessage } from '../codec/encode.ts';
import type { LaneName } from '../events.ts';
import { RaftTransportServiceDefinition, SendRequest } from '../gen/raft/v1/raft.ts';
import type { Hello, SendResponse } from '../gen/raft/v1/raft.ts';
import type { TransportLimits, TransportTimings } from '../options.ts';
import { FrameMemory } from './frame-memory.ts';
import { MessageQueue } from './queue.ts';

/** What a lane needs from its transport. */
export interface LaneHost {
  readonly limits: TransportLimits;
  readonly timings: TransportTimings;
  /** A connection of its own to the address. */
  open(): Client;
  hello(): Hello;
  /** Why the peer's answer to the handshake does not fit; undefined where it does. */
  check(answer: Hello): string | undefined;
  connected(lane: LaneName, answer: Hello | undefined): void;
  /** `refused`: the two nodes reached each other, and one will not talk to the other. */
  disconnected(lane: LaneName, reason: string, retryInMs: number, refused: boolean): void;
  /** Messages were lost. */
  lost(): void;
}

/**
 * - `waiting`: until the next attempt; what is sent is dropped
 * - `connecting`: until the handshake is answered; what is sent is queued
 * - `ready`: what is sent is written as the network takes it
 * - `closed`: for good
 */
export type LaneState = 'waiting' | 'connecting' | 'ready' | 'closed';

type MessageStream = ClientDuplexStream<Buffer, SendResponse>;

/** One kind of traffic to one peer: a connection, a stream on it, and the messages that wait for it. */
export class Lane {
  readonly name: LaneName;
  readonly peer: NodeId;
  readonly address: string;
  readonly #host: LaneHost;
  readonly #queue: MessageQueue;
  readonly #memory = new FrameMemory();
  #state: LaneState = 'waiting';
  #client: Client | undefined;
  #stream: MessageStream | undefined;
  #timer: NodeJS.Timeout | undefined;
  #attempts = 0;
  #unsentBytes = 0;
  /** `write` has answered false: the stream asks for a pause until it drains. */
  #blocked = false;
  #flushScheduled = false;

  sentMessages = 0;
  sentBytes = 0;
  droppedMessages = 0;
  connections = 0;
  lastError: string | undefined;

  constructor(name: LaneName, peer: NodeId, address: string, host: LaneHost) {
    this.name = name;
    this.peer = peer;
    this.address = address;
    this.#host = host;
    this.#queue =
      name === 'bulk'
        ? new MessageQueue(host.limits.maxQueuedBulkBytes, 'refuseNew')
        : new MessageQueue(host.limits.maxQueuedControlBytes, 'dropOldest');
  }

  get state(): LaneState {
    return this.#state;
  }

  /** Bytes that the peer's network has not taken yet. */
  get queuedBytes(): number {
    return this.#queue.bytes + this.#unsentBytes;
  }

  /** Queues messages, or drops and counts them. */
  send(messages: readonly Message[]): void {
    if (this.#state === 'waiting' || this.#state === 'closed') {
      this.droppedMessages += messages.length;
      this.#host.lost();
      return;
    }
    let dropped = 0;
    for (const message of messages) {
      const sized = sizeMessage(message);
      dropped += sized.sizeBytes > this.#host.limits.maxFrameBytes - 16 ? 1 : this.#queue.push(sized);
    }
    if (dropped > 0) {
      this.droppedMessages += dropped;
      this.#host.lost();
    }
    this.#scheduleFlush();
  }

  /** Starts an attempt now, unless one is under way or the lane is up. */
  connect(): void {
    if (this.#state !== 'waiting') return;
    clearTimeout(this.#timer);
    this.#state = 'connecting';
    const client = this.#host.open();
    const { send } = RaftTransportServiceDefinition;
    const stream: MessageStream = client.makeBidiStreamRequest(
      send.path,
      (frame: Buffer) => frame,
      (bytes: Buffer) => send.responseDeserialize(bytes),
    );
    this.#client = client;
    this.#stream = stream;
    this.#timer = setTimeout(() => {
      this.#fail(stream, `no answer within ${this.#host.timings.connectTimeoutMs} ms`);
    }, this.#host.timings.connectTimeoutMs);
    stream.on('data', (answer: SendResponse) => this.#answered(stream, answer.hello));
    stream.on('drain', () => {
      this.#blocked = false;
      this.#flush();
    });
    stream.on('error', (error: ServiceError) => this.#ended(stream, error));
    // Follows an error too, which then has been dealt with.
    stream.on('status', (end: StatusObject) => this.#ended(stream, end));
    stream.write(Buffer.from(SendRequest.encode({ hello: this.#host.hello(), messages: [] }).finish()));
  }

  /** Sends what is queued as far as `drainMs` allows, then lets go. */
  async close(): Promise<void> {
    const stream = this.#stream;
    const wasReady = this.#state === 'ready';
    if (wasReady) this.#flush();
    this.#state = 'closed';
    clearTimeout(this.#timer);
    if (stream !== undefined && wasReady) await this.#drain(stream);
    this.droppedMessages += this.#queue.clear();
    stream?.cancel();
    this.#client?.close();
    this.#stream = undefined;
    this.#client = undefined;
  }

  #drain(stream: MessageStream): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#host.timings.drainMs);
      const done = (): void => {
        clearTimeout(timer);
        resolve();
      };
      stream.on('status', done);
      const last = this.#queue.take(
        this.#host.limits.maxFrameBytes - 16,
        this.#host.limits.maxMessages,
        this.#host.limits.maxEntries,
      );
      if (last.length > 0) stream.write(encodeFrame(last));
      stream.end();
    });
  }

  #answered(stream: MessageStream, answer: Hello | undefined): void {
    if (stream !== this.#stream || this.#state !== 'connecting') return;
    const mismatch = answer === undefined ? undefined : this.#host.check(answer);
    if (mismatch === undefined) this.#ready(answer);
    else this.#fail(stream, mismatch, true);
  }

  #ended(stream: MessageStream, end: Pick<StatusObject, 'code' | 'details'>): void {
    const { FAILED_PRECONDITION, PERMISSION_DENIED } = status;
    this.#fail(stream, describe(end), end.code === FAILED_PRECONDITION || end.code === PERMISSION_DENIED);
  }

  #ready(answer: Hello | undefined): void {
    clearTimeout(this.#timer);
    this.#state = 'ready';
    this.#attempts = 0;
    this.connections += 1;
    this.lastError = undefined;
    this.#host.connected(this.name, answer);
    this.#flush();
  }

  #fail(stream: MessageStream, reason: string, refused = false): void {
    if (stream !== this.#stream || this.#state === 'closed') return;
    clearTimeout(this.#timer);
    this.#stream = undefined;
    stream.cancel();
    this.#client?.close();
    this.#client = undefined;
    this.#unsentBytes = 0;
    this.#blocked = false;
    this.droppedMessages += this.#queue.clear();
    this.#state = 'waiting';
    this.lastError = reason;
    const delayMs = this.#backoffMs();
    this.#attempts += 1;
    this.#timer = setTimeout(() => this.connect(), delayMs);
    this.#timer.unref();
    this.#host.disconnected(this.name, reason, delayMs, refused);
  }

  /** Doubling, with jitter of a quarter either way so that nodes do not knock in step. */
  #backoffMs(): number {
    const { backoffMinMs, backoffMaxMs } = this.#host.timings;
    const base = Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(this.#attempts, 20));
    return Math.round(base * (0.75 + Math.random() / 2));
  }

  /** All messages of one turn share writes. */
  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#state !== 'ready') return;
    this.#flushScheduled = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const { batchBytes, maxUnsentBytes, maxMessages, maxEntries } = this.#host.limits;
    while (
      this.#stream !== undefined &&
      this.#state === 'ready' &&
      !this.#blocked &&
      this.#queue.length > 0 &&
      this.#unsentBytes < maxUnsentBytes
    ) {
      const stream = this.#stream;
      const batch = this.#queue.take(batchBytes, maxMessages, maxEntries);
      const frame = encodeFrame(batch, this.#memory.take);
      this.#unsentBytes += frame.length;
      this.sentMessages += batch.length;
      this.sentBytes += frame.length;
      const more = stream.write(frame, (error: Error | null | undefined) => {
        if (stream !== this.#stream) return;
        this.#unsentBytes -= frame.length;
        // The network has all of it; of a write that failed nobody knows.
        if (error === null || error === undefined) this.#memory.give(frame);
        this.#flush();
      });
      if (!more) this.#blocked = true;
    }
  }
}

function describe(error: Pick<StatusObject, 'code' | 'details'>): string {
  if (error.code === status.OK) return 'the peer ended the stream';
  return `${status[error.code] ?? error.code}: ${error.details}`;
}
