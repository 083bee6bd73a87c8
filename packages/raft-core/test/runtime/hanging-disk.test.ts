import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/core/types.ts';
import type { MemoryLogOperation, MemoryLogStoreOptions } from '../../src/testing/index.ts';
import { bytes, Cluster, failureOf } from './cluster.ts';

/** Lets one kind of operation of one node hang until it is let go. */
class HangingDisks {
  #hanging: { readonly id: NodeId; readonly type: MemoryLogOperation['type'] } | undefined;
  #waiting: (() => void)[] = [];

  readonly logStore = (id: NodeId): MemoryLogStoreOptions => ({
    beforeSync: ({ type }) =>
      this.#hanging?.id === id && this.#hanging.type === type
        ? new Promise((resolve) => this.#waiting.push(resolve))
        : Promise.resolve(),
  });

  get hangs(): boolean {
    return this.#waiting.length > 0;
  }

  hang(id: NodeId, type: MemoryLogOperation['type']): void {
    this.#hanging = { id, type };
  }

  release(): void {
    this.#hanging = undefined;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

describe('a disk that hangs', () => {
  it('while the log is compacted makes its leader hand over', async () => {
    const disks = new HangingDisks();
    const cluster = await Cluster.start({
      options: { diskStallMs: 1000, snapshotIntervalEntries: 10, logRetentionEntries: 0 },
      logStore: disks.logStore,
    });
    const leader = await cluster.leader();
    await cluster.clock.advance(300);
    disks.hang(leader.id, 'compact');
    const stalled: number[] = [];
    leader.on('diskStalled', ({ stalledMs }) => stalled.push(stalledMs));
    const outcomes = Array.from({ length: 20 }, (_, at) => leader.propose(bytes(`${at}`)));
    await cluster.clock.until(() => disks.hangs);
    const others = cluster.nodes.filter((node) => node !== leader);
    await cluster.clock.until(() => others.some((node) => node.status().role === 'leader'), 5_000);
    expect(stalled[0]).toBeGreaterThanOrEqual(1000);
    disks.release();
    await cluster.clock.resolve(Promise.all(outcomes));
    await cluster.converge();
    await cluster.stopAll();
  });

  it('does not keep a node from stopping; its stores are closed when the write ends', async () => {
    const disks = new HangingDisks();
    const cluster = await Cluster.start({
      voters: 1,
      options: { stopTimeoutMs: 3000 },
      logStore: disks.logStore,
    });
    const node = await cluster.leader();
    await cluster.clock.resolve(node.propose(bytes('kept')));
    const site = cluster.site(node.id);
    const lastIndex = site.logStore.lastIndex();
    disks.hang(node.id, 'append');
    const outcomes = [failureOf(node.propose(bytes('under way')))];
    await cluster.clock.settle();
    outcomes.push(failureOf(node.propose(bytes('queued'))));
    await cluster.clock.settle();
    const startedAt = cluster.clock.now();
    await cluster.clock.resolve(node.stop());
    expect(cluster.clock.now() - startedAt).toBeGreaterThanOrEqual(3000);
    expect(cluster.clock.now() - startedAt).toBeLessThan(3100);
    expect(node.status().lifecycle).toBe('stopped');
    for (const error of await Promise.all(outcomes)) expect(error).toMatchObject({ code: 'outcomeUnknown' });
    // Still locked: a write that may yet happen must not meet another instance.
    await expect(site.logStore.open()).rejects.toThrow('already open');
    disks.release();
    await cluster.clock.settle();
    expect(site.logStore.lastIndex()).toBe(lastIndex + 1);
    await cluster.startNode(node.id);
    await cluster.converge();
    expect(site.stateMachine.texts).toEqual(['kept', 'under way']);
    await cluster.stopAll();
  });

  it('does not keep a node that has failed from being stopped', async () => {
    const disks = new HangingDisks();
    const cluster = await Cluster.start({
      options: { diskStallMs: 0, stopTimeoutMs: 3000 },
      logStore: disks.logStore,
    });
    const leader = await cluster.leader();
    const lagging = cluster.follower(leader).id;
    cluster.network.isolate(lagging);
    await cluster.clock.resolve(leader.propose(bytes('before')));
    disks.hang(leader.id, 'append');
    const outcomes = [failureOf(leader.propose(bytes('under way')))];
    await cluster.clock.until(() => disks.hangs);
    cluster.site(leader.id).logStore.entries = () => {
      throw new Error('EIO: read');
    };
    // What is sent to it next begins with what it lacks, and has to be read.
    await cluster.crash(lagging);
    await cluster.clock.until(() =>
      leader.status().members.some(({ id, state }) => id === lagging && state === 'probe'),
    );
    outcomes.push(failureOf(leader.propose(bytes('next'))));
    for (const error of await cluster.clock.resolve(Promise.all(outcomes))) {
      expect(error).toMatchObject({ code: 'outcomeUnknown' });
    }
    expect(leader.status().fatal).toMatchObject({ code: 'storageFailed' });
    await cluster.clock.resolve(leader.stop(), 4000);
    expect(leader.status().lifecycle).toBe('stopped');
    expect(disks.hangs).toBe(true);
    disks.release();
    await cluster.clock.settle();
    await cluster.stopAll();
  });
});
