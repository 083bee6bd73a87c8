import { REQUEST_IDS_MAX } from '../limits.ts';
import type { CommandResult } from '../types.ts';
import { CowTable } from './cow-table.ts';
import { TableDigest, recordDigest } from './table-digest.ts';

/** A request id and the answer that its first command got. */
export interface RequestRecord {
  readonly request_id: string;
  readonly result: CommandResult;
}

/** The request ids seen last, in a ring, so that a retry gets the first answer instead of doing the same twice. */
export class RequestTable {
  readonly digest = new TableDigest();
  readonly #ring = new CowTable<RequestRecord>();
  readonly #slots = new Map<string, number>();
  #total = 0;

  /** Number of request ids ever remembered. */
  get total(): number {
    return this.#total;
  }

  find(requestId: string): CommandResult | undefined {
    const slot = this.#slots.get(requestId);
    return slot === undefined ? undefined : this.#ring.at(slot).result;
  }

  remember(record: RequestRecord): void {
    const ordinal = this.#total;
    let slot = ordinal % REQUEST_IDS_MAX;
    if (this.#ring.length < REQUEST_IDS_MAX) {
      slot = this.#ring.push(record);
    } else {
      const forgotten = this.#ring.at(slot);
      this.#slots.delete(forgotten.request_id);
      this.digest.remove(requestDigest(forgotten, ordinal - REQUEST_IDS_MAX));
      this.#ring.set(slot, record);
    }
    this.#slots.set(record.request_id, slot);
    this.digest.add(requestDigest(record, ordinal));
    this.#total += 1;
  }

  /** Puts back what `capture` gave, oldest first, of which there were `total` ever. Only on an empty table. */
  restore(records: readonly RequestRecord[], total: number): void {
    const first = total - records.length;
    // A full ring starts in the middle: slot and ordinal agree modulo the ring's size again.
    const rotation = records.length === REQUEST_IDS_MAX ? REQUEST_IDS_MAX - (first % REQUEST_IDS_MAX) : 0;
    for (let slot = 0; slot < records.length; slot += 1) {
      const at = (slot + rotation) % records.length;
      const record = records[at];
      if (record === undefined) continue;
      this.#slots.set(record.request_id, this.#ring.push(record));
      this.digest.add(requestDigest(record, first + at));
    }
    this.#total = total;
  }

  /** The remembered requests, oldest first. */
  capture(): Iterable<RequestRecord> {
    const ring = this.#ring.capture();
    const oldest = ring.length === REQUEST_IDS_MAX ? this.#total % REQUEST_IDS_MAX : 0;
    return {
      *[Symbol.iterator]() {
        for (let i = 0; i < ring.length; i += 1) yield ring.at((oldest + i) % ring.length);
      },
    };
  }
}

function requestDigest(
  { request_id, result }: RequestRecord,
  ordinal: number,
): { readonly high: number; readonly low: number } {
  return recordDigest(`${String(ordinal)}\n${request_id}\n${describeResult(result)}`);
}

function describeResult(result: CommandResult): string {
  switch (result.type) {
    case 'Ok':
      return 'Ok';
    case 'EntryAppended':
      return `EntryAppended ${String(result.sequence)}`;
    case 'ValidationError':
      return `${result.code} ${result.reason}`;
  }
}
