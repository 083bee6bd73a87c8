/** Received messages that wait for their turn. */
import type { Message } from '../core/types.ts';
import { messageSizeBytes } from './message-size.ts';

/** Bytes of bulk taken in one turn: a heartbeat behind it waits no longer than it takes to step this much. */
const TURN_MAX_BYTES = 4 * 1024 * 1024;
/** Part of the limit in bytes that is kept for what is urgent, so that entries cannot use it up. */
const URGENT_SHARE = 1 / 4;
/** Far more than a group sends between two turns; a peer gone mad must not fill the memory with small messages. */
const URGENT_MAX_MESSAGES = 65_536;

/**
 * Two queues, because a heartbeat or a vote must not wait behind megabytes of entries. Each has its share of the limit,
 * which only a single larger message may exceed; what does not fit is dropped, which Raft takes for a loss in the network.
 */
export class Inbox {
  readonly #urgentMaxBytes: number;
  readonly #bulkMaxBytes: number;
  #urgent: Message[] = [];
  #bulk: Message[] = [];
  #urgentBytes = 0;
  #bulkBytes = 0;
  #dropped = 0;

  constructor(maxBytes: number) {
    this.#urgentMaxBytes = maxBytes * URGENT_SHARE;
    this.#bulkMaxBytes = maxBytes - this.#urgentMaxBytes;
  }

  get queuedBytes(): number {
    return this.#urgentBytes + this.#bulkBytes;
  }

  /** Messages refused since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  get isEmpty(): boolean {
    return this.#urgent.length === 0 && this.#bulk.length === 0;
  }

  push(message: Message): void {
    const bytes = messageSizeBytes(message);
    if (message.entries.length === 0) {
      const full =
        this.#urgent.length >= URGENT_MAX_MESSAGES || this.#urgentBytes + bytes > this.#urgentMaxBytes;
      if (full && this.#urgent.length > 0) {
        this.#dropped++;
        return;
      }
      this.#urgent.push(message);
      this.#urgentBytes += bytes;
      return;
    }
    if (this.#bulkBytes + bytes > this.#bulkMaxBytes && this.#bulk.length > 0) {
      this.#dropped++;
      return;
    }
    this.#bulk.push(message);
    this.#bulkBytes += bytes;
  }

  /** What is to be stepped in this turn, urgent messages first. */
  take(): readonly Message[] {
    const taken = this.#urgent;
    this.#urgent = [];
    this.#urgentBytes = 0;
    if (this.#bulk.length === 0) return taken;
    let count = 0;
    let bytes = 0;
    for (const message of this.#bulk) {
      if (bytes >= TURN_MAX_BYTES) break;
      bytes += messageSizeBytes(message);
      taken.push(message);
      count++;
    }
    if (count === this.#bulk.length) this.#bulk = [];
    else this.#bulk.splice(0, count);
    this.#bulkBytes -= bytes;
    return taken;
  }
}
