/** Lets the clock follow small corrections, and tells an operator of what it does not follow. */
import type { Alarms } from './alarms.ts';
import type { ClockTrouble, JournalClock } from './journal-clock.ts';
import type { Logger } from './log.ts';

const INTERVAL_MS = 1_000;

type Words = { readonly [Kind in keyof ClockTrouble]: (by: string) => string };

const CODES = { jumpMs: 'clockJumped', skewMs: 'clockDiffers', journalAheadMs: 'journalAhead' } as const;
const WORDS: Words = {
  jumpMs: (by) =>
    `the time of day on this node jumped ${by}; the journal goes on counting the time from before. If the new time is right, restart this node; if not, set the clock`,
  skewMs: (by) =>
    `the clock of this node is ${by} of most other members'; the journal counts theirs. Set the clock and restart this node`,
  journalAheadMs: (by) =>
    `the journal's newest time is ${by} of the clocks, because one was wrong earlier; the journal goes on from there`,
};

export function watchClock(clock: JournalClock, alarms: Alarms, log: Logger, signal: AbortSignal): void {
  const raised = new Set<keyof ClockTrouble>();
  const look = (): void => {
    const trouble = clock.trouble();
    for (const kind of ['jumpMs', 'skewMs', 'journalAheadMs'] as const) {
      const ms = trouble[kind];
      if (ms === 0) {
        if (raised.delete(kind)) alarms.clear(CODES[kind]);
        continue;
      }
      const message = WORDS[kind](distance(ms));
      alarms.raise(CODES[kind], message);
      if (!raised.has(kind)) log.warn({ [kind]: ms }, message);
      raised.add(kind);
    }
  };
  const timer = setInterval(look, INTERVAL_MS).unref();
  signal.addEventListener('abort', () => {
    clearInterval(timer);
  });
}

/** `+95000` as `95 s ahead`. */
function distance(ms: number): string {
  return `${String(Math.round(Math.abs(ms) / 1_000))} s ${ms > 0 ? 'ahead' : 'behind'}`;
}
