import { describe, expect, it } from 'vitest';
import { toNodeId } from '../../src/core/ids.ts';
import type { RaftNode } from '../../src/index.ts';
import { bytes, Cluster, member, type ClusterOptions, type NodeOptions } from './cluster.ts';

const FOUR = toNodeId(4);

async function fill(cluster: Cluster, node: RaftNode<number>, count: number, size = 20): Promise<void> {
  const outcomes = Array.from({ length: count }, (_, index) =>
    node.propose(bytes(`${index} ${'x'.repeat(size)}`)),
  );
  await cluster.clock.resolve(Promise.all(outcomes));
}

const SMALL: NodeOptions = {
  snapshotIntervalEntries: 100,
  logRetentionEntries: 10,
  logRetentionMaxEntries: 20,
};

describe('taking snapshots', () => {
  it('happens by itself after so many entries, and drops the log behind', async () => {
    const cluster = await Cluster.start({ options: SMALL });
    const leader = await cluster.leader();
    await fill(cluster, leader, 250);
    await cluster.converge(leader);
    await cluster.clock.advance(1000);
    for (const node of cluster.nodes) {
      const { snapshot, firstIndex, lastIndex } = node.status();
      expect(snapshot?.index).toBeGreaterThan(lastIndex - 150);
      expect(firstIndex).toBe((snapshot?.index ?? 0) - 10 + 1);
    }
    await cluster.stopAll();
  });

  it('happens by itself after so many bytes', async () => {
    const cluster = await Cluster.start({ voters: 1, options: { snapshotIntervalBytes: 10_000 } });
    const leader = await cluster.leader();
    await fill(cluster, leader, 5, 3000);
    await cluster.clock.advance(1000);
    expect(leader.status().snapshot?.index).toBeGreaterThan(4);
    await cluster.stopAll();
  });

  it('on demand covers everything applied, and is not repeated for nothing', async () => {
    const cluster = await Cluster.start({ voters: 1 });
    const leader = await cluster.leader();
    await fill(cluster, leader, 5);
    const [first, second] = await cluster.clock.resolve(Promise.all([leader.snapshot(), leader.snapshot()]));
    expect(first.meta.index).toBe(leader.status().appliedIndex);
    expect(second).toEqual(first);
    expect(first.meta.members).toEqual([member(toNodeId(1))]);
    await cluster.stopAll();
  });

  it('does not stand in the way of commits', async () => {
    let release: (() => void) | undefined;
    let slow = false;
    const cluster = await Cluster.start({
      voters: 1,
      options: SMALL,
      snapshotStore: () => ({
        beforeSync: () => {
          if (!slow) return Promise.resolve();
          return new Promise((resolve) => {
            release = resolve;
          });
        },
      }),
    });
    const leader = await cluster.leader();
    await fill(cluster, leader, 10);
    slow = true;
    const saving = leader.snapshot();
    await fill(cluster, leader, 50);
    expect(leader.status().snapshot?.index).toBeLessThan(10);
    slow = false;
    release?.();
    const saved = await cluster.clock.resolve(saving);
    expect(saved.meta.index).toBeLessThan(leader.status().appliedIndex - 40);
    await cluster.stopAll();
  });
});

describe('a follower that needs compacted entries', () => {
  async function lagging(
    options: ClusterOptions = {},
  ): Promise<{ cluster: Cluster; leader: RaftNode<number>; lagging: RaftNode<number> }> {
    const cluster = await Cluster.start({ options: SMALL, ...options });
    const leader = await cluster.leader();
    const follower = cluster.follower(leader);
    await fill(cluster, leader, 5);
    cluster.network.isolate(follower.id);
    await fill(cluster, leader, 500);
    expect(leader.status().firstIndex).toBeGreaterThan(follower.status().lastIndex + 1);
    return { cluster, leader, lagging: follower };
  }

  it('loads the snapshot of its leader, then the log after it', async () => {
    const { cluster, leader, lagging: follower } = await lagging();
    const installed: number[] = [];
    follower.on('snapshotInstalled', ({ snapshot }) => installed.push(snapshot.meta.index));
    cluster.network.heal();
    await cluster.converge(leader);
    expect(installed).toHaveLength(1);
    expect(cluster.site(follower.id).stateMachine.texts).toEqual(cluster.site(leader.id).stateMachine.texts);
    await cluster.clock.resolve(leader.propose(bytes('after')));
    await cluster.converge(leader);
    expect(cluster.site(follower.id).stateMachine.texts.at(-1)).toBe('after');
    await cluster.stopAll();
  });

  it('gets there although transfers break, and fetches nothing twice', async () => {
    const { cluster, leader, lagging: follower } = await lagging({ seed: 5 });
    let failures = 0;
    follower.on('snapshotTransfer', ({ phase }) => {
      if (phase === 'failed') failures++;
    });
    cluster.network.setFaults({ transferFailureProbability: 0.5 });
    cluster.network.heal();
    await cluster.converge(leader);
    expect(failures).toBeGreaterThan(0);
    expect(cluster.site(follower.id).stateMachine.texts).toEqual(cluster.site(leader.id).stateMachine.texts);
    expect(cluster.site(follower.id).snapshotStore.fetchedBytes).toBeLessThanOrEqual(
      leader.status().snapshot?.sizeBytes ?? 0,
    );
    await cluster.stopAll();
  });

  it('gets there from the next leader when the first one dies in the middle', async () => {
    const { cluster, leader, lagging: follower } = await lagging();
    cluster.network.setFaults({ transferFailureProbability: 1 });
    cluster.network.heal();
    await cluster.clock.until(() => follower.status().receivingSnapshot);
    await cluster.crash(leader.id);
    cluster.network.setFaults({ transferFailureProbability: 0 });
    const next = await cluster.leader();
    await cluster.clock.resolve(next.propose(bytes('after')));
    await cluster.converge(next);
    expect(cluster.site(follower.id).stateMachine.texts.at(-1)).toBe('after');
    await cluster.stopAll();
  });

  it('gets there soon after it died in the middle and came back', async () => {
    const { cluster, leader, lagging: follower } = await lagging();
    cluster.network.setFaults({ transferFailureProbability: 1 });
    cluster.network.heal();
    await cluster.clock.until(() => follower.status().receivingSnapshot);
    await cluster.crash(follower.id);
    cluster.network.setFaults({ transferFailureProbability: 0 });
    await cluster.clock.advance(1000);
    const back = await cluster.startNode(follower.id);
    await cluster.clock.advance(2000);
    expect(back.status().appliedIndex).toBe(leader.status().appliedIndex);
    await cluster.stopAll();
  });

  it('does not stay stuck when it never answers about a snapshot', async () => {
    const {
      cluster,
      leader,
      lagging: follower,
    } = await lagging({ options: { ...SMALL, snapshotTimeoutMs: 2000 } });
    let dropped = 0;
    cluster.network.setFilter((message) => {
      if (message.type !== 'MsgSnap' || dropped >= 2) return true;
      dropped++;
      return false;
    });
    cluster.network.heal();
    await cluster.converge(leader);
    expect(dropped).toBe(2);
    expect(follower.status().appliedIndex).toBe(leader.status().appliedIndex);
    await cluster.stopAll();
  });

  it('first applies what it has committed before', async () => {
    const cluster = await Cluster.start({
      options: { ...SMALL, applyMaxEntries: 1, messageMaxBytes: 1 << 20 },
    });
    const leader = await cluster.leader();
    const follower = cluster.follower(leader);
    // It receives entries, but is not told that they are committed.
    cluster.network.setFilter(
      ({ to, type, entries }) => to !== follower.id || (type === 'MsgApp' && entries.length > 1),
    );
    await fill(cluster, leader, 60);
    cluster.network.isolate(follower.id);
    await fill(cluster, leader, 300);
    const before = follower.status();
    expect(before.lastIndex - before.appliedIndex).toBeGreaterThan(50);
    let installedAfter: number | undefined;
    follower.on('snapshotInstalled', () => {
      installedAfter = cluster.site(follower.id).stateMachine.records.length;
    });
    // The commit index comes first, the snapshot while its sixty entries are being applied one by one.
    cluster.network.setFilter(undefined);
    cluster.network.heal();
    await cluster.converge(leader);
    expect(installedAfter).toBeGreaterThan(60);
    expect(follower.status().fatal).toBeUndefined();
    expect(cluster.site(follower.id).stateMachine.texts).toEqual(cluster.site(leader.id).stateMachine.texts);
    await cluster.stopAll();
  });

  it('ignores a snapshot that is not newer than what it has committed', async () => {
    const { cluster, leader, lagging: follower } = await lagging();
    const snapshots: Parameters<Parameters<typeof cluster.network.setFilter>[0] & object>[0][] = [];
    cluster.network.setFilter((message) => {
      if (message.type === 'MsgSnap') snapshots.push(message);
      return true;
    });
    cluster.network.heal();
    await cluster.converge(leader);
    await fill(cluster, leader, 50);
    await cluster.converge(leader);
    const { appliedIndex } = follower.status();
    let transfers = 0;
    follower.on('snapshotTransfer', () => {
      transfers++;
    });
    const late = snapshots[0];
    if (late === undefined) throw new Error('no snapshot was sent');
    cluster.network.send(leader.id, follower.id, [late, late]);
    await cluster.clock.advance(1000);
    expect(follower.status().appliedIndex).toBeGreaterThanOrEqual(appliedIndex);
    expect(transfers).toBe(0);
    await cluster.clock.resolve(leader.propose(bytes('after')));
    await cluster.converge(leader);
    expect(cluster.site(follower.id).stateMachine.texts).toEqual(cluster.site(leader.id).stateMachine.texts);
    await cluster.stopAll();
  });
});

describe('a new learner', () => {
  it('of a group with a long history catches up while commits go on', async () => {
    const cluster = await Cluster.start({ options: SMALL, faults: { latencyMsMin: 1, latencyMsMax: 3 } });
    const leader = await cluster.leader();
    await fill(cluster, leader, 300);
    await cluster.startNode(FOUR);
    await cluster.clock.resolve(leader.addLearner(member(FOUR)));
    for (let round = 0; round < 20; round++) await fill(cluster, leader, 20);
    await cluster.converge(leader);
    expect(cluster.site(4).stateMachine.texts).toEqual(cluster.site(leader.id).stateMachine.texts);
    await cluster.stopAll();
  });
});
