import { expect, test } from 'vitest';
import { growthPercent } from '../../src/server/old-generation.ts';

const MIB = 1024 * 1024;

test('a small heap may grow by 48 MiB, a larger one by what V8 finds right', () => {
  for (const usedMib of [5, 17, 36, 96]) {
    const growthMib = (usedMib * growthPercent(usedMib * MIB)) / 100;
    expect(growthMib).toBeGreaterThanOrEqual(48);
    expect(growthMib).toBeLessThan(49);
  }
  expect(growthPercent(97 * MIB)).toBe(0);
});
