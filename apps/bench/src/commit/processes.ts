/** What processes cost, read from /proc (proc(5)). */
import { readFileSync } from 'node:fs';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

/** Clock ticks a second; 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** User and system time of the processes and their ended threads, in seconds. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const stat = readFileSync(`/proc/${String(pid)}/stat`, 'utf8');
    // The command may contain blanks: fields are counted after its closing parenthesis; utime is the 14th, stime the 15th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Calls of fsync and fdatasync by the processes while `work` runs, counted by strace; undefined where it cannot attach. */
export async function countSyncs(
  pids: readonly number[],
  work: () => Promise<unknown>,
): Promise<number | undefined> {
  const args = ['-f', '-c', '-e', 'trace=fsync,fdatasync', ...pids.flatMap((pid) => ['-p', String(pid)])];
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  let missing = false;
  strace.stderr.setEncoding('utf8').on('data', (text: string) => (output += text));
  strace.on('error', () => (missing = true));
  const ended = once(strace, 'close').catch(() => undefined);
  // Attached to every process once it has said so for each.
  const deadline = performance.now() + 10_000;
  while (!missing && (output.match(/attached/g)?.length ?? 0) < pids.length && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await work();
  if (missing) return undefined;
  strace.kill('SIGINT');
  await ended;
  let total = 0;
  let seen = false;
  for (const [, calls] of output.matchAll(
    /^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?f(?:data)?sync$/gm,
  )) {
    total += Number(calls);
    seen = true;
  }
  return seen ? total : undefined;
}

/** Installs what a benchmark compares with, where that is possible; says what is missing otherwise. */
export async function requireDebianPackages(commands: Readonly<Record<string, string>>): Promise<void> {
  const missing: string[] = [];
  for (const [command, name] of Object.entries(commands)) {
    await promisify(execFile)('sh', ['-c', `command -v ${command}`]).catch(() => missing.push(name));
  }
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0)
    throw new Error(
      `this benchmark needs Debian's ${missing.join(', ')}: apt-get install ${missing.join(' ')}`,
    );
  const apt = promisify(execFile);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await apt('apt-get', ['update', '-qq'], { env });
  await apt('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...missing], { env });
}
