import type { SeededRandom } from '../src/core/index.ts';
import type { Tuning } from './host.ts';
import type { NetworkQuality } from './sim-network.ts';

/** What one seed's world is like. */
export interface WorldPlan {
  /** Founding voters, from 1 to 7. */
  readonly founders: number;
  readonly tuning: Tuning;
  readonly network: NetworkQuality;
  readonly clients: number;
  /** How long the bad times last, in milliseconds. */
  readonly chaosMs: number;
  /** Mean time between two faults, in milliseconds. */
  readonly faultEveryMs: number;
}

export const TICK_MS = 10;
export const ELECTION_TICKS = 10;

/** Draws a world. Small limits, so that every mechanism that exists for large ones is at work. */
export function planWorld(random: SeededRandom): WorldPlan {
  const pick = <Value>(...values: readonly [Value, ...Value[]]): Value =>
    values[random.nextInt(values.length)] ?? values[0];
  const messageMaxBytes = pick(1, 60, 200, 4096);
  const logRetentionEntries = pick(0, 3, 20);
  return {
    founders: pick(1, 2, 2, 3, 3, 3, 3, 4, 5, 5, 6, 7),
    tuning: {
      tickIntervalMs: TICK_MS,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: pick(1, 2, 3),
      readOnlyOption: pick('safe', 'leaseBased'),
      messageMaxBytes,
      commitNoticeDelayMs: pick(0, 0, 2),
      inflightMaxMessages: pick(1, 3, 20),
      inflightMaxBytes: messageMaxBytes * pick(1, 4, 100),
      pendingProposalsMaxBytes: pick(5_000, 50_000, 1_000_000),
      applyMaxBytes: pick(20, 200, 10_000),
      applyMaxEntries: pick(1, 5, 100),
      snapshotIntervalEntries: pick(5, 20, 60, 10_000),
      logRetentionEntries,
      logRetentionMaxEntries: logRetentionEntries + pick(0, 20, 200),
      snapshotTimeoutMs: 300,
      promotionMaxLagEntries: pick(0, 5, 100),
      diskStallMs: pick(0, 40, 150),
      proposalTimeoutMs: pick(300, 1500),
      readTimeoutMs: pick(100, 500),
      stopHandoverMs: 200,
    },
    network: {
      loss: pick(0, 0.01, 0.05, 0.15),
      duplication: pick(0, 0.05, 0.2),
      reordering: pick(0, 0.05, 0.2),
      delayMsMax: pick(1, 3, 8, 20),
    },
    clients: pick(1, 2, 3),
    chaosMs: 2500,
    faultEveryMs: pick(25, 60, 150),
  };
}
