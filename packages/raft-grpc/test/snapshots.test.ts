import { createHash } from 'node:crypto';
import { toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import type { StoredSnapshot } from '@pact-journal/raft-core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Recorder, Relay, startNode, stopAll } from './support/cluster.ts';

const ONE = toNodeId(1);
const TWO = toNodeId(2);
const MIB = 1024 * 1024;
const WAIT = { timeout: 20_000, interval: 5 };

afterEach(stopAll);

const chunk = new Uint8Array(8 * MIB).map((_, at) => (at * 31) % 251);
const sha256 = createHash('sha256').update(chunk).digest('hex');

const stored: StoredSnapshot = {
  meta: {
    index: toLogIndex(40),
    term: toTerm(6),
    confState: { voters: [ONE], votersOutgoing: [], learners: [TWO], learnersNext: [], autoLeave: false },
    members: [{ id: ONE, address: '10.0.0.1:9444', attributes: { grpc: '10.0.0.1:9443' } }],
  },
  manifest: { sha256: 'a'.repeat(64), sizeBytes: 10 },
  chunks: [{ sha256, sizeBytes: chunk.length }],
};

async function pair(through?: (address: string) => Promise<string>) {
  const source = await startNode(1);
  source.recorder.stored = stored;
  source.recorder.chunks.set(sha256, chunk);
  const receiver = await startNode(2, { timings: { snapshotTimeoutMs: 2_000 } });
  const address = through === undefined ? source.address : await through(source.address);
  receiver.transport.setPeers([{ id: ONE, address, attributes: {} }]);
  return { source, receiver };
}

describe('a snapshot', () => {
  it('is described and read in ranges, several at a time', async () => {
    const { receiver } = await pair();
    const fetched = await receiver.transport.fetchSnapshot(
      ONE,
      toLogIndex(40),
      toTerm(6),
      new AbortController().signal,
    );
    expect(fetched.stored).toEqual(stored);
    const parts = await Promise.all(
      Array.from({ length: 8 }, (_, part) => fetched.source.read(sha256, part * MIB, MIB)),
    );
    expect(createHash('sha256').update(Buffer.concat(parts)).digest('hex')).toBe(sha256);
  });

  it('ends where the chunk ends', async () => {
    const { receiver } = await pair();
    const { source } = await receiver.transport.fetchSnapshot(
      ONE,
      toLogIndex(40),
      toTerm(6),
      new AbortController().signal,
    );
    expect(await source.read(sha256, chunk.length - 100, MIB)).toEqual(chunk.subarray(chunk.length - 100));
    expect(await source.read(sha256, chunk.length, MIB)).toHaveLength(0);
  });

  it('goes on where a broken connection stopped, not from the beginning', async () => {
    let relay: Relay | undefined;
    const { source, receiver } = await pair(async (address) => {
      relay = await Relay.to(address);
      return relay.address;
    });
    const { source: from } = await receiver.transport.fetchSnapshot(
      ONE,
      toLogIndex(40),
      toTerm(6),
      new AbortController().signal,
    );
    const original = source.recorder.readSnapshot.bind(source.recorder);
    let cut = false;
    vi.spyOn(source.recorder, 'readSnapshot').mockImplementation(async (name, offset, maxBytes) => {
      if (offset >= 4 * MIB && !cut) {
        cut = true;
        relay?.cut();
      }
      return await original(name, offset, maxBytes);
    });
    const whole = await from.read(sha256, 0, chunk.length);
    expect(createHash('sha256').update(whole).digest('hex')).toBe(sha256);
    expect(cut).toBe(true);
    const restarts = source.recorder.reads.filter(({ offset }) => offset === 0);
    expect(restarts).toHaveLength(1);
  });

  it('holds one piece for a reader that takes nothing', async () => {
    let relay: Relay | undefined;
    const { source, receiver } = await pair(async (address) => {
      relay = await Relay.to(address);
      return relay.address;
    });
    const abort = new AbortController();
    const { source: from } = await receiver.transport.fetchSnapshot(
      ONE,
      toLogIndex(40),
      toTerm(6),
      abort.signal,
    );
    relay?.stallBack();
    const reading = from.read(sha256, 0, chunk.length);
    reading.catch(() => undefined);
    await vi.waitFor(() => expect(source.recorder.reads.length).toBeGreaterThan(0), WAIT);
    await expect
      .poll(() => source.recorder.reads.length, { interval: 50, timeout: 1000 })
      .toBeLessThan((chunk.length / (256 * 1024)) * 0.75);
    abort.abort(new Error('enough'));
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
  });

  it('that is gone, or a peer that nobody knows, is a typed error', async () => {
    const { receiver } = await pair();
    const { signal } = new AbortController();
    await expect(
      receiver.transport.fetchSnapshot(ONE, toLogIndex(41), toTerm(6), signal),
    ).rejects.toMatchObject({
      code: 'snapshotNotFound',
      message: expect.stringContaining('index 41'),
    });
    await expect(
      receiver.transport.fetchSnapshot(toNodeId(9), toLogIndex(1), toTerm(1), signal),
    ).rejects.toMatchObject({
      code: 'unknownPeer',
    });
    const { source } = await receiver.transport.fetchSnapshot(ONE, toLogIndex(40), toTerm(6), signal);
    await expect(source.read('f'.repeat(64), 0, 10)).rejects.toMatchObject({ code: 'snapshotNotFound' });
  });

  it('from a peer that is down fails as unavailable, within the timeout', async () => {
    const { source, receiver } = await pair();
    await source.transport.stop();
    const attempt = receiver.transport.fetchSnapshot(
      ONE,
      toLogIndex(40),
      toTerm(6),
      new AbortController().signal,
    );
    await expect(attempt).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('more reads than the limit are told to come back, and do', async () => {
    const source = await startNode(1, { limits: { maxSnapshotReads: 1 } });
    source.recorder.stored = stored;
    source.recorder.chunks.set(sha256, chunk);
    const receiver = await startNode(2);
    receiver.transport.setPeers([{ id: ONE, address: source.address, attributes: {} }]);
    const { source: from } = await receiver.transport.fetchSnapshot(
      ONE,
      toLogIndex(40),
      toTerm(6),
      new AbortController().signal,
    );
    const parts = await Promise.all([from.read(sha256, 0, MIB), from.read(sha256, MIB, MIB)]);
    expect(Buffer.concat(parts)).toEqual(Buffer.from(chunk.subarray(0, 2 * MIB)));
  });

  it('cannot be fetched by a transport that was stopped', async () => {
    const node = await startNode(1);
    await node.transport.stop();
    await expect(
      node.transport.fetchSnapshot(TWO, toLogIndex(1), toTerm(1), new AbortController().signal),
    ).rejects.toMatchObject({ code: 'stopped' });
    await expect(node.transport.start(new Recorder())).rejects.toMatchObject({ code: 'stopped' });
  });
});
