/** GPUs, where nvidia-smi answers. */
import type { DeltaItem } from '@pact-journal/journal-state';
import { added, sortedByKey, type CaptureSource } from './types.ts';

/** A driver in trouble makes nvidia-smi hang: a capture does not wait for it. */
const TIMEOUT_MS = 10_000;

export async function captureGpus(source: CaptureSource): Promise<readonly DeltaItem[]> {
  if (source.root !== '/') return [];
  const query = '--query-gpu=index,name,memory.total,driver_version';
  const text = await source.run('nvidia-smi', [query, '--format=csv,noheader,nounits'], TIMEOUT_MS);
  return text === undefined ? [] : parseGpus(text);
}

/** Parses nvidia-smi's CSV: `0, NVIDIA A100-SXM4-80GB, 81920, 550.54.15`. */
export function parseGpus(text: string): readonly DeltaItem[] {
  const items: DeltaItem[] = [];
  for (const line of text.split('\n')) {
    const [index = '', name, memoryMib, driver] = line.split(',').map((field) => field.trim());
    if (!/^\d+$/u.test(index) || name === undefined) continue;
    items.push(
      added(index, `name=${name} memory_mib=${memoryMib ?? 'unknown'} driver=${driver ?? 'unknown'}`),
    );
  }
  return sortedByKey(items);
}
