import { describe, it } from 'vitest';
import { toNodeId } from '../../src/core/ids.ts';
import {
  LedgerStateMachine,
  ManualClock,
  MemoryLogStore,
  MemoryNetwork,
  MemorySnapshotStore,
  testLogStore,
  testSnapshotStore,
  testStateMachine,
  testTransport,
  type ConformanceCase,
} from '../../src/testing/index.ts';

function run(name: string, cases: readonly ConformanceCase[]): void {
  describe(name, () => {
    for (const { name: caseName, run: body } of cases) it(caseName, body);
  });
}

const encoder = new TextEncoder();

run(
  'MemoryLogStore',
  testLogStore(() => {
    const store = new MemoryLogStore();
    return { open: () => store };
  }),
);

run(
  'MemorySnapshotStore',
  testSnapshotStore(() => {
    const store = new MemorySnapshotStore();
    return { open: () => store };
  }),
);

run(
  'LedgerStateMachine',
  testStateMachine(() => new LedgerStateMachine(), {
    commands: Array.from({ length: 700 }, (_, index) => encoder.encode(`command ${index}`)),
  }),
);

run(
  'MemoryTransport',
  testTransport(() => {
    const clock = new ManualClock();
    const network = new MemoryNetwork({ clock });
    const [one, two] = [toNodeId(1), toNodeId(2)];
    return {
      transports: [network.transport(one), network.transport(two)],
      members: [
        { id: one, address: 'one', attributes: {} },
        { id: two, address: 'two', attributes: {} },
      ],
      waitFor: (condition) => clock.until(condition, 10_000),
    };
  }),
);
