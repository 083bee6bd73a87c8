import { assert } from '../errors.ts';

const CHUNK_SIZE = 1024;

/** A table as it was when it was captured. */
export interface CapturedTable<T> extends Iterable<T> {
  readonly length: number;
  at(index: number): T;
}

/**
 * A growing array of immutable records that can be captured in no time: a capture shares the chunks, and the first
 * change of a shared chunk copies it.
 */
export class CowTable<T> {
  #chunks: T[][] = [];
  /** The capture generation in which each chunk was last copied or created. */
  readonly #generations: number[] = [];
  #generation = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  at(index: number): T {
    return recordAt(this.#chunks, this.#length, index);
  }

  push(value: T): number {
    const chunk = this.#chunks[Math.floor(this.#length / CHUNK_SIZE)];
    if (chunk === undefined) {
      this.#chunks.push([value]);
      this.#generations.push(this.#generation);
    } else {
      // A capture knows its own length: what is added behind it does not show.
      chunk.push(value);
    }
    this.#length += 1;
    return this.#length - 1;
  }

  set(index: number, value: T): void {
    assert(index >= 0 && index < this.#length, 'the record exists');
    const number = Math.floor(index / CHUNK_SIZE);
    let chunk = this.#chunks[number];
    assert(chunk !== undefined, 'every record has its chunk');
    if (this.#generations[number] !== this.#generation) {
      chunk = chunk.slice();
      this.#chunks[number] = chunk;
      this.#generations[number] = this.#generation;
    }
    chunk[index % CHUNK_SIZE] = value;
  }

  capture(): CapturedTable<T> {
    const chunks = this.#chunks;
    const length = this.#length;
    this.#chunks = chunks.slice();
    this.#generation += 1;
    return {
      length,
      at: (index) => recordAt(chunks, length, index),
      *[Symbol.iterator]() {
        for (let index = 0; index < length; index += 1) yield recordAt(chunks, length, index);
      },
    };
  }

  *[Symbol.iterator](): Generator<T, void, undefined> {
    for (let index = 0; index < this.#length; index += 1) yield this.at(index);
  }
}

function recordAt<T>(chunks: readonly (readonly T[])[], length: number, index: number): T {
  const chunk = chunks[Math.floor(index / CHUNK_SIZE)];
  assert(chunk !== undefined && index >= 0 && index < length, 'the record exists');
  // Below `length`, so the element is there, whatever T is.
  return chunk[index % CHUNK_SIZE] as T;
}
