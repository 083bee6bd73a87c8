/** The newest entries, in memory, bounded in bytes: what a leader sends and a state machine applies is nearly always there. */
import type { Entry } from '@pact-journal/raft-core';

/** What an entry costs besides its data: the object, its view, its slot. */
const ENTRY_OVERHEAD_BYTES = 160;

/** Dropped slots at the front are reclaimed in batches of at least this many. */
const COMPACT_AFTER = 4096;

export class TailCache {
  readonly #sizeBytesMax: number;
  #entries: (Entry | undefined)[] = [];
  /** Slots at the front of `#entries` that are no longer in the cache. */
  #start = 0;
  #sizeBytes = 0;

  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax;
  }

  /** Index of the oldest entry here; Infinity when empty. */
  get firstIndex(): number {
    return this.#entries[this.#start]?.index ?? Infinity;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** The entry, if it is here. */
  get(index: number): Entry | undefined {
    const position = this.#start + index - this.firstIndex;
    return position < this.#start ? undefined : this.#entries[position];
  }

  /**
   * Entries from `low` on, before `high`: the first one, and others as long as all together have at most
   * `maxSizeBytes` of data. Undefined where not all that are asked for are here.
   */
  range(low: number, high: number, maxSizeBytes: number): readonly Entry[] | undefined {
    const start = this.#start + low - this.firstIndex;
    const end = start + high - low;
    if (start < this.#start || end > this.#entries.length) return undefined;
    let sizeBytes = this.#entries[start]?.data.length ?? 0;
    let taken = start + 1;
    for (; taken < end; taken++) {
      sizeBytes += this.#entries[taken]?.data.length ?? 0;
      if (sizeBytes > maxSizeBytes) break;
    }
    // Only slots before `#start` are empty.
    return this.#entries.slice(start, Math.min(taken, end)) as Entry[];
  }

  /** Adds the entry after the newest one. */
  push(entry: Entry): void {
    this.#entries.push(entry);
    this.#sizeBytes += entry.data.length + ENTRY_OVERHEAD_BYTES;
    while (this.#sizeBytes > this.#sizeBytesMax && this.#entries.length - this.#start > 1) this.#dropOldest();
    this.#reclaim();
  }

  #dropOldest(): void {
    const entry = this.#entries[this.#start];
    this.#entries[this.#start++] = undefined;
    this.#sizeBytes -= (entry?.data.length ?? 0) + ENTRY_OVERHEAD_BYTES;
  }

  #reclaim(): void {
    if (this.#start < COMPACT_AFTER || this.#start * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#start);
    this.#start = 0;
  }

  /** Forgets entries from `index` on. */
  truncate(index: number): void {
    while (this.#entries.length > this.#start && (this.#entries.at(-1)?.index ?? -1) >= index) {
      this.#sizeBytes -= (this.#entries.pop()?.data.length ?? 0) + ENTRY_OVERHEAD_BYTES;
    }
  }

  /** Forgets entries up to `index`. */
  compact(index: number): void {
    while (this.firstIndex <= index) this.#dropOldest();
    if (this.#start === this.#entries.length) this.clear();
    else this.#reclaim();
  }

  clear(): void {
    this.#entries = [];
    this.#start = 0;
    this.#sizeBytes = 0;
  }
}
