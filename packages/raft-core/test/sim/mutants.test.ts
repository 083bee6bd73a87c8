import { describe, expect, it } from 'vitest';
import { loadSimulator } from '../../sim/build.ts';
import { MUTANTS } from '../../sim/mutants.ts';

/** A bug that survives so many worlds is not found. */
const SEEDS = 1000;
/** For a thousand worlds on a busy machine; most bugs are found in a few. */
const TIMEOUT_MS = 300_000;

describe('the simulator bites: a planted bug is found', () => {
  it.each(MUTANTS.map((mutant) => ({ mutant, name: mutant.name, bug: mutant.bug })))(
    '$name: $bug',
    async ({ mutant }) => {
      const simulate = await loadSimulator(mutant);
      const { violations } = await simulate({
        start: 1,
        seeds: SEEDS,
        untilViolation: true,
        onResult: () => undefined,
      });
      expect(violations).toBe(1);
    },
    TIMEOUT_MS,
  );

  it('a bug whose place is gone is an error, not a bug that nobody found', async () => {
    const lost = {
      name: 'lost',
      bug: 'nothing',
      patches: [{ file: 'core/quorum/majority.ts', find: 'this is nowhere', replace: '' }],
    };
    await expect(loadSimulator(lost)).rejects.toThrowError(/it must occur once/);
  });
});
