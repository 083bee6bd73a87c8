/**
 * In-memory implementations of the runtime's interfaces, time under control, and the suites that implementations of
 * your own must pass.
 */
export type { ConformanceCase } from './conformance-case.ts';
export { LedgerStateMachine } from './ledger-state-machine.ts';
export type { LedgerRecord } from './ledger-state-machine.ts';
export { testLogStore } from './log-store-suite.ts';
export type { LogStoreFixture } from './log-store-suite.ts';
export { ManualClock } from './manual-clock.ts';
export { MemoryLogStore } from './memory-log-store.ts';
export type { MemoryLogOperation, MemoryLogStats, MemoryLogStoreOptions } from './memory-log-store.ts';
export { MemoryNetwork, NO_FAULTS } from './memory-network.ts';
export type { LinkStats, MemoryNetworkOptions, NetworkFaults } from './memory-network.ts';
export { MemorySnapshotStore } from './memory-snapshot-store.ts';
export type { MemorySnapshotStoreOptions } from './memory-snapshot-store.ts';
export { MemoryTransport } from './memory-transport.ts';
export type { MemoryFabric } from './memory-transport.ts';
export { testSnapshotStore } from './snapshot-store-suite.ts';
export type { SnapshotStoreFixture } from './snapshot-store-suite.ts';
export { testStateMachine } from './state-machine-suite.ts';
export type { StateMachineSuiteOptions } from './state-machine-suite.ts';
export { testTransport } from './transport-suite.ts';
export type { TransportPairFixture } from './transport-suite.ts';
