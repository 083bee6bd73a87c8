import { describe, expect, it } from 'vitest';
import { loadSimulator } from '../../sim/build.ts';
import type { RunResult } from '../../sim/world.ts';

/** Other worlds than those that the landing checks run by `pnpm sim`. */
const SEEDS = 60;
/** On a busy machine; on an idle one it takes seconds. */
const TIMEOUT_MS = 180_000;

async function results(
  start: number,
  seeds: number,
): Promise<{ runs: RunResult[]; traceHash: string; faults: unknown }> {
  const simulate = await loadSimulator();
  const runs: RunResult[] = [];
  const { traceHash, faults } = await simulate({
    start,
    seeds,
    untilViolation: false,
    onResult: (result) => runs.push(result),
  });
  return { runs, traceHash, faults: faults.toJSON() };
}

describe('simulation', () => {
  it(
    `${SEEDS} groups keep every promise, whatever happens to them`,
    async () => {
      const { runs, faults } = await results(100_001, SEEDS);
      const broken = runs.filter(({ violation }) => violation !== undefined);
      expect(
        broken.map(({ seed, violation }) => `pnpm sim --start ${seed} --seeds 1: ${violation?.message}`),
      ).toEqual([]);
      // A simulation in which nothing goes wrong proves nothing.
      expect(Object.keys(faults as object)).toEqual([
        'crash',
        'delay',
        'duplicate',
        'graceful_stop',
        'isolation',
        'leadership_transfer',
        'loss',
        'machine_lost',
        'membership_change',
        'one_way_cut',
        'partition',
        'pause',
        'read_failure',
        'reorder',
        'restart',
        'slow_disk',
        'snapshot_installed',
        'snapshot_taken',
        'sync_failure',
      ]);
    },
    TIMEOUT_MS,
  );

  it(
    'a seed decides everything: the same one gives the same trace, another gives another',
    async () => {
      const first = await results(7, 5);
      const again = await results(7, 5);
      const other = await results(8, 5);
      expect(again.traceHash).toBe(first.traceHash);
      expect(again.faults).toEqual(first.faults);
      expect(other.traceHash).not.toBe(first.traceHash);
    },
    TIMEOUT_MS,
  );
});
