/** The one place where the runtime meets the machine's clock and entropy. */
import type { Clock } from './interfaces.ts';

/** Real time: `performance.now`, `setTimeout`, `setImmediate`.. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimer(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  defer(callback) {
    setImmediate(callback);
  },
};

/** A seed that differs between nodes and between starts. */
export function entropySeed(): number {
  const words = new Uint32Array(1);
  globalThis.crypto.getRandomValues(words);
  return words[0] ?? 0;
}
