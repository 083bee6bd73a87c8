import { assert } from '../errors.ts';
import { SEGMENT_RECORDS_MAX, SEGMENT_SIZE_BYTES_MAX } from '../limits.ts';
import { lowerBound } from './growable.ts';

/** Records `first` to `first + ends.length - 1`, end to end in `bytes`. Never changes. */
export interface Segment {
  readonly first: number;
  readonly bytes: Uint8Array;
  /** Where each record ends. */
  readonly ends: Uint32Array;
}

const FIRST_CAPACITY = 16 * 1024;
/** Room for what is reserved for a record and not used by it, so that a segment's buffer is allocated once. */
const SEGMENT_CAPACITY = SEGMENT_SIZE_BYTES_MAX + 16 * 1024;
/** A buffer that is used to this part is kept as it is when it is sealed; others are cut to size. */
const WELL_USED = 0.95;

/** Gives memory for a segment, of at least so many bytes. */
export type Allocate = (sizeBytes: number) => Uint8Array<ArrayBuffer>;

/**
 * An append-only list of byte strings in a few big buffers, so that a million records cost their bytes and four more
 * each, and nothing to the garbage collector.
 *
 * Where one segment ends and the next begins depends on the records alone. So all replicas seal the same segments, and
 * a sealed one can be stored once by its content.
 */
export class SegmentLog {
  readonly #allocate: Allocate;
  readonly #sealed: Segment[] = [];
  readonly #sealedFirsts: number[] = [];
  #first = 0;
  #bytes = new Uint8Array(FIRST_CAPACITY);
  #used = 0;
  #ends: number[] = [];

  constructor(allocate: Allocate = (sizeBytes) => new Uint8Array(sizeBytes)) {
    this.#allocate = allocate;
  }

  /** Number of records. */
  get length(): number {
    return this.#first + this.#ends.length;
  }

  /** Bytes held, buffers' slack included. */
  get sizeBytes(): number {
    let size = this.#bytes.length;
    for (const segment of this.#sealed) size += segment.bytes.length + segment.ends.byteLength;
    return size;
  }

  /**
   * Makes room for a record of at most `maxSize` bytes. The caller writes it into `buffer` at the returned offset and
   * then calls `commit`, or forgets about it.
   */
  reserve(maxSize: number): number {
    if (this.#used + maxSize > this.#bytes.length) this.#grow(this.#used + maxSize);
    return this.#used;
  }

  /** Where a reserved record is written. Changes with every `reserve` and `commit`. */
  get buffer(): Uint8Array {
    return this.#bytes;
  }

  /** Appends the first `size` bytes of what was reserved. */
  commit(size: number): void {
    const full = this.#ends.length === SEGMENT_RECORDS_MAX || this.#used + size > SEGMENT_SIZE_BYTES_MAX;
    if (full && this.#ends.length > 0) {
      const record = this.#bytes.slice(this.#used, this.#used + size);
      this.#seal(Math.max(size, SEGMENT_CAPACITY));
      this.#bytes.set(record);
    }
    this.#used += size;
    this.#ends.push(this.#used);
  }

  /** Appends a copy of a record. */
  append(record: Uint8Array): void {
    const offset = this.reserve(record.length);
    this.#bytes.set(record, offset);
    this.commit(record.length);
  }

  get newestSealed(): Segment | undefined {
    return this.#sealed.at(-1);
  }

  /** The record's bytes. Not to be changed or transferred. */
  record(index: number): Uint8Array {
    assert(index >= 0 && index < this.length, 'the record exists');
    if (index >= this.#first) return slice(this.#bytes, this.#ends, index - this.#first);
    const at = lowerBound(this.#sealedFirsts, index + 1) - 1;
    const segment = this.#sealed[at];
    assert(segment !== undefined, 'a sealed segment holds every record before the open one');
    return slice(segment.bytes, segment.ends, index - segment.first);
  }

  /** The sealed segments and the open one as they are now; later appends do not show. */
  capture(): { readonly sealed: readonly Segment[]; readonly open: Segment } {
    const open = { first: this.#first, bytes: this.#bytes, ends: Uint32Array.from(this.#ends) };
    return { sealed: this.#sealed.slice(), open };
  }

  #seal(nextCapacity: number): void {
    const segment = {
      first: this.#first,
      bytes: this.#used >= this.#bytes.length * WELL_USED ? this.#bytes : this.#bytes.slice(0, this.#used),
      ends: Uint32Array.from(this.#ends),
    };
    this.#sealed.push(segment);
    this.#sealedFirsts.push(segment.first);
    this.#first += segment.ends.length;
    // A new array each time: captures hold the old one.
    this.#ends = [];
    this.#bytes = this.#allocate(nextCapacity);
    this.#used = 0;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(Math.max(needed, Math.min(this.#bytes.length * 4, SEGMENT_CAPACITY)));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
  }
}

function slice(bytes: Uint8Array, ends: ArrayLike<number>, at: number): Uint8Array {
  return bytes.subarray(at === 0 ? 0 : ends[at - 1], ends[at]);
}

/** The records of a segment, in order. */
export function* segmentRecords(segment: Segment): Generator<Uint8Array, void, undefined> {
  for (let at = 0; at < segment.ends.length; at += 1) yield slice(segment.bytes, segment.ends, at);
}
