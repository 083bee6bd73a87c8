import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { EventLoopDelay } from '../../src/server/event-loop-delay.ts';
import { collectProcessMetrics } from '../../src/server/process-metrics.ts';

function blockFor(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs) continue;
}

/** A period that is over is told of again and again, not read anew. */
function wholePeriod(source: EventLoopDelay): boolean {
  const { delays } = source;
  return delays !== undefined && source.delays === delays;
}

test('a delay is told of for a whole period, to everybody who asks', async () => {
  const source = new EventLoopDelay(500);
  await expect.poll(() => wholePeriod(source)).toBe(true);
  blockFor(300);
  await expect.poll(() => source.delays?.max, { timeout: 5_000, interval: 5 }).toBeGreaterThan(0.25);
  const { delays } = source;
  expect(source.delays).toBe(delays);
  expect(delays?.p50).toBeLessThan(0.25);
});

test('a second scraper reads the same of the event loop as the first', async () => {
  const registry = new Registry();
  collectProcessMetrics(registry);
  const scrape = async (): Promise<string[]> =>
    (await registry.metrics()).split('\n').filter((line) => /^nodejs_eventloop_lag_\w+_seconds /u.test(line));
  await expect
    .poll(async () => (await scrape()).map((line) => Number(line.split(' ')[1]) > 0))
    .toContain(true);
  const min = (lines: readonly string[]): number =>
    Number(lines.find((line) => line.startsWith('nodejs_eventloop_lag_min_seconds'))?.split(' ')[1]);
  const [first, second] = [await scrape(), await scrape()];
  expect(first).toHaveLength(7);
  // A histogram that was emptied by the first would have the largest number there is for a minimum.
  expect(min(second)).toBeLessThanOrEqual(min(first));
  expect(min(second)).toBeLessThan(1);
});
