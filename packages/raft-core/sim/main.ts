import { parseArgs } from 'node:util';
import { loadSimulator } from './build.ts';
import { MUTANTS } from './mutants.ts';
import type { Mutant } from './mutants.ts';

const USAGE = 'usage: pnpm sim --seeds N [--start S] [--mutant NAME] [--json] | pnpm sim --mutants';

/** A mistake of the caller's. */
class UsageError extends Error {}

/** The command behind `pnpm sim`. Exit codes: 0 no violation, 1 violation, 2 usage. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: 'string' },
      start: { type: 'string', default: '1' },
      mutant: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  if (values.mutants) {
    for (const { name, bug } of MUTANTS) console.log(`${name.padEnd(24)} ${bug}`);
    return 0;
  }
  const start = parseCount('start', values.start);
  const mutant = values.mutant === undefined ? undefined : findMutant(values.mutant);
  const seeds = parseCount('seeds', values.seeds ?? (mutant === undefined ? '200' : '1000'));
  const simulate = await loadSimulator(mutant);
  const startedAt = performance.now();
  const summary = await simulate({
    start,
    seeds,
    untilViolation: mutant !== undefined,
    onResult: ({ seed, violation }) => {
      if (violation === undefined) return;
      const again = `pnpm sim --start ${seed} --seeds 1${mutant === undefined ? '' : ` --mutant ${mutant.name}`}`;
      console.error(`seed ${seed}: ${violation.message}\n  again: ${again}`);
    },
  });
  const { ticks, violations, faults, traceHash } = summary;
  if (values.json) {
    console.log(JSON.stringify({ seeds: summary.seeds, ticks, violations, faults, trace_hash: traceHash }));
  } else {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    console.log(
      `${summary.seeds} seeds, ${ticks} ticks, ${violations} violations in ${seconds} s; trace ${traceHash}`,
    );
    console.log(
      Object.entries(faults.toJSON())
        .map(([kind, count]) => `${kind} ${count}`)
        .join(', '),
    );
  }
  return violations === 0 ? 0 : 1;
}

function parseCount(option: string, value: string): number {
  const count = Number(value);
  if (!Number.isSafeInteger(count) || count < 0)
    throw new UsageError(`--${option} ${value}: a whole number is needed`);
  return count;
}

function findMutant(name: string): Mutant {
  const mutant = MUTANTS.find((candidate) => candidate.name === name);
  if (mutant === undefined) {
    throw new UsageError(
      `--mutant ${name}: there is none of that name; one of ${MUTANTS.map((known) => known.name).join(', ')}`,
    );
  }
  return mutant;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError) && !(error instanceof TypeError && 'code' in error)) throw error;
  console.error(`${error.message}\n${USAGE}`);
  process.exitCode = 2;
}
