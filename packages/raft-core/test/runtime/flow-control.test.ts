import { describe, expect, it } from 'vitest';
import type { Entry } from '../../src/core/types.ts';
import type { SnapshotContent, StateMachine } from '../../src/index.ts';
import { bytes, Cluster } from './cluster.ts';

const KIB = 1024;

/** Keeps nothing but a number, so that ten minutes of full load cost the test little. */
class Counter implements StateMachine<number> {
  #count = 0;

  apply(entries: readonly Entry[]): readonly number[] {
    return entries.map(() => ++this.#count);
  }

  snapshot(): SnapshotContent {
    const record = bytes(String(this.#count));
    return { sections: [{ key: 'count', sealed: false, records: () => [record] }], release: () => undefined };
  }

  async restore(sections: AsyncIterable<{ readonly records: AsyncIterable<Uint8Array> }>): Promise<void> {
    for await (const { records } of sections) {
      for await (const record of records) this.#count = Number(new TextDecoder().decode(record));
    }
  }
}

describe('a follower that is gone', () => {
  for (const [how, cut] of [
    ['crashed', (cluster: Cluster, id: number) => cluster.crash(cluster.site(id).id)],
    [
      'stopped reading',
      (cluster: Cluster, id: number) => {
        for (const other of cluster.nodes) cluster.network.stall(other.id, cluster.site(id).id);
        return Promise.resolve();
      },
    ],
    [
      'behind a cut line',
      (cluster: Cluster, id: number) => {
        cluster.network.isolate(cluster.site(id).id);
        return Promise.resolve();
      },
    ],
  ] as const) {
    it(`for ten minutes under full load costs the leader no more than the options allow (${how})`, async () => {
      const options = {
        inflightMaxBytes: 64 * KIB,
        messageMaxBytes: 16 * KIB,
        pendingProposalsMaxBytes: 288 * KIB,
        snapshotIntervalEntries: 500,
        logRetentionEntries: 100,
        logRetentionMaxEntries: 200,
      };
      const queueMaxBytes = 128 * KIB;
      const cluster = await Cluster.start({ options, queueMaxBytes, stateMachine: () => new Counter() });
      const leader = await cluster.leader();
      const follower = cluster.follower(leader);
      await cut(cluster, follower.id);
      const highest = { inflight: 0, transport: 0, proposals: 0, inbox: 0, log: 0 };
      const data = bytes('x'.repeat(4 * KIB));
      let committed = 0;
      for (let second = 0; second < 600; second++) {
        for (let entry = 0; entry < 62; entry++) {
          leader.propose(data).then(
            () => {
              committed++;
            },
            () => undefined,
          );
        }
        await cluster.clock.advance(1000);
        const { members, queues, lastIndex, firstIndex } = leader.status();
        const dead = members.find(({ id }) => id === follower.id);
        highest.inflight = Math.max(highest.inflight, dead?.inflightBytes ?? 0);
        highest.transport = Math.max(highest.transport, dead?.transportQueuedBytes ?? 0);
        highest.proposals = Math.max(highest.proposals, queues.proposalsBytes);
        highest.inbox = Math.max(highest.inbox, queues.inboxBytes);
        highest.log = Math.max(highest.log, lastIndex - firstIndex + 1);
      }
      // As much as is taken at once, every second.
      expect(committed).toBe(600 * 62);
      expect(highest.inflight).toBeLessThanOrEqual(options.inflightMaxBytes + options.messageMaxBytes);
      expect(highest.transport).toBeLessThanOrEqual(queueMaxBytes);
      expect(highest.proposals).toBeLessThanOrEqual(options.pendingProposalsMaxBytes);
      expect(highest.inbox).toBeLessThanOrEqual(256 * KIB);
      expect(highest.log).toBeLessThanOrEqual(
        options.snapshotIntervalEntries + options.logRetentionMaxEntries + 100,
      );
      await cluster.stopAll();
    });
  }
});

describe('applying', () => {
  it('is done in bounded batches, with other work in between', async () => {
    const cluster = await Cluster.start({ options: { applyMaxEntries: 10 } });
    const leader = await cluster.leader();
    const batches: number[] = [];
    leader.on('applied', ({ fromIndex, toIndex }) => batches.push(toIndex - fromIndex + 1));
    const outcomes = Array.from({ length: 500 }, () => leader.propose(bytes('x')));
    await cluster.clock.resolve(Promise.all(outcomes));
    expect(batches.reduce((sum, size) => sum + size, 0)).toBe(500);
    expect(Math.max(...batches)).toBeLessThanOrEqual(10);
    await cluster.stopAll();
  });
});

describe('received messages', () => {
  it('beyond the inbox limit are dropped and sent again, and heartbeats pass them', async () => {
    const cluster = await Cluster.start({
      options: { inboxMaxBytes: 8 * KIB, messageMaxBytes: 4 * KIB, diskStallMs: 0 },
    });
    const leader = await cluster.leader();
    const outcomes = Array.from({ length: 200 }, () => leader.propose(bytes('x'.repeat(2 * KIB))));
    await cluster.clock.resolve(Promise.all(outcomes));
    await cluster.converge(leader);
    const dropped = cluster.nodes.map((node) => node.status().droppedMessages);
    expect(Math.max(...dropped)).toBeGreaterThan(0);
    expect((await cluster.leader()).id).toBe(leader.id);
    for (const site of cluster.sites.values()) expect(site.stateMachine.records).toHaveLength(200);
    await cluster.stopAll();
  });
});

describe('a lossy network', () => {
  it('with loss, delay, duplicates and reordering changes nothing about the outcome', async () => {
    const cluster = await Cluster.start({
      seed: 11,
      options: { proposalTimeoutMs: 60_000, snapshotIntervalEntries: 40, logRetentionEntries: 5 },
      faults: {
        dropProbability: 0.1,
        duplicateProbability: 0.1,
        reorderProbability: 0.2,
        latencyMsMin: 1,
        latencyMsMax: 40,
      },
    });
    const acknowledged: string[] = [];
    for (let entry = 0; entry < 100; entry++) {
      const leader = await cluster.leader();
      const text = `entry ${entry}`;
      if ((await cluster.failure(leader.propose(bytes(text)))) === undefined) acknowledged.push(text);
    }
    expect(acknowledged.length).toBeGreaterThan(90);
    cluster.network.setFaults({ dropProbability: 0, duplicateProbability: 0, reorderProbability: 0 });
    await cluster.clock.advance(5000);
    await cluster.converge();
    const [first, ...others] = [...cluster.sites.values()].map((site) => site.stateMachine.texts);
    for (const texts of others) expect(texts).toEqual(first);
    expect(first).toEqual(expect.arrayContaining(acknowledged));
    await cluster.stopAll();
  });

  it('and crashes give the same run for the same seed', async () => {
    const run = async (): Promise<readonly string[]> => {
      const cluster = await Cluster.start({
        seed: 3,
        faults: { dropProbability: 0.05, reorderProbability: 0.2, latencyMsMin: 1, latencyMsMax: 20 },
      });
      const trace: string[] = [];
      for (let round = 0; round < 5; round++) {
        const leader = await cluster.leader();
        trace.push(`${cluster.clock.now()} leader ${leader.id} of term ${leader.status().term}`);
        for (let entry = 0; entry < 10; entry++) {
          const error = await cluster.failure(leader.propose(bytes(`${round} ${entry}`)));
          trace.push(`${cluster.clock.now()} ${String(error)}`);
        }
        await cluster.crash(leader.id);
        await cluster.startNode(leader.id);
      }
      await cluster.converge();
      trace.push(JSON.stringify([...cluster.sites.values()].map((site) => site.stateMachine.records)));
      await cluster.stopAll();
      return trace;
    };
    expect(await run()).toEqual(await run());
  });
});
