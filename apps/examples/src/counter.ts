/** A replicated counter: three nodes in one process, with stores and a network in memory. Run: `node counter.ts` */
import { RaftNode, systemClock, toNodeId, type Entry, type StateMachine } from '@pact-journal/raft-core';
import { MemoryLogStore, MemoryNetwork, MemorySnapshotStore } from '@pact-journal/raft-core/testing';

/** The replicated state: entries are numbers to add, the result of each is the sum so far. */
class Counter implements StateMachine<number> {
  sum = 0;

  apply(entries: readonly Entry[]): number[] {
    return entries.map((entry) => (this.sum += Number(new TextDecoder().decode(entry.data))));
  }

  snapshot() {
    const record = new TextEncoder().encode(String(this.sum));
    return { sections: [{ key: 'sum', sealed: false, records: () => [record] }], release: () => undefined };
  }

  async restore(sections: AsyncIterable<{ records: AsyncIterable<Uint8Array> }>): Promise<void> {
    for await (const { records } of sections) {
      for await (const record of records) this.sum = Number(new TextDecoder().decode(record));
    }
  }
}

const network = new MemoryNetwork({ clock: systemClock });
const members = [1, 2, 3].map((id) => ({ id: toNodeId(id), address: `memory-${id}`, attributes: {} }));
const counters = members.map(() => new Counter());
const nodes = await Promise.all(
  members.map(({ id }, at) =>
    RaftNode.start({
      id,
      bootstrap: { members },
      stateMachine: counters[at] ?? new Counter(),
      logStore: new MemoryLogStore(),
      snapshotStore: new MemorySnapshotStore(),
      transport: network.transport(id),
    }),
  ),
);

const leader = await new Promise<RaftNode<number>>((resolve) => {
  for (const node of nodes) node.on('roleChange', ({ role }) => role === 'leader' && resolve(node));
});
console.log(`node ${leader.id} leads`);

for (const amount of [1, 2, 39]) {
  const { index, result } = await leader.propose(new TextEncoder().encode(String(amount)));
  console.log(`added ${amount} at index ${index}: ${result}`);
}

// Every node can be read from: after this, its state is at least as new as any answer given before.
await Promise.all(nodes.map((node) => node.linearizableRead()));
console.log(`counters: ${counters.map((counter) => counter.sum).join(', ')}`);

await Promise.all(nodes.map((node) => node.stop()));
