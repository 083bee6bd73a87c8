import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { JournalClientError } from '../errors.ts';

/** Who holds a spool. The start time tells a process from a later one with the same id. */
interface Holder {
  readonly pid: number;
  readonly started: string;
}

/** Takes the directory for this process. One that a dead process left is taken over. Fails with `spoolLocked`. */
export async function lockSpool(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, 'lock');
  const mine = JSON.stringify({ pid: process.pid, started: await startTime(process.pid) });
  for (let attempt = 0; attempt < 2; attempt += 1) {
    try {
      await writeFile(path, mine, { flag: 'wx' });
      return async () => {
        await rm(path, { force: true });
      };
    } catch (error) {
      if (!isCode(error, 'EEXIST')) throw error;
    }
    const holder = await readHolder(path);
    if (holder !== undefined && (await isAlive(holder))) {
      throw new JournalClientError(
        'spoolLocked',
        `opening the spool ${directory}: process ${holder.pid} uses it; a spool has one process at a time`,
      );
    }
    await rm(path, { force: true });
  }
  throw new JournalClientError(
    'spoolLocked',
    `opening the spool ${directory}: another process is just taking it`,
  );
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (typeof parsed !== 'object' || parsed === null || !('pid' in parsed) || !('started' in parsed))
      return undefined;
    return typeof parsed.pid === 'number' && typeof parsed.started === 'string'
      ? { pid: parsed.pid, started: parsed.started }
      : undefined;
  } catch {
    // Gone meanwhile, or cut off while it was written: nobody's.
    return undefined;
  }
}

async function isAlive({ pid, started }: Holder): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return isCode(error, 'EPERM');
  }
  return (await startTime(pid)) === started;
}

/** Of a process, in clock ticks since boot (proc(5), field 22 of stat); empty where the platform has no /proc. */
async function startTime(pid: number): Promise<string> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
