const MIN_MS = 50;
const MAX_MS = 1_000;

/** The pause before attempt n (from 1): doubling, with jitter of a quarter either way. */
export function backoffMs(attempt: number): number {
  const base = Math.min(MAX_MS, MIN_MS * 2 ** Math.min(attempt - 1, 10));
  return base * (0.75 + Math.random() / 2);
}

/** Resolves after the pause, or at once when the signal is aborted. */
export function pause(delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal?.addEventListener('abort', done, { once: true });
    if (signal?.aborted === true) done();
  });
}
