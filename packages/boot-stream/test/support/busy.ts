/** Keeps the event loop busy, as work does. */
export function busy(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}
