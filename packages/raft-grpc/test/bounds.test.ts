import { createMessage, toNodeId } from '@pact-journal/raft-core';
import { Client, credentials } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Lane, RaftTransportServiceDefinition, SendRequest } from '../src/gen/raft/v1/raft.ts';
import { encodeFrame, sizeMessage } from '../src/codec/encode.ts';
import { append, heartbeat, Relay, startNode, stopAll } from './support/cluster.ts';
import type { TestNode } from './support/cluster.ts';

const ONE = toNodeId(1);
const TWO = toNodeId(2);
const WAIT = { timeout: 20_000, interval: 5 };
const KIB = 1024;

afterEach(stopAll);

function member(id: number, address: string) {
  return { id: toNodeId(id), address, attributes: {} };
}

describe('a peer that takes nothing', () => {
  it('costs a bounded number of bytes, and the rest is dropped, counted and reported', async () => {
    const second = await startNode(2);
    const relay = await Relay.to(second.address);
    const limits = { maxQueuedBulkBytes: 512 * KIB, maxUnsentBytes: 128 * KIB, batchBytes: 64 * KIB };
    const first = await startNode(1, { limits, timings: { keepaliveMs: 3_600_000 } });
    first.transport.setPeers([member(2, relay.address)]);
    await vi.waitFor(() => expect(first.transport.stats(TWO)?.connected).toBe(true), WAIT);
    relay.stall();

    const bound = limits.maxQueuedBulkBytes + limits.maxUnsentBytes + 2 * limits.batchBytes;
    for (let sent = 0; sent < 4000; sent += 1) {
      first.transport.send(TWO, [append(sent, 4 * KIB)]);
      if (sent % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
      expect(first.transport.stats(TWO)?.queuedBytes).toBeLessThanOrEqual(bound);
    }
    const stats = first.transport.stats(TWO);
    expect(stats?.droppedMessages).toBeGreaterThan(1000);
    expect(stats?.queuedBytes).toBeGreaterThan(limits.maxQueuedBulkBytes / 2);
    await vi.waitFor(() => expect(first.recorder.unreachablePeers).toContain(TWO), WAIT);
  });

  it('is given up when it does not answer pings', async () => {
    const second = await startNode(2);
    const relay = await Relay.to(second.address);
    const first = await startNode(1, { timings: { keepaliveMs: 50, keepaliveTimeoutMs: 50 } });
    first.transport.setPeers([member(2, relay.address)]);
    await vi.waitFor(() => expect(first.transport.stats(TWO)?.connected).toBe(true), WAIT);
    relay.stall();
    await vi.waitFor(() => expect(first.recorder.unreachablePeers).toContain(TWO), WAIT);
  });
});

describe('heartbeats', () => {
  it('pass while entries are stuck', async () => {
    const second = await startNode(2);
    const bulk = await Relay.to(second.address);
    const first = await startNode(1, {
      timings: { keepaliveMs: 3_600_000 },
      limits: { maxUnsentBytes: 256 * KIB },
    });
    first.transport.setPeers([member(2, bulk.address)]);
    await vi.waitFor(() => expect(first.transport.stats(TWO)?.connected).toBe(true), WAIT);
    // 20 MiB of entries go first; the heartbeat must not wait until they have arrived.
    for (let index = 0; index < 40; index += 1) first.transport.send(TWO, [append(index, 512 * KIB)]);
    first.transport.send(TWO, [heartbeat(1)]);
    await vi.waitFor(
      () =>
        expect(second.recorder.received.some(({ message }) => message.type === 'MsgHeartbeat')).toBe(true),
      WAIT,
    );
    const before = second.recorder.received.findIndex(({ message }) => message.type === 'MsgHeartbeat');
    expect(before).toBeLessThan(40);
    await vi.waitFor(() => expect(second.recorder.indexes()).toHaveLength(40), WAIT);
  });

  it('that waited too long are the ones dropped', async () => {
    const second = await startNode(2);
    const relay = await Relay.to(second.address);
    const first = await startNode(1, {
      limits: { maxQueuedControlBytes: 1 * KIB, maxUnsentBytes: 1 },
      timings: { keepaliveMs: 3_600_000 },
    });
    first.transport.setPeers([member(2, relay.address)]);
    await vi.waitFor(() => expect(first.transport.stats(TWO)?.connected).toBe(true), WAIT);
    for (let commit = 1; commit <= 1000; commit += 1) first.transport.send(TWO, [heartbeat(commit)]);
    await vi.waitFor(() => expect(second.recorder.received.at(-1)?.message.commit).toBe(1000), WAIT);
    expect(first.transport.stats(TWO)?.droppedMessages).toBeGreaterThan(0);
  });
});

describe('what a peer sends', () => {
  interface RawStream {
    write(frame: Buffer): void;
    readonly ended: Promise<{ code: number; details: string }>;
  }

  const clients: Client[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
  });

  /** A stream without our own client's manners. */
  function rawStream(node: TestNode): RawStream {
    const client = new Client(node.address, credentials.createInsecure());
    clients.push(client);
    const { send } = RaftTransportServiceDefinition;
    const stream = client.makeBidiStreamRequest(
      send.path,
      (frame: Buffer) => frame,
      send.responseDeserialize,
    );
    stream.on('data', () => undefined);
    const ended = new Promise<{ code: number; details: string }>((resolve) => {
      stream.on('error', (error: ServiceError) => resolve({ code: error.code, details: error.details }));
      stream.on('status', resolve);
    });
    return { write: (frame) => void stream.write(frame), ended };
  }

  const hello = {
    clusterId: 'test',
    nodeId: 2,
    protocolVersion: 1,
    lane: Lane.BULK,
    toNodeId: 1,
    address: '',
    oldestProtocolVersion: 0,
    softwareVersion: '',
    oldestPeerVersion: '',
    timeMs: 0,
  };
  const helloFrame = Buffer.from(SendRequest.encode({ hello, messages: [] }).finish());

  it.each([
    ['rubbish instead of the handshake', Buffer.from('GET / HTTP/1.1'), /field|number|wire/],
    ['messages before the handshake', encodeFrame([sizeMessage(heartbeat(1, 2, 1))]), /handshake/],
    [
      'a newer protocol',
      Buffer.from(SendRequest.encode({ hello: { ...hello, protocolVersion: 2 }, messages: [] }).finish()),
      /node 1 speaks version 1 of the Raft protocol, node 2 version 2/,
    ],
    [
      'another node with the same id',
      Buffer.from(SendRequest.encode({ hello: { ...hello, nodeId: 1 }, messages: [] }).finish()),
      /must not have the same id/,
    ],
    [
      'no lane',
      Buffer.from(SendRequest.encode({ hello: { ...hello, lane: Lane.UNSPECIFIED }, messages: [] }).finish()),
      /control or bulk/,
    ],
  ])('%s is refused with words', async (_, frame, words) => {
    const node = await startNode(1);
    const stream = rawStream(node);
    stream.write(frame);
    const { details } = await stream.ended;
    expect(details).toMatch(words);
    expect(node.recorder.received).toEqual([]);
  });

  it('as rubbish after the handshake ends that stream, is counted, and disturbs nobody else', async () => {
    const node = await startNode(1);
    const other = await startNode(3);
    other.transport.setPeers([member(1, node.address)]);
    const stream = rawStream(node);
    stream.write(helloFrame);
    stream.write(Buffer.from([0xff, 0xff, 0xff]));
    await stream.ended;
    expect(node.transport.refusals.malformed).toBe(1);
    other.transport.send(ONE, [heartbeat(5, 3, 1)]);
    await vi.waitFor(() => expect(node.recorder.received.map(({ from }) => from)).toEqual([3]), WAIT);
  });

  it('for another node, in the name of another, of a local type or too large is left out, counted by reason', async () => {
    const node = await startNode(1, { limits: { maxEntryBytes: 100 } });
    const stream = rawStream(node);
    stream.write(helloFrame);
    const messages = [
      heartbeat(1, 2, 9),
      heartbeat(2, 9, 1),
      createMessage({ type: 'MsgHup', to: ONE, from: TWO }),
      append(3, 101, 2, 1),
      createMessage({ type: 'MsgProp', to: ONE, from: toNodeId(9), entries: append(0, 1).entries }),
      heartbeat(4, 2, 1),
    ];
    stream.write(encodeFrame(messages.map(sizeMessage)));
    await vi.waitFor(() => expect(node.recorder.received).toHaveLength(2), WAIT);
    expect(node.recorder.received.map(({ message }) => message.type)).toEqual(['MsgProp', 'MsgHeartbeat']);
    expect(node.transport.refusals).toEqual({ wrongReceiver: 1, wrongSender: 1, localType: 1, tooLarge: 1 });
  });

  it('beyond the largest frame ends the stream and not the node', async () => {
    const node = await startNode(1, {
      limits: { maxEntryBytes: 1000, maxContextBytes: 1000, maxFrameBytes: 8 * KIB },
    });
    const stream = rawStream(node);
    stream.write(helloFrame);
    stream.write(Buffer.alloc(9 * KIB));
    const { code } = await stream.ended;
    expect(code).toBe(8);
    const polite = rawStream(node);
    polite.write(helloFrame);
    polite.write(encodeFrame([sizeMessage(heartbeat(1, 2, 1))]));
    await vi.waitFor(() => expect(node.recorder.received).toHaveLength(1), WAIT);
  });
});
