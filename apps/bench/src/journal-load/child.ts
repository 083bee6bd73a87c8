/** A measurement in a process of its own: its memory is nobody else's. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Runs a module with arguments, its messages on our stderr, and returns the JSON that it prints. */
export async function inChild(module: string, args: readonly string[]): Promise<Record<string, number>> {
  const child = spawn(process.execPath, [...process.execArgv, module, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (data: Buffer) => {
    output += data.toString();
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`${module} ${args.join(' ')} ended with ${String(code)}`);
  const parsed: unknown = JSON.parse(output);
  if (typeof parsed !== 'object' || parsed === null) throw new Error(`${module} printed no object`);
  return Object.fromEntries(Object.entries(parsed).map(([name, value]) => [name, Number(value)]));
}

/** A directory for one measurement, gone after it. Below PACT_BENCH_DIR if that is set: the disk is what is measured. */
export async function inDirectory<Result>(work: (directory: string) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(process.env['PACT_BENCH_DIR'] ?? tmpdir(), 'pact-bench-'));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Bytes that this process has had written to disks (proc(5)); 0 where the system does not tell. */
export function writtenBytes(): number {
  try {
    return Number(/^write_bytes: ([0-9]+)$/m.exec(readFileSync('/proc/self/io', 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Time, longest stall of the event loop and bytes written of some work. */
export async function measure(
  work: () => Promise<void>,
): Promise<{ readonly ms: number; readonly stallMs: number; readonly writtenBytes: number }> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const before = writtenBytes();
  // The monitor measures from timer to timer, so it needs one before the work begins.
  delay.enable();
  await new Promise((resolve) => setTimeout(resolve, 20));
  delay.reset();
  const start = performance.now();
  await work();
  const ms = performance.now() - start;
  await new Promise((resolve) => setTimeout(resolve, 5));
  delay.disable();
  return { ms, stallMs: delay.max / 1e6, writtenBytes: writtenBytes() - before };
}

/** Entries to measure with: of `--entries 10000,1000000`, or the three sizes of the design. */
export function sizesOf(args: readonly string[]): readonly number[] {
  const at = args.findIndex((arg) => arg === '--entries' || arg.startsWith('--entries='));
  const given = at < 0 ? undefined : (args[at]?.split('=')[1] ?? args[at + 1]);
  const sizes = (given ?? '10000,100000,1000000').split(',').map(Number);
  if (sizes.some((size) => !Number.isSafeInteger(size) || size < 1))
    throw new Error('--entries takes counts, separated by commas');
  return sizes;
}
