/**
 * `pnpm bench NAME [--json] [...]`. A benchmark is a module `NAME.ts` or `NAME/main.ts` beside this file that exports
 * `run(args): Promise<BenchReport>`; it prints what it measures on the way, and its report is the last line.
 */
import { existsSync, readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { BenchReport } from './report.ts';

const here = dirname(fileURLToPath(import.meta.url));
const HELPERS = new Set(['main', 'report']);

function benchmarks(): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const item of readdirSync(here, { withFileTypes: true })) {
    const name = item.name.replace(/\.ts$/, '');
    const file = item.isDirectory() ? join(here, name, 'main.ts') : join(here, item.name);
    if (!HELPERS.has(name) && existsSync(file)) found.set(name, file);
  }
  return found;
}

function isBenchmark(module: unknown): module is { run(args: readonly string[]): Promise<BenchReport> } {
  return typeof module === 'object' && module !== null && 'run' in module && typeof module.run === 'function';
}

async function main(): Promise<number> {
  const [name, ...args] = process.argv.slice(2);
  const file = benchmarks().get(name ?? '');
  if (file === undefined) {
    process.stderr.write(
      `error: ${name === undefined ? 'no benchmark was named' : `there is no benchmark ${name}`}; there are: ${[...benchmarks().keys()].sort().join(', ')}\n`,
    );
    return 2;
  }
  const module: unknown = await import(pathToFileURL(file).href);
  if (!isBenchmark(module)) throw new Error(`${file} exports no function run`);
  const { ours, peer, ratios } = await module.run(args);
  if (args.includes('--json')) {
    const cpu = cpus()[0]?.model ?? 'unknown';
    process.stdout.write(
      `${JSON.stringify({ bench: name, node_version: process.version, cpu: `${cpus().length} x ${cpu}`, ours, peer, ratios })}\n`,
    );
  }
  return 0;
}

process.exitCode = await main();
