/** Reading log objects one after the other, the next ones fetched ahead. */
import type { ListedBatch, Repository } from './format/repository.ts';
import type { LogBatch } from './format/log-batch.ts';

/** Hides the round trip to a store that is far away; bounds the memory to so many batches. */
const FETCHED_AHEAD = 8;

export interface FetchedBatch {
  readonly listed: ListedBatch;
  /** Rejects where the object is damaged or cannot be read. */
  readonly batch: Promise<LogBatch>;
}

export async function* fetchBatches(
  repository: Repository,
  listed: readonly ListedBatch[],
  clusterId: string,
): AsyncGenerator<FetchedBatch> {
  const ahead: FetchedBatch[] = [];
  for (const item of listed) {
    const batch = repository.batch(item.key, clusterId);
    // Whoever asks for it is told; if nobody does any more, nobody needs to know.
    batch.catch(() => undefined);
    ahead.push({ listed: item, batch });
    const next = ahead.length >= FETCHED_AHEAD ? ahead.shift() : undefined;
    if (next !== undefined) yield next;
  }
  yield* ahead;
}
