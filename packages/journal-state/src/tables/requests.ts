import { REQUEST_IDS_MAX } from '../limits.ts';
import { entrySeq } from '../parse/fields.ts';
import type { CommandResult } from '../types.ts';
import { CowTable } from './cow-table.ts';
import { TableDigest, extendDigest, recordDigest } from './table-digest.ts';
import type { RecordDigest } from './table-digest.ts';

/** A request id and the answer that its first command got. */
export interface RequestRecord {
  readonly request_id: string;
  readonly result: CommandResult;
}

/** An answer as it is kept: a sequence stands for `EntryAppended`, which is nearly all of them. */
type KeptResult = number | Exclude<CommandResult, { readonly type: 'EntryAppended' }>;

const keep = (result: CommandResult): KeptResult =>
  result.type === 'EntryAppended' ? result.sequence : result;

const unkeep = (kept: KeptResult): CommandResult =>
  typeof kept === 'number' ? { type: 'EntryAppended', sequence: entrySeq(kept) } : kept;

/** The request ids seen last, in a ring, so that a retry gets the first answer instead of doing the same twice. */
export class RequestTable {
  readonly digest = new TableDigest();
  readonly #ids = new CowTable<string>();
  readonly #results = new CowTable<KeptResult>();
  readonly #slots = new Map<string, number>();
  #total = 0;

  /** Number of request ids ever remembered. */
  get total(): number {
    return this.#total;
  }

  find(requestId: string): CommandResult | undefined {
    const slot = this.#slots.get(requestId);
    return slot === undefined ? undefined : unkeep(this.#results.at(slot));
  }

  remember(requestId: string, result: CommandResult): void {
    const ordinal = this.#total;
    const kept = keep(result);
    let slot = ordinal % REQUEST_IDS_MAX;
    if (this.#ids.length < REQUEST_IDS_MAX) {
      slot = this.#ids.push(requestId);
      this.#results.push(kept);
    } else {
      const forgotten = this.#ids.at(slot);
      this.#slots.delete(forgotten);
      this.digest.remove(requestDigest(forgotten, this.#results.at(slot), ordinal - REQUEST_IDS_MAX));
      this.#ids.set(slot, requestId);
      this.#results.set(slot, kept);
    }
    this.#slots.set(requestId, slot);
    this.digest.add(requestDigest(requestId, kept, ordinal));
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
      const kept = keep(record.result);
      this.#slots.set(record.request_id, this.#ids.push(record.request_id));
      this.#results.push(kept);
      this.digest.add(requestDigest(record.request_id, kept, first + at));
    }
    this.#total = total;
  }

  /** The remembered requests, oldest first. */
  capture(): Iterable<RequestRecord> {
    const ids = this.#ids.capture();
    const results = this.#results.capture();
    const oldest = ids.length === REQUEST_IDS_MAX ? this.#total % REQUEST_IDS_MAX : 0;
    return {
      *[Symbol.iterator]() {
        for (let i = 0; i < ids.length; i += 1) {
          const slot = (oldest + i) % ids.length;
          yield { request_id: ids.at(slot), result: unkeep(results.at(slot)) };
        }
      },
    };
  }
}

function requestDigest(requestId: string, kept: KeptResult, ordinal: number): RecordDigest {
  const id = recordDigest(requestId);
  if (typeof kept === 'number') return extendDigest(id, ordinal, kept);
  return extendDigest(
    recordDigest(kept.type === 'Ok' ? 'Ok' : `${kept.code} ${kept.reason}`, id),
    ordinal,
    UNUSED,
  );
}

/** Where an answer has no sequence. */
const UNUSED = -1;
