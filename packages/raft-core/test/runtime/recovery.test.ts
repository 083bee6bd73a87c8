import { describe, expect, it } from 'vitest';
import { toLogIndex, toNodeId, toTerm } from '../../src/core/ids.ts';
import type { HardState, NodeId } from '../../src/core/types.ts';
import { RaftNode, type SnapshotMeta } from '../../src/index.ts';
import {
  LedgerStateMachine,
  ManualClock,
  MemoryLogStore,
  MemoryNetwork,
  MemorySnapshotStore,
} from '../../src/testing/index.ts';
import { bytes, Cluster, member } from './cluster.ts';

const ONE = toNodeId(1);
const TWO = toNodeId(2);
const THREE = toNodeId(3);

describe('after a crash', () => {
  it('of every node at once nothing acknowledged is lost, and the order is the same everywhere', async () => {
    const cluster = await Cluster.start({ options: { snapshotIntervalEntries: 30, logRetentionEntries: 5 } });
    const acknowledged: string[] = [];
    for (let round = 0; round < 6; round++) {
      const leader = await cluster.leader();
      for (let entry = 0; entry < 20; entry++) {
        const text = `round ${round} entry ${entry}`;
        await cluster.clock.resolve(leader.propose(bytes(text)));
        acknowledged.push(text);
      }
      for (const id of [ONE, TWO, THREE]) await cluster.crash(id);
      for (const id of [ONE, TWO, THREE]) await cluster.startNode(id, { bootstrap: cluster.founding });
    }
    await cluster.converge();
    for (const site of cluster.sites.values()) expect(site.stateMachine.texts).toEqual(acknowledged);
    await cluster.stopAll();
  });

  it('of the leader the others go on, and it comes back as a follower', async () => {
    const cluster = await Cluster.start();
    const leader = await cluster.leader();
    await cluster.clock.resolve(leader.propose(bytes('before')));
    await cluster.crash(leader.id);
    const next = await cluster.leader();
    await cluster.clock.resolve(next.propose(bytes('after')));
    await cluster.startNode(leader.id);
    await cluster.converge(next);
    expect(cluster.site(leader.id).stateMachine.texts).toEqual(['before', 'after']);
    await cluster.stopAll();
  });

  it('between any two steps of taking in a snapshot the node recovers', async () => {
    // Every write of the lagging node is a point at which it may die; all are tried, one after the other.
    for (let step = 0; ; step++) {
      let countdown = Number.POSITIVE_INFINITY;
      let died = false;
      let victim: NodeId | undefined;
      const dieHere = (id: NodeId): Promise<void> => {
        if (id !== victim || --countdown >= 0) return Promise.resolve();
        died = true;
        return new Promise(() => undefined);
      };
      const cluster = await Cluster.start({
        options: { snapshotIntervalEntries: 50, logRetentionEntries: 5, logRetentionMaxEntries: 10 },
        logStore: (id) => ({ beforeSync: () => dieHere(id) }),
        snapshotStore: (id) => ({ beforeSync: () => dieHere(id) }),
      });
      const leader = await cluster.leader();
      const follower = cluster.follower(leader);
      cluster.network.isolate(follower.id);
      await cluster.clock.resolve(
        Promise.all(Array.from({ length: 200 }, (_, index) => leader.propose(bytes(`entry ${index}`)))),
      );
      victim = follower.id;
      countdown = step;
      let installed = false;
      follower.on('snapshotInstalled', () => {
        installed = true;
      });
      cluster.network.heal();
      await cluster.clock.until(() => died || installed);
      await cluster.crash(follower.id);
      victim = undefined;
      const diedAt = `died before write ${step + 1}`;
      await cluster.startNode(follower.id);
      await cluster.converge(leader);
      expect(cluster.site(follower.id).stateMachine.texts, diedAt).toEqual(
        cluster.site(leader.id).stateMachine.texts,
      );
      await cluster.stopAll();
      if (installed && !died) {
        // At least: the new term or commit index, the installation, the reset of the log.
        expect(step).toBeGreaterThanOrEqual(2);
        return;
      }
    }
  });
});

describe('starting', () => {
  interface Parts {
    readonly clock: ManualClock;
    readonly logStore: MemoryLogStore;
    readonly snapshotStore: MemorySnapshotStore;
    readonly stateMachine: LedgerStateMachine;
  }

  function parts(): Parts {
    return {
      clock: new ManualClock(),
      logStore: new MemoryLogStore(),
      snapshotStore: new MemorySnapshotStore(),
      stateMachine: new LedgerStateMachine(),
    };
  }

  function start(given: Parts): Promise<RaftNode<number>> {
    const transport = new MemoryNetwork({ clock: given.clock }).transport(ONE);
    return RaftNode.start({
      ...given,
      id: ONE,
      randomSeed: 1,
      transport,
      bootstrap: { members: [member(ONE)] },
    });
  }

  function meta(index: number, term: number): SnapshotMeta {
    return {
      index: toLogIndex(index),
      term: toTerm(term),
      confState: { voters: [ONE], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
      members: [member(ONE)],
    };
  }

  function hardState(term: number, commit: number): HardState {
    return { term: toTerm(term), vote: ONE, commit: toLogIndex(commit) };
  }

  async function save(given: Parts, index: number, term: number): Promise<void> {
    await given.snapshotStore.save(meta(index, term), given.stateMachine.snapshot());
  }

  async function write(given: Parts, from: number, to: number, term: number, commit: number): Promise<void> {
    const entries = Array.from({ length: to - from + 1 }, (_, offset) => ({
      index: toLogIndex(from + offset),
      term: toTerm(term),
      type: 'normal' as const,
      data: bytes(`entry ${from + offset}`),
    }));
    await given.logStore.append({ entries, hardState: hardState(term, commit), mustSync: true });
  }

  it('on empty stores founds the group', async () => {
    const given = parts();
    const node = await start(given);
    expect(node.status()).toMatchObject({
      confState: { voters: [1] },
      appliedIndex: 1,
      snapshot: { index: 1, term: 1 },
    });
    await given.clock.resolve(node.stop());
  });

  it('after a crash while founding, with the snapshot but an empty log, goes on', async () => {
    const given = parts();
    await save(given, 1, 1);
    const node = await start(given);
    await given.clock.until(() => node.status().role === 'leader');
    expect(await given.clock.resolve(node.propose(bytes('x')))).toMatchObject({ result: 1, index: 3 });
    await given.clock.resolve(node.stop());
  });

  it('with a log that ends before the snapshot places the log after it', async () => {
    const given = parts();
    await given.logStore.open();
    await given.logStore.reset(toLogIndex(1), toTerm(1), hardState(1, 1));
    await write(given, 2, 5, 1, 5);
    await given.logStore.close();
    await save(given, 20, 3);
    const node = await start(given);
    expect(node.status()).toMatchObject({ appliedIndex: 20, firstIndex: 21, lastIndex: 20, term: 3 });
    expect(given.logStore.hardState).toMatchObject({ term: 3, vote: 0, commit: 20 });
    await given.clock.resolve(node.stop());
  });

  it('with a log that differs at the snapshot places the log after it', async () => {
    const given = parts();
    await given.logStore.open();
    await given.logStore.reset(toLogIndex(1), toTerm(1), hardState(1, 1));
    await write(given, 2, 30, 2, 5);
    await given.logStore.close();
    await save(given, 20, 3);
    const node = await start(given);
    expect(node.status()).toMatchObject({ appliedIndex: 20, firstIndex: 21, lastIndex: 20 });
    await given.clock.resolve(node.stop());
  });

  it('with a log that contains the snapshot replays what follows it', async () => {
    const given = parts();
    await given.logStore.open();
    await given.logStore.reset(toLogIndex(1), toTerm(1), hardState(1, 1));
    await write(given, 2, 30, 2, 25);
    await given.logStore.close();
    await save(given, 20, 2);
    const node = await start(given);
    await given.clock.until(() => node.status().role === 'leader' && node.status().appliedIndex === 31);
    expect(given.stateMachine.records.map((record) => record.index)).toEqual(
      Array.from({ length: 10 }, (_, offset) => 21 + offset),
    );
    await given.clock.resolve(node.stop());
  });

  it('refuses a compacted log without the snapshot it was compacted for', async () => {
    const given = parts();
    await given.logStore.open();
    await given.logStore.reset(toLogIndex(50), toTerm(2), hardState(2, 50));
    await given.logStore.close();
    await expect(start(given)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('50'),
    });
    await save(given, 20, 2);
    await expect(start(given)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('20'),
    });
  });

  it('refuses a commit index beyond the end of the log', async () => {
    const given = parts();
    await given.logStore.open();
    await given.logStore.reset(toLogIndex(1), toTerm(1), hardState(1, 1));
    await write(given, 2, 5, 1, 9);
    await given.logStore.close();
    await save(given, 1, 1);
    await expect(start(given)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('9'),
    });
  });
});
