/** What the data directory takes, and what the file system below it still has. */
import { opendir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import type { DiskFacts } from './facts.ts';

/** Walking a large log takes a while, and nobody needs it to the second. */
const MEASURED_FOR_MS = 10_000;

/** Measures when asked, at most every ten seconds. */
export class DiskUsage {
  readonly #dataDir: string;
  #measured: { readonly atMs: number; readonly facts: Promise<DiskFacts | undefined> } | undefined;
  #last: DiskFacts | undefined;

  constructor(dataDir: string) {
    this.#dataDir = dataDir;
  }

  /** Undefined where the file system does not tell. Never rejects. */
  facts(): Promise<DiskFacts | undefined> {
    const now = performance.now();
    if (this.#measured === undefined || now - this.#measured.atMs > MEASURED_FOR_MS)
      this.#measured = { atMs: now, facts: this.#measure() };
    return this.#measured.facts;
  }

  /** What was measured last; undefined before. */
  get last(): DiskFacts | undefined {
    return this.#last;
  }

  async #measure(): Promise<DiskFacts | undefined> {
    const dataDir = this.#dataDir;
    try {
      const { bsize, bavail, blocks } = await statfs(dataDir);
      const usedBytes = await sizeOf(dataDir);
      this.#last = { dataDir, usedBytes, freeBytes: bavail * bsize, totalBytes: blocks * bsize };
      return this.#last;
    } catch {
      return undefined;
    }
  }
}

/** Bytes on the disk below a directory. What disappears meanwhile counts nothing. */
async function sizeOf(directory: string): Promise<number> {
  let bytes = 0;
  for await (const entry of await opendir(directory)) {
    const path = join(directory, entry.name);
    bytes += entry.isDirectory() ? await sizeOf(path).catch(() => 0) : await allocated(path);
  }
  return bytes;
}

async function allocated(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return (found?.blocks ?? 0) * 512;
}
