import { assert } from '../errors.ts';

export const CHUNK_SIZE = 1024;

/** A part of a captured table. */
export interface CapturedChunk<T> {
  /** Position of its first record. */
  readonly first: number;
  /** Number of the change that made it what it is: the same number of the same chunk means the same content. */
  readonly changedAt: number;
  readonly records: readonly T[];
}

/** A table as it was when it was captured. */
export interface CapturedTable<T> extends Iterable<T> {
  readonly length: number;
  at(index: number): T;
  chunks(): Iterable<CapturedChunk<T>>;
}

interface Chunk<T> {
  records: T[];
  /** Number of the last capture that shares `records`. */
  generation: number;
  changedAt: number;
}

/**
 * A growing array of immutable records that can be captured in no time: a capture shares the records of all chunks, and
 * the first change of a shared chunk copies it.
 */
export class CowTable<T> {
  readonly #chunks: Chunk<T>[] = [];
  #generation = 0;
  #length = 0;
  #changes = 0;

  get length(): number {
    return this.#length;
  }

  /** Number of records added or replaced so far. */
  get changes(): number {
    return this.#changes;
  }

  at(index: number): T {
    return recordAt(this.#chunks, this.#length, index);
  }

  push(value: T): number {
    const chunk = this.#chunks[Math.floor(this.#length / CHUNK_SIZE)];
    this.#changes += 1;
    if (chunk === undefined) {
      this.#chunks.push({ records: [value], generation: this.#generation, changedAt: this.#changes });
    } else {
      // A capture knows its own length: what is added behind it does not show.
      chunk.records.push(value);
      chunk.changedAt = this.#changes;
    }
    this.#length += 1;
    return this.#length - 1;
  }

  set(index: number, value: T): void {
    const chunk = this.#chunks[Math.floor(index / CHUNK_SIZE)];
    assert(chunk !== undefined && index >= 0 && index < this.#length, 'the record exists');
    if (chunk.generation !== this.#generation) {
      chunk.records = chunk.records.slice();
      chunk.generation = this.#generation;
    }
    chunk.records[index % CHUNK_SIZE] = value;
    this.#changes += 1;
    chunk.changedAt = this.#changes;
  }

  /** After all records were pushed again: numbers their changes as they were when they were captured. */
  restoreChanges(changes: number, changedAt: ReadonlyMap<number, number>): void {
    this.#changes = changes;
    this.#chunks.forEach((chunk, number) => {
      chunk.changedAt = changedAt.get(number * CHUNK_SIZE) ?? changes;
    });
  }

  capture(): CapturedTable<T> {
    const chunks = this.#chunks.map(({ records, changedAt }) => ({ records, changedAt }));
    const length = this.#length;
    this.#generation += 1;
    return {
      length,
      at: (index) => recordAt(chunks, length, index),
      *chunks() {
        for (const [number, { records, changedAt }] of chunks.entries()) {
          const first = number * CHUNK_SIZE;
          yield { first, changedAt, records: records.slice(0, length - first) };
        }
      },
      *[Symbol.iterator]() {
        for (let index = 0; index < length; index += 1) yield recordAt(chunks, length, index);
      },
    };
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let index = 0; index < this.#length; index += 1) yield this.at(index);
  }
}

function recordAt<T>(
  chunks: readonly { readonly records: readonly T[] }[],
  length: number,
  index: number,
): T {
  const chunk = chunks[Math.floor(index / CHUNK_SIZE)];
  assert(chunk !== undefined && index >= 0 && index < length, 'the record exists');
  // Below `length`, so the element is there, whatever T is.
  return chunk.records[index % CHUNK_SIZE] as T;
}
