/** Three whole nodes on real time, with stores and network in memory: what a caller of `propose` gets. */
import {
  RaftNode,
  toNodeId,
  type Entry,
  type SnapshotContent,
  type StateMachine,
  systemClock,
} from '@pact-journal/raft-core';
import { MemoryLogStore, MemoryNetwork, MemorySnapshotStore } from '@pact-journal/raft-core/testing';
import { percentile } from '../report.ts';

export interface NodeFigures {
  readonly entriesPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Counts. */
class Counter implements StateMachine<number> {
  #count = 0;

  apply(entries: readonly Entry[]): readonly number[] {
    return entries.map(() => ++this.#count);
  }

  snapshot(): SnapshotContent {
    const text = new TextEncoder().encode(String(this.#count));
    return { sections: [{ key: 'count', sealed: false, records: () => [text] }], release: () => undefined };
  }

  async restore(sections: AsyncIterable<{ readonly records: AsyncIterable<Uint8Array> }>): Promise<void> {
    for await (const { records } of sections) {
      for await (const record of records) this.#count = Number(new TextDecoder().decode(record));
    }
  }
}

/** Starts a group of three and waits for its leader. */
export async function startNodes(): Promise<{
  readonly leader: RaftNode<number>;
  readonly stop: () => Promise<void>;
}> {
  const network = new MemoryNetwork({ clock: systemClock });
  const ids = [1, 2, 3].map(toNodeId);
  const members = ids.map((id) => ({ id, address: `node-${id}`, attributes: {} }));
  const nodes = await Promise.all(
    ids.map((id) =>
      RaftNode.start<number>({
        id,
        logStore: new MemoryLogStore(),
        snapshotStore: new MemorySnapshotStore(),
        stateMachine: new Counter(),
        transport: network.transport(id),
        bootstrap: { members },
        randomSeed: id,
        tickIntervalMs: 20,
      }),
    ),
  );
  const leader = await new Promise<RaftNode<number>>((resolve) => {
    for (const node of nodes) {
      node.on('roleChange', ({ role }) => {
        if (role === 'leader') resolve(node);
      });
    }
  });
  return {
    leader,
    stop: async () => {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}

/** `concurrency` callers, each awaiting its own outcome before the next. */
export async function measureNodes(
  concurrency: number,
  seconds: number,
  entryBytes: number,
): Promise<NodeFigures> {
  const { leader, stop } = await startNodes();
  const data = new Uint8Array(entryBytes);
  const latencies: number[] = [];
  let startedAt = performance.now();
  let deadline = startedAt + 500;
  let committed = 0;
  const caller = async (record: boolean): Promise<void> => {
    while (performance.now() < deadline) {
      const proposedAt = performance.now();
      await leader.propose(data);
      committed++;
      if (record) latencies.push(performance.now() - proposedAt);
    }
  };
  const all = (record: boolean): Promise<unknown> =>
    Promise.all(Array.from({ length: concurrency }, () => caller(record)));
  await all(false);
  committed = 0;
  startedAt = performance.now();
  deadline = startedAt + seconds * 1000;
  await all(true);
  const entriesPerSecond = (committed / (performance.now() - startedAt)) * 1000;
  await stop();
  return { entriesPerSecond, p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) };
}
