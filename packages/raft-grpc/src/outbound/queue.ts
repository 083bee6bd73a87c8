import type { SizedMessage } from '../codec/encode.ts';

/** What to do when a message does not fit: bulk is refused, so that what is queued stays contiguous; control ages. */
export type OverflowPolicy = 'refuseNew' | 'dropOldest';

/** Messages that wait for one peer, bounded in bytes. */
export class MessageQueue {
  readonly #maxBytes: number;
  readonly #policy: OverflowPolicy;
  #items: SizedMessage[] = [];
  #head = 0;
  #bytes = 0;

  constructor(maxBytes: number, policy: OverflowPolicy) {
    this.#maxBytes = maxBytes;
    this.#policy = policy;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** Returns how many messages were dropped to stay within bounds. */
  push(message: SizedMessage): number {
    let dropped = 0;
    if (this.#policy === 'dropOldest') {
      while (this.length > 0 && this.#bytes + message.sizeBytes > this.#maxBytes) {
        this.#shift();
        dropped += 1;
      }
    }
    if (this.#bytes + message.sizeBytes > this.#maxBytes) return dropped + 1;
    this.#items.push(message);
    this.#bytes += message.sizeBytes;
    return dropped;
  }

  /** Takes messages from the front: at least one if there is any, then while they fit in both limits. */
  take(maxBytes: number, maxCount: number, maxEntries: number): readonly SizedMessage[] {
    const batch: SizedMessage[] = [];
    let bytes = 0;
    let entries = 0;
    while (this.length > 0 && batch.length < maxCount) {
      const next = this.#items[this.#head];
      if (next === undefined) break;
      bytes += next.sizeBytes;
      entries += next.message.entries.length;
      if (batch.length > 0 && (bytes > maxBytes || entries > maxEntries)) break;
      batch.push(next);
      this.#shift();
    }
    return batch;
  }

  /** Drops everything; returns how many messages that were. */
  clear(): number {
    const dropped = this.length;
    this.#items = [];
    this.#head = 0;
    this.#bytes = 0;
    return dropped;
  }

  #shift(): void {
    this.#bytes -= this.#items[this.#head]?.sizeBytes ?? 0;
    this.#head += 1;
    if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    } else if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    }
  }
}
