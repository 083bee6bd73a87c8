/** What the system's scheduler thinks of this process. */
import { existsSync, readdirSync } from 'node:fs';
import { setPriority } from 'node:os';

const THREADS = '/proc/self/task';

/**
 * Gives way to other processes: `niceness` is from 0 (none) to 19 (nice(1)). On Linux a priority is a thread's: those
 * that there are already get it too, later ones inherit it.
 */
export function lowerPriority(niceness: number): void {
  if (niceness === 0) return;
  const threads = existsSync(THREADS) ? readdirSync(THREADS).map(Number) : [process.pid];
  for (const thread of threads) {
    try {
      setPriority(thread, niceness);
    } catch {
      // A thread that ended meanwhile needs no priority.
    }
  }
}
