import { toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import type { CommittedEntries, Entry, StoredSnapshot } from '@pact-journal/raft-core';
import { afterEach, describe, expect, it } from 'vitest';
import { PeerLogs } from '../src/index.ts';
import { freeAddress, startNode, stopAll } from './support/cluster.ts';
import type { TestNode } from './support/cluster.ts';

afterEach(stopAll);

function entry(index: number, bytes = 10): Entry {
  const type = index % 3 === 0 ? 'confChangeV2' : 'normal';
  return { index: toLogIndex(index), term: toTerm(2), type, data: new Uint8Array(bytes).fill(index) };
}

function committed(last: number, over: Partial<CommittedEntries> = {}): CommittedEntries {
  const entries = Array.from({ length: last }, (_, at) => entry(at + 1));
  return { entries, commitIndex: toLogIndex(last), confirmed: true, snapshot: undefined, ...over };
}

function logsOf(nodes: readonly TestNode[], clusterId = 'test'): PeerLogs {
  const peers = nodes.map(({ address }, at) => ({ id: toNodeId(at + 2), address }));
  return new PeerLogs({ id: toNodeId(1), clusterId, peers, timeoutMs: 2_000 });
}

describe('the logs of running peers', () => {
  it('give what each has committed, whatever it takes to carry it', async () => {
    const nodes = [await startNode(2), await startNode(3)];
    const [two, three] = nodes.map(({ recorder }) => recorder);
    if (two === undefined || three === undefined) throw new Error('two nodes were started');
    two.committed = committed(9);
    // One at a time, as with entries that fill an answer each.
    three.readCommitted = async (from) => ({
      ...committed(7, { confirmed: false }),
      entries: from <= 7 ? [entry(from)] : [],
    });
    const logs = logsOf(nodes);
    expect(await logs.fetchEntries(3, 9)).toEqual([
      {
        nodeId: 2,
        clusterId: 'test',
        confirmed: true,
        commitIndex: 9,
        entries: [3, 4, 5, 6, 7, 8, 9].map((index) => entry(index)),
      },
      {
        nodeId: 3,
        clusterId: 'test',
        confirmed: false,
        commitIndex: 7,
        entries: [3, 4, 5, 6, 7].map((index) => entry(index)),
      },
    ]);
    logs.close();
  });

  it('leave out a peer that is down, and fail with every reason where all are', async () => {
    const up = await startNode(2);
    up.recorder.committed = committed(4);
    const down = { ...up, address: await freeAddress() };
    const logs = logsOf([up, down]);
    expect(await logs.fetchEntries(1, 4)).toMatchObject([{ nodeId: 2, commitIndex: 4 }]);
    logs.close();
    const none = logsOf([down, down]);
    await expect(none.fetchEntries(1, 4)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(/node 2 at .*; .*node 3 at /),
    });
    none.close();
  });

  it('are closed to another cluster and to whom the verifier does not know', async () => {
    const node = await startNode(2);
    node.recorder.committed = committed(4);
    const stranger = logsOf([node], 'other');
    await expect(stranger.fetchEntries(1, 4)).rejects.toThrow(/cluster "other"/);
    stranger.close();
    const strict = await startNode(2, { verifyPeer: ({ nodeId }) => `node ${nodeId} has no certificate` });
    strict.recorder.committed = committed(4);
    const logs = logsOf([strict]);
    await expect(logs.fetchEntries(1, 4)).rejects.toThrow(/has no certificate/);
    expect(strict.transport.callerRefusals).toMatchObject({ identity: 1 });
    logs.close();
  });

  it('refuse a range that is none', async () => {
    const node = await startNode(2);
    node.recorder.committed = committed(4);
    const logs = logsOf([node]);
    await expect(logs.fetchEntries(0, 4)).rejects.toThrow(/no range/);
    logs.close();
  });

  it('come with the newest snapshot of all', async () => {
    const nodes = [await startNode(2), await startNode(3)];
    const stored = (index: number): StoredSnapshot => ({
      meta: {
        index: toLogIndex(index),
        term: toTerm(2),
        confState: {
          voters: [toNodeId(1)],
          votersOutgoing: [],
          learners: [],
          learnersNext: [],
          autoLeave: false,
        },
        members: [],
      },
      manifest: { sha256: 'ab'.repeat(32), sizeBytes: 3 },
      chunks: [],
    });
    for (const [at, { recorder }] of nodes.entries()) {
      recorder.stored = stored(20 + at);
      recorder.committed = committed(0, { snapshot: recorder.stored });
      recorder.chunks.set('ab'.repeat(32), Uint8Array.of(at, at, at));
    }
    const logs = logsOf(nodes);
    expect(await logs.fetchSnapshot()).toBeUndefined();
    expect(await logs.fetchEntries(5, 6)).toMatchObject([{ entries: [] }, { entries: [] }]);
    const snapshot = await logs.fetchSnapshot();
    expect(snapshot?.stored.meta.index).toBe(21);
    expect(await snapshot?.source.read('ab'.repeat(32), 1, 10)).toEqual(Uint8Array.of(1, 1));
    logs.close();
  });
});
