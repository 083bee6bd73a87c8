/** Keeps the young part of V8's heap small in a process that lives long and has many connections. */
import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both halves together: V8 allocates in one and copies what survives into the other. */
export const YOUNG_GENERATION_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Has V8 stop growing its young generation at {@link YOUNG_GENERATION_BYTES_MAX}. By itself it goes up to 128 MiB as
 * soon as ten thousand connections come in, keeps them for good, and is not faster for it. The same as
 * `--max-semi-space-size=8`, for a process that was started without. While V8 marks the old generation it still takes
 * some more until the next collection.
 */
export function boundYoungGeneration(): void {
  const observer = new PerformanceObserver(() => {
    if (youngGenerationBytes() < YOUNG_GENERATION_BYTES_MAX) return;
    // Read whenever a collection decides whether to grow, so that it may be set after V8 has started.
    setFlagsFromString('--semi-space-growth-factor=1');
    observer.disconnect();
  });
  observer.observe({ entryTypes: ['gc'] });
}

/** What V8 has taken for the young generation, in bytes. */
export function youngGenerationBytes(): number {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  return space?.space_size ?? 0;
}
