/** In a process of its own: V8's flags are everybody's. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { YOUNG_GENERATION_BYTES_MAX } from '../../src/server/young-generation.ts';

const module = fileURLToPath(new URL('../../src/server/young-generation.ts', import.meta.url));

/** Keeps many objects for a while and turns the event loop now and then, as a server does; prints the size. */
const program = (bound: boolean): string => `
  import { boundYoungGeneration, youngGenerationBytes } from ${JSON.stringify(module)};
  if (${String(bound)}) boundYoungGeneration();
  const kept = [];
  for (let turn = 0; turn < 400; turn += 1) {
    for (let at = 0; at < 10_000; at += 1) kept[(turn * 10_000 + at) % 300_000] = { turn, at: [at] };
    await new Promise((resolve) => setImmediate(resolve));
  }
  console.log(youngGenerationBytes());
`;

async function sizeWith(bound: boolean): Promise<number> {
  const args = ['--input-type=module', '--eval', program(bound)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return Number(stdout);
}

test('the young generation stays small where it is bounded, and would not by itself', async () => {
  // One doubling may happen before it is noticed.
  expect(await sizeWith(true)).toBeLessThanOrEqual(2 * YOUNG_GENERATION_BYTES_MAX);
  expect(await sizeWith(false)).toBeGreaterThan(2 * YOUNG_GENERATION_BYTES_MAX);
});
