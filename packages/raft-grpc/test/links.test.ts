import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { createMessage, toNodeId, toTerm } from '@pact-journal/raft-core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { GrpcTransport, isRaftGrpcError } from '../src/index.ts';
import { append, freeAddress, heartbeat, Recorder, Relay, startNode, stopAll } from './support/cluster.ts';

const ONE = toNodeId(1);
const TWO = toNodeId(2);
const WAIT = { timeout: 20_000, interval: 5 };

afterEach(stopAll);

function member(id: number, address: string) {
  return { id: toNodeId(id), address, attributes: {} };
}

describe('connections', () => {
  it('take a large append without halting for it', async () => {
    const sessions = new Set<ServerHttp2Session>();
    const onStream = (message: unknown): void => {
      const { session } = (message as { stream: ServerHttp2Stream }).stream;
      if (session !== undefined) sessions.add(session as ServerHttp2Session);
    };
    subscribe('http2.server.stream.created', onStream);
    const second = await startNode(2, { limits: { windowBytes: 3_000_000 } });
    const first = await startNode(1);
    first.transport.setPeers([member(2, second.address)]);
    await vi.waitFor(() => expect(first.transport.stats(TWO)?.connected).toBe(true), WAIT);
    unsubscribe('http2.server.stream.created', onStream);

    const ofSecond = [...sessions].filter(({ socket }) => second.address.endsWith(`:${socket.localPort}`));
    expect(ofSecond).toHaveLength(2);
    for (const session of ofSecond) {
      await vi.waitFor(() => expect(session.localSettings.initialWindowSize).toBe(3_000_000), WAIT);
      expect(session.state.effectiveLocalWindowSize).toBe(3_000_000);
    }
  });

  it('come back by themselves after they were cut, and messages flow again in order', async () => {
    const second = await startNode(2);
    const relay = await Relay.to(second.address);
    const first = await startNode(1);
    first.transport.setPeers([member(2, relay.address)]);
    await vi.waitFor(() => expect(first.transport.stats(TWO)?.connected).toBe(true), WAIT);

    let index = 0;
    for (let round = 1; round <= 3; round += 1) {
      first.transport.send(TWO, [append((index += 1)), append((index += 1))]);
      await vi.waitFor(() => expect(second.recorder.indexes()).toContain(index), WAIT);
      relay.cut();
      // Both lanes have noticed, and are up again.
      await vi.waitFor(() => {
        expect(first.transport.stats(TWO)?.reconnects).toBeGreaterThanOrEqual(2 * round);
        expect(first.transport.stats(TWO)?.connected).toBe(true);
      }, WAIT);
      expect(first.recorder.unreachablePeers.length).toBeGreaterThanOrEqual(2 * round);
    }
    const arrived = second.recorder.indexes();
    expect(arrived).toEqual([...arrived].sort((a, b) => a - b));
  });

  it('are made at once to a peer that calls, whatever the pause until the next attempt', async () => {
    const address = await freeAddress();
    const first = await startNode(1, { timings: { backoffMinMs: 3_600_000, backoffMaxMs: 3_600_000 } });
    first.transport.setPeers([member(2, address)]);
    await vi.waitFor(() => expect(first.recorder.unreachablePeers).toEqual([TWO, TWO]), WAIT);

    const second = await startNode(2, { listen: address });
    second.transport.setPeers([member(1, first.address)]);
    await vi.waitFor(() => expect(first.transport.stats(TWO)?.connected).toBe(true), WAIT);
  });

  it('answer a caller that no one has named yet, at the address it gave', async () => {
    const joining = await startNode(2);
    const leader = await startNode(1);
    leader.transport.setPeers([member(2, joining.address)]);
    leader.transport.send(TWO, [append(1)]);
    await vi.waitFor(() => expect(joining.recorder.indexes()).toEqual([1]), WAIT);

    joining.transport.send(ONE, [createMessage({ type: 'MsgAppResp', to: ONE, from: TWO, term: toTerm(1) })]);
    await vi.waitFor(() => expect(leader.recorder.received).toHaveLength(1), WAIT);
  });

  it('move to the new address of a member', async () => {
    const first = await startNode(1);
    const old = await startNode(2);
    first.transport.setPeers([member(2, old.address)]);
    first.transport.send(TWO, [append(1)]);
    await vi.waitFor(() => expect(old.recorder.indexes()).toEqual([1]), WAIT);
    await old.transport.stop();
    const moved = await startNode(2);
    first.transport.setPeers([member(2, moved.address)]);
    first.transport.send(TWO, [append(2)]);
    await vi.waitFor(() => expect(moved.recorder.indexes()).toEqual([2]), WAIT);
  });

  it('send what is queued before they close, when a member is taken out and when the node stops', async () => {
    const second = await startNode(2);
    const third = await startNode(3);
    const first = await startNode(1, { timings: { drainMs: 5_000 } });
    first.transport.setPeers([member(2, second.address), member(3, third.address)]);
    await vi.waitFor(() => expect(first.transport.stats(TWO)?.connected).toBe(true), WAIT);
    await vi.waitFor(() => expect(first.transport.stats(toNodeId(3))?.connected).toBe(true), WAIT);
    first.transport.send(TWO, [append(7)]);
    first.transport.setPeers([member(3, third.address)]);
    await vi.waitFor(() => expect(second.recorder.indexes()).toEqual([7]), WAIT);
    expect(first.transport.stats(TWO)).toBeUndefined();

    const begin = performance.now();
    first.transport.send(toNodeId(3), [
      createMessage({ type: 'MsgTimeoutNow', to: toNodeId(3), from: ONE, term: toTerm(1) }),
    ]);
    await first.transport.stop();
    expect(performance.now() - begin).toBeLessThan(4_000);
    await vi.waitFor(() => expect(third.recorder.received).toHaveLength(1), WAIT);
  });
});

describe('strangers are refused with words', () => {
  it('a node of another cluster', async () => {
    const here = await startNode(1);
    const stranger = await startNode(2, { clusterId: 'elsewhere' });
    stranger.transport.setPeers([member(1, here.address)]);
    stranger.transport.send(ONE, [heartbeat(1, 2, 1)]);
    await vi.waitFor(
      () => expect(stranger.transport.stats(ONE)?.lastError).toContain('cluster "elsewhere"'),
      WAIT,
    );
    expect(stranger.transport.stats(ONE)?.lastError).toContain('node 1 of cluster "test"');
    await vi.waitFor(() => expect(here.transport.callerRefusals.cluster).toBeGreaterThan(0), WAIT);
    expect(here.events).toContainEqual(
      expect.objectContaining({ type: 'callerRefused', claimed: 2, kind: 'cluster' }),
    );
    expect(here.recorder.received).toEqual([]);

    const attempt = stranger.transport.fetchSnapshot(
      ONE,
      1 as never,
      1 as never,
      new AbortController().signal,
    );
    await expect(attempt).rejects.toMatchObject({
      code: 'refused',
      message: expect.stringContaining('elsewhere'),
    });
  });

  it('a node whose program cannot be mixed, whichever of the two is the newer one', async () => {
    const old = { version: '1.2.9', oldestPeer: '1.1.0' };
    const young = { version: '1.4.0', oldestPeer: '1.3.0' };
    for (const [first, second] of [
      [old, young],
      [young, old],
    ] as const) {
      const here = await startNode(1, { release: first });
      const other = await startNode(2, { release: second });
      other.transport.setPeers([member(1, here.address)]);
      const words = /runs version 1\.4\.0, which shares a group with 1\.3\.0 and later.* runs 1\.2\.9/;
      await vi.waitFor(() => expect(other.transport.stats(ONE)?.lastError).toMatch(words), WAIT);
      expect(here.transport.callerRefusals.version).toBeGreaterThan(0);
      expect(here.recorder.received).toEqual([]);
      await stopAll();
    }
  });

  it('a node of a version in reach is let in, and each side knows what the other runs', async () => {
    const here = await startNode(1, { release: { version: '1.4.0', oldestPeer: '1.3.0' } });
    const other = await startNode(2, { release: { version: '1.3.7', oldestPeer: '1.2.0' } });
    here.transport.setPeers([member(2, other.address)]);
    other.transport.setPeers([member(1, here.address)]);
    await vi.waitFor(() => {
      expect(other.transport.stats(ONE)).toMatchObject({ connected: true, softwareVersion: '1.4.0' });
      expect(here.transport.stats(TWO)).toMatchObject({ connected: true, softwareVersion: '1.3.7' });
    }, WAIT);
  });

  it('a node that meant another', async () => {
    const here = await startNode(1);
    const lost = await startNode(2);
    lost.transport.setPeers([member(3, here.address)]);
    await vi.waitFor(
      () => expect(lost.transport.stats(toNodeId(3))?.lastError).toContain('this is node 1, not node 3'),
      WAIT,
    );
  });

  it('a node that the verifier does not accept', async () => {
    const seen: unknown[] = [];
    const here = await startNode(1, {
      verifyPeer: (peer) => {
        seen.push(peer);
        return `the certificate is not node ${peer.nodeId}'s`;
      },
    });
    const caller = await startNode(2);
    caller.transport.setPeers([member(1, here.address)]);
    await vi.waitFor(
      () =>
        expect(caller.transport.stats(ONE)?.lastError).toBe(
          "PERMISSION_DENIED: the certificate is not node 2's",
        ),
      WAIT,
    );
    expect(seen[0]).toEqual({ nodeId: 2, subjectAltName: undefined, commonName: undefined });
  });
});

describe('listening', () => {
  it('on a taken port fails with an error that names it', async () => {
    const first = await startNode(1);
    const port = String(first.transport.boundPort);
    const second = new GrpcTransport({ id: TWO, clusterId: 'test', listen: `127.0.0.1:${port}` });
    const failure = await second.start(new Recorder()).catch((error: unknown) => error);
    expect(isRaftGrpcError(failure, 'addressInUse')).toBe(true);
    expect((failure as Error).message).toContain(`port ${port} is taken`);
    await second.stop();
  });

  it('with options that make no sense is refused at once', () => {
    const options = { id: ONE, clusterId: 'test', listen: '127.0.0.1:0' };
    const wrong = [
      { ...options, id: toNodeId(0) },
      { ...options, clusterId: '' },
      { ...options, listen: '9444' },
      { ...options, limits: { batchBytes: 0 } },
      { ...options, limits: { maxEntryBytes: 100_000_000 } },
    ];
    for (const attempt of wrong)
      expect(() => new GrpcTransport(attempt)).toThrow(expect.objectContaining({ code: 'invalidOption' }));
  });
});
