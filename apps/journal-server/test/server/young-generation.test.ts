/** In a process of its own: V8's flags are everybody's. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { YOUNG_GENERATION_BYTES_MAX } from '../../src/server/young-generation.ts';

const module = fileURLToPath(new URL('../../src/server/young-generation.ts', import.meta.url));

/** One doubling may happen before it is noticed. */
const WANTED_BYTES_MAX = 2 * YOUNG_GENERATION_BYTES_MAX;
/** V8 takes its own limit from the machine's memory; so it is the same on all machines. */
const SEMI_SPACE_MIB_MAX = 64;
const TURNS_BOUNDED = 400;
/** V8 grows when scavenges find much alive, and now and then a full collection comes first: nobody knows in which turn. */
const TURNS_MAX = 10_000;

/**
 * Keeps many objects for a while and turns the event loop now and then, as a server does, until the young generation has
 * become larger than wanted or the turns are over; prints its size. It is read after a collection: while V8 marks, it
 * takes more for a moment.
 */
const program = (bound: boolean): string => `
  import { boundYoungGeneration, youngGenerationBytes } from ${JSON.stringify(module)};
  if (${String(bound)}) boundYoungGeneration();
  let kept = [];
  let size = 0;
  for (let turn = 1; turn <= ${String(bound ? TURNS_BOUNDED : TURNS_MAX)}; turn += 1) {
    kept.push(Array.from({ length: 10_000 }, (_, at) => ({ turn, at: [at] })));
    await new Promise((resolve) => setImmediate(resolve));
    if (turn % 100 > 0) continue;
    kept = [];
    globalThis.gc({ type: 'minor' });
    size = youngGenerationBytes();
    if (size > ${String(WANTED_BYTES_MAX)}) break;
  }
  console.log(size);
`;

async function sizeWith(bound: boolean): Promise<number> {
  const args = [
    '--expose-gc',
    `--max-semi-space-size=${String(SEMI_SPACE_MIB_MAX)}`,
    '--input-type=module',
    '--eval',
    program(bound),
  ];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return Number(stdout);
}

test('the young generation stays small where it is bounded, and would not by itself', async () => {
  expect(await sizeWith(true)).toBeLessThanOrEqual(WANTED_BYTES_MAX);
  expect(await sizeWith(false)).toBeGreaterThan(WANTED_BYTES_MAX);
});
