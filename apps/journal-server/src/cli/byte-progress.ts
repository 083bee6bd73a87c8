/** Progress of work that is measured in bytes: with rate and time left. */
import type { CliContext } from './context.ts';
import { startProgress } from './progress.ts';
import { formatBytes, formatCount } from './tables.ts';

export interface ByteProgress {
  update(doneBytes: number, entries?: number): void;
  stop(): void;
}

export function startByteProgress(context: CliContext, totalBytes: number, verb: string): ByteProgress {
  const startedMs = performance.now();
  let entries = 0;
  const bar = startProgress(context, totalBytes, (doneBytes) => {
    const seconds = (performance.now() - startedMs) / 1_000;
    const rate = seconds === 0 ? 0 : doneBytes / seconds;
    const left = rate === 0 ? 'unknown' : formatSeconds((totalBytes - doneBytes) / rate);
    const done = entries === 0 ? '' : `${formatCount(entries)} entries, `;
    return `${verb} ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}, ${done}${formatBytes(rate)}/s, ${left} left`;
  });
  return {
    update: (doneBytes, now = 0) => {
      entries = now;
      bar.update(Math.min(doneBytes, totalBytes), 0);
    },
    stop: () => {
      bar.stop();
    },
  };
}

function formatSeconds(seconds: number): string {
  const whole = Math.ceil(Math.max(0, seconds));
  return whole < 60 ? `${String(whole)} s` : `${String(Math.floor(whole / 60))} min ${String(whole % 60)} s`;
}
