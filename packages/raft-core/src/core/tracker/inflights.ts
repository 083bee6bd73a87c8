import { fail } from '../errors.ts';
import { NO_INDEX } from '../ids.ts';
import type { LogIndex } from '../types.ts';

/**
 * The append messages to one follower that it has not answered yet: a ring of (last index, bytes), bounded by count
 * and by bytes. The message that crosses the byte limit is still sent, so that a limit below one entry cannot stall.
 */
export class Inflights {
  readonly #capacity: number;
  readonly #maxBytes: number;
  /** Grows up to the capacity as needed: most followers never have many messages in flight. */
  #indexes: LogIndex[] = [];
  #sizes: number[] = [];
  #start = 0;
  #count = 0;
  #bytes = 0;

  /**
   * @param capacity messages that may be in flight, from 1
   * @param maxBytes payload bytes that may be in flight; 0 for no limit
   */
  constructor(capacity: number, maxBytes: number) {
    this.#capacity = capacity;
    this.#maxBytes = maxBytes;
  }

  /** Notes a message whose last entry is at `index`. Indexes must be added in ascending order, and never when full. */
  add(index: LogIndex, bytes: number): void {
    if (this.full()) fail('cannot add to a full in-flight window');
    if (this.#count === this.#indexes.length) this.#grow();
    const slot = (this.#start + this.#count) % this.#indexes.length;
    this.#indexes[slot] = index;
    this.#sizes[slot] = bytes;
    this.#count += 1;
    this.#bytes += bytes;
  }

  /** Takes out every message whose last entry is at or before `index`. */
  freeUpTo(index: LogIndex): void {
    while (this.#count > 0) {
      const oldest = this.#indexes[this.#start];
      if (oldest === undefined || oldest > index) return;
      this.#bytes -= this.#sizes[this.#start] ?? 0;
      this.#start = (this.#start + 1) % this.#indexes.length;
      this.#count -= 1;
    }
  }

  /** True when no further message may be sent. */
  full(): boolean {
    return this.#count >= this.#capacity || (this.#maxBytes !== 0 && this.#bytes >= this.#maxBytes);
  }

  /** Messages in flight. */
  get count(): number {
    return this.#count;
  }

  /** Payload bytes in flight. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Forgets everything in flight. */
  reset(): void {
    this.#start = 0;
    this.#count = 0;
    this.#bytes = 0;
  }

  #grow(): void {
    const size = Math.min(Math.max(8, this.#indexes.length * 2), this.#capacity);
    const indexes: LogIndex[] = [];
    const sizes: number[] = [];
    for (let i = 0; i < size; i += 1) {
      const from = (this.#start + i) % Math.max(1, this.#indexes.length);
      indexes.push(this.#indexes[from] ?? NO_INDEX);
      sizes.push(i < this.#count ? (this.#sizes[from] ?? 0) : 0);
    }
    this.#indexes = indexes;
    this.#sizes = sizes;
    this.#start = 0;
  }
}
