import { describe, expect, it, vi } from 'vitest';
import { toNodeId } from '../../src/core/ids.ts';
import type { MemoryLogOperation } from '../../src/testing/index.ts';
import { bytes, Cluster } from './cluster.ts';

/** A disk that holds every write until it is let go. */
class GatedDisk {
  readonly operations: MemoryLogOperation[] = [];
  #waiting: (() => void)[] = [];
  closed = false;

  readonly beforeSync = (operation: MemoryLogOperation): Promise<void> => {
    this.operations.push(operation);
    if (!this.closed) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  };

  open(): void {
    this.closed = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  get appends(): readonly number[] {
    return this.operations.flatMap((operation) =>
      operation.type === 'append' && operation.batch.entries.length > 0
        ? [operation.batch.entries.length]
        : [],
    );
  }
}

async function withGates(voters: number): Promise<{ cluster: Cluster; disks: Map<number, GatedDisk> }> {
  const disks = new Map<number, GatedDisk>();
  const cluster = await Cluster.start({
    voters,
    options: { diskStallMs: 0 },
    logStore: (id) => {
      const disk = new GatedDisk();
      disks.set(id, disk);
      return { beforeSync: disk.beforeSync };
    },
  });
  return { cluster, disks };
}

describe('a batch of proposals', () => {
  it('waits for all that can be read now, but not with 96 KiB', async () => {
    const cluster = await Cluster.start({ voters: 3 });
    const leader = await cluster.leader();
    await cluster.clock.advance(300);
    const before = leader.status().lastIndex;
    // Time stands still, and nothing deferred is run before `settle`.
    const outcomes = [leader.propose(bytes('first')), leader.propose(new Uint8Array(95 * 1024))];
    expect(leader.status().lastIndex).toBe(before);
    outcomes.push(leader.propose(new Uint8Array(1024)));
    expect(leader.status().lastIndex).toBe(before + 3);
    outcomes.push(leader.propose(bytes('last')));
    expect(leader.status().lastIndex).toBe(before + 3);
    const committed = await cluster.clock.resolve(Promise.all(outcomes));
    expect(committed.map(({ index }) => index - before)).toEqual([1, 2, 3, 4]);
    await cluster.stopAll();
  });

  it('has no more turns scheduled than one, however often one comes early', async () => {
    const cluster = await Cluster.start({ voters: 1 });
    const leader = await cluster.leader();
    const deferred = vi.spyOn(cluster.clock, 'defer');
    const outcomes: Promise<unknown>[] = [];
    for (let proposed = 0; proposed < 20; proposed++) {
      outcomes.push(leader.propose(bytes('little')), leader.propose(new Uint8Array(100 * 1024)));
    }
    // The turn, and the first write, which waits until messages have left.
    expect(deferred.mock.calls.length).toBeLessThanOrEqual(2);
    deferred.mockRestore();
    await cluster.clock.resolve(Promise.all(outcomes));
    await cluster.stopAll();
  });

  it('is not begun in the middle of a turn', async () => {
    const cluster = await Cluster.start({ voters: 1 });
    const leader = await cluster.leader();
    const outcomes: Promise<unknown>[] = [];
    leader.on('applied', () => {
      if (outcomes.length > 1) return;
      const before = leader.status().lastIndex;
      outcomes.push(leader.propose(new Uint8Array(200 * 1024)));
      expect(leader.status().lastIndex).toBe(before);
    });
    outcomes.push(leader.propose(bytes('first')));
    await cluster.clock.settle();
    expect(outcomes).toHaveLength(2);
    await cluster.clock.resolve(Promise.all(outcomes));
    await cluster.stopAll();
  });
});

describe('writing to the log', () => {
  it('puts everything that arrived during one write into the next one', async () => {
    const { cluster, disks } = await withGates(1);
    const leader = await cluster.leader();
    const disk = disks.get(1);
    if (disk === undefined) throw new Error('no disk');
    disk.closed = true;
    disk.operations.length = 0;
    const outcomes = [leader.propose(bytes('first'))];
    await cluster.clock.settle();
    for (let proposed = 0; proposed < 50; proposed++) {
      outcomes.push(leader.propose(bytes(`more ${proposed}`)));
      // Each in a turn of its own: the merging is not that of the proposals.
      await cluster.clock.settle();
    }
    expect(disk.appends).toEqual([1]);
    disk.open();
    await cluster.clock.resolve(Promise.all(outcomes));
    expect(disk.appends).toEqual([1, 50]);
    await cluster.stopAll();
  });

  it('acknowledges nothing before it is durable, neither the leader to itself nor a follower to the leader', async () => {
    const { cluster, disks } = await withGates(3);
    const leader = await cluster.leader();
    await cluster.clock.advance(300);
    for (const disk of disks.values()) disk.closed = true;
    let committed = false;
    const outcome = leader.propose(bytes('x')).then(() => {
      committed = true;
    });
    await cluster.clock.advance(500);
    expect(committed).toBe(false);
    // One follower's disk answers: with one more the entry would be committed, so it must not be yet.
    disks.get(cluster.follower(leader).id)?.open();
    await cluster.clock.advance(200);
    expect(committed).toBe(false);
    disks.get(leader.id)?.open();
    await cluster.clock.resolve(outcome);
    for (const disk of disks.values()) disk.open();
    await cluster.stopAll();
  });

  it('works on the leader and on the followers at the same time', async () => {
    const { cluster, disks } = await withGates(3);
    const leader = await cluster.leader();
    await cluster.clock.advance(300);
    const disk = disks.get(leader.id);
    if (disk === undefined) throw new Error('no disk');
    disk.closed = true;
    const outcome = leader.propose(bytes('x'));
    // Two followers are a majority: the entry is committed while the leader's own write is still under way.
    await cluster.clock.until(() => leader.status().commitIndex === leader.status().lastIndex);
    expect(cluster.site(leader.id).logStore.lastIndex()).toBeLessThan(leader.status().commitIndex);
    disk.open();
    await cluster.clock.resolve(outcome);
    await cluster.stopAll();
  });

  it('goes on sending without waiting for answers', async () => {
    const { cluster, disks } = await withGates(3);
    const leader = await cluster.leader();
    await cluster.clock.advance(300);
    const followers = cluster.nodes.filter((node) => node !== leader);
    for (const { id } of followers) {
      const disk = disks.get(id);
      if (disk !== undefined) disk.closed = true;
    }
    const outcomes = [];
    for (let proposed = 0; proposed < 20; proposed++) {
      outcomes.push(leader.propose(bytes(`entry ${proposed}`)));
      await cluster.clock.settle();
    }
    // Nothing is acknowledged, and everything has arrived.
    for (const follower of followers) expect(follower.status().lastIndex).toBe(leader.status().lastIndex);
    for (const disk of disks.values()) disk.open();
    await cluster.clock.resolve(Promise.all(outcomes));
    await cluster.stopAll();
  });

  it('asks for no vote before its own is durable, or it could lead the same term twice', async () => {
    const { cluster, disks } = await withGates(3);
    const leader = await cluster.leader();
    await cluster.clock.advance(300);
    const candidate = cluster.follower(leader);
    const disk = disks.get(candidate.id);
    if (disk === undefined) throw new Error('no disk');
    disk.closed = true;
    const voter = cluster.nodes.find(({ id }) => id !== candidate.id && id !== leader.id);
    if (voter === undefined) throw new Error('no voter');
    await cluster.crash(leader.id);
    await cluster.clock.until(() => candidate.status().role === 'candidate');
    await cluster.clock.advance(20);
    expect(voter.status().term).toBeLessThan(candidate.status().term);
    disk.open();
    await cluster.clock.until(() => [candidate, voter].some((node) => node.status().role === 'leader'));
    await cluster.stopAll();
  });

  it('grants no vote that is not durable', async () => {
    const { cluster, disks } = await withGates(3);
    const leader = await cluster.leader();
    await cluster.clock.advance(300);
    const others = cluster.nodes.filter((node) => node !== leader);
    for (const { id } of others) {
      const disk = disks.get(id);
      if (disk !== undefined) disk.closed = true;
    }
    cluster.network.isolate(leader.id);
    await cluster.clock.advance(10_000);
    expect(others.some((node) => node.status().role === 'leader')).toBe(false);
    for (const disk of disks.values()) disk.open();
    await cluster.clock.until(() => others.some((node) => node.status().role === 'leader'));
    await cluster.stopAll();
  });
});

describe('a disk that stalls', () => {
  it('makes its leader hand over to the most up-to-date voter, and the group goes on', async () => {
    const disks = new Map<number, GatedDisk>();
    const cluster = await Cluster.start({
      options: { diskStallMs: 1000 },
      logStore: (id) => {
        const disk = new GatedDisk();
        disks.set(id, disk);
        return { beforeSync: disk.beforeSync };
      },
    });
    const leader = await cluster.leader();
    await cluster.clock.advance(300);
    const stalled: unknown[] = [];
    leader.on('diskStalled', (event) => stalled.push(event));
    const disk = disks.get(leader.id);
    if (disk === undefined) throw new Error('no disk');
    disk.closed = true;
    const others = cluster.nodes.filter((node) => node !== leader);
    const outcome = leader.propose(bytes('x'));
    await cluster.clock.until(() => others.some((node) => node.status().role === 'leader'), 5_000);
    expect(stalled[0]).toMatchObject({
      transferee: expect.toSatisfy((id: number) => id !== leader.id && id !== toNodeId(0)),
    });
    const next = others.find((node) => node.status().role === 'leader');
    await cluster.clock.resolve(next?.propose(bytes('y')) ?? Promise.reject(new Error('no leader')));
    disk.open();
    expect(await cluster.clock.resolve(outcome)).toMatchObject({ result: 1 });
    await cluster.converge();
    await cluster.stopAll();
  });
});
