import { REQUEST_IDS_MAX } from '../limits.ts';
import { assert } from '../errors.ts';
import { entrySeq } from '../parse/fields.ts';
import type { CommandResult } from '../types.ts';
import { CowTable } from './cow-table.ts';
import { RequestIndex } from './request-index.ts';
import { TableDigest, extendDigest, recordDigest } from './table-digest.ts';
import type { RecordDigest } from './table-digest.ts';

/** A request id and the answer that its first command got. */
export interface RequestRecord {
  readonly request_id: string;
  readonly result: CommandResult;
}

/** Consecutive requests, `first` being the ordinal of the first among all there ever were. */
export interface RequestRun {
  readonly first: number;
  /** True where no later request can belong to it: its content stays for ever. */
  readonly whole: boolean;
  readonly length: number;
  records(): Iterable<RequestRecord>;
}

/** Requests are captured in runs of this many, so that snapshots share the whole ones. */
const RUN_LENGTH = 4096;
/** What has just been forgotten stays for as long as a run with newer requests contains it. */
const RING_SIZE = REQUEST_IDS_MAX + RUN_LENGTH;
assert(REQUEST_IDS_MAX % RUN_LENGTH === 0, 'the ring holds whole runs');

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
  /** Of the last `REQUEST_IDS_MAX`. */
  readonly #index = new RequestIndex(RING_SIZE, (slot) => this.#ids.at(slot));
  #total = 0;

  /** Number of request ids ever remembered. */
  get total(): number {
    return this.#total;
  }

  find(requestId: string): CommandResult | undefined {
    const slot = this.#index.find(requestId, recordDigest(requestId));
    return slot === undefined ? undefined : unkeep(this.#results.at(slot));
  }

  remember(requestId: string, result: CommandResult): void {
    const forgotten = this.#total - REQUEST_IDS_MAX;
    if (forgotten >= 0) {
      const slot = forgotten % RING_SIZE;
      this.#index.remove(slot);
      this.digest.remove(requestDigest(this.#index.digestOf(slot), this.#results.at(slot), forgotten));
    }
    const kept = keep(result);
    this.#learn(this.#put(requestId, kept), requestId, kept);
    this.#total += 1;
  }

  /** Has the newest request found by its id. */
  #learn(slot: number, requestId: string, kept: KeptResult): void {
    const id = recordDigest(requestId);
    this.#index.add(slot, id);
    this.digest.add(requestDigest(id, kept, this.#total));
  }

  #put(requestId: string, kept: KeptResult): number {
    const slot = this.#total % RING_SIZE;
    if (slot < this.#ids.length) {
      this.#ids.set(slot, requestId);
      this.#results.set(slot, kept);
    } else {
      this.#ids.push(requestId);
      this.#results.push(kept);
    }
    return slot;
  }

  /** Puts back what `capture` gave, oldest first, of which there were `total` ever. Only on an empty table. */
  restore(records: readonly RequestRecord[], total: number): void {
    const first = total - records.length;
    // The ring is filled from its first slot on: what is missing before the oldest record will never be asked for.
    for (let slot = 0; slot < first % RING_SIZE; slot += 1) {
      this.#ids.push('');
      this.#results.push(0);
    }
    records.forEach(({ request_id, result }, at) => {
      this.#total = first + at;
      const kept = keep(result);
      const slot = this.#put(request_id, kept);
      if (this.#total < total - REQUEST_IDS_MAX) return;
      this.#learn(slot, request_id, kept);
    });
    this.#total = total;
  }

  /** The remembered requests in runs, oldest first; the first run may begin with some that are forgotten already. */
  capture(): readonly RequestRun[] {
    const ids = this.#ids.capture();
    const results = this.#results.capture();
    const total = this.#total;
    const runs: RequestRun[] = [];
    const oldest = Math.max(0, total - REQUEST_IDS_MAX);
    for (let first = oldest - (oldest % RUN_LENGTH); first < total; first += RUN_LENGTH) {
      const length = Math.min(RUN_LENGTH, total - first);
      runs.push({
        first,
        length,
        whole: length === RUN_LENGTH,
        *records() {
          for (let ordinal = first; ordinal < first + length; ordinal += 1) {
            const slot = ordinal % RING_SIZE;
            yield { request_id: ids.at(slot), result: unkeep(results.at(slot)) };
          }
        },
      });
    }
    return runs;
  }
}

/** `id` is the digest of the request id. */
function requestDigest(id: RecordDigest, kept: KeptResult, ordinal: number): RecordDigest {
  if (typeof kept === 'number') return extendDigest(id, ordinal, kept);
  return extendDigest(
    recordDigest(kept.type === 'Ok' ? 'Ok' : `${kept.code} ${kept.reason}`, id),
    ordinal,
    UNUSED,
  );
}

/** Where an answer has no sequence. */
const UNUSED = -1;
