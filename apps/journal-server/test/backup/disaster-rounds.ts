/**
 * `node scripts/disaster.mjs [--rounds N] [--seed S] [--s3]`: as many disasters, each with other random moments and
 * targets. Exit 1 at the first that costs more than it may, with the seed that repeats its choices (not its timing).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { S3_ENVIRONMENT, S3Server } from '../support/s3-server.ts';
import { disaster } from './disaster.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '50' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    s3: { type: 'boolean', default: false },
  },
});

/** A small generator (mulberry32): the same choices for the same seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

Object.assign(process.env, S3_ENVIRONMENT);
const s3 = values.s3 ? await S3Server.start() : undefined;
const rounds = Number(values.rounds);
let failed = 0;
for (let round = 0; round < rounds; round += 1) {
  const seed = Number(values.seed) + round;
  const directory = await mkdtemp(join(tmpdir(), 'pact-disaster-store-'));
  const url = s3 === undefined ? `file://${directory}` : s3.url(`round-${String(round)}`);
  try {
    const { acknowledged, restored, lost, lagSeconds, targets, before } = await disaster({
      url,
      random: generator(seed),
    });
    process.stdout.write(
      `round ${String(round + 1)}/${String(rounds)} seed ${String(seed)}: ${String(acknowledged)} acknowledged, ${String(restored)} restored, ` +
        `${String(lost)} younger than the lag of ${lagSeconds.toFixed(2)} s lost; ${String(before)} there before the export began; restored to ${targets.join(' and ')}\n`,
    );
  } catch (error) {
    failed += 1;
    process.stdout.write(
      `round ${String(round + 1)} seed ${String(seed)} FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    if (s3 === undefined) process.stdout.write(`its backup is kept in ${directory}\n`);
    break;
  }
  await rm(directory, { recursive: true, force: true });
}
await s3?.close();
process.stdout.write(`${String(failed)} of ${String(rounds)} rounds failed\n`);
process.exitCode = failed === 0 ? 0 : 1;
