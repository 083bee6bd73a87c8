/** A section's records one by one, out of what brings many at a time. */
import { Slices } from '../slices.ts';

/**
 * Iterates over the records of all batches, with a turn for others in between. Like a generator that goes through them
 * with `yield`, but for a million records it matters that only one promise is made for each. One `next` at a time: unlike
 * a generator it does not queue them.
 */
export class EachRecord implements AsyncIterableIterator<Uint8Array> {
  readonly #batches: AsyncGenerator<Iterable<Uint8Array>>;
  readonly #slices = new Slices();
  #records: Iterator<Uint8Array, unknown> | undefined;

  constructor(batches: AsyncGenerator<Iterable<Uint8Array>>) {
    this.#batches = batches;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#records !== undefined && !this.#slices.isUsedUp) {
      const { done, value } = this.#records.next();
      if (done !== true) return Promise.resolve({ done: false, value });
      this.#records = undefined;
    }
    return this.#continue();
  }

  async #continue(): Promise<IteratorResult<Uint8Array, undefined>> {
    await this.#slices.breathe();
    for (;;) {
      if (this.#records !== undefined) {
        const { done, value } = this.#records.next();
        if (done !== true) return { done: false, value };
      }
      const batch = await this.#batches.next();
      if (batch.done === true) return { done: true, value: undefined };
      this.#records = batch.value[Symbol.iterator]();
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#records = undefined;
    await this.#batches.return(undefined);
    return { done: true, value: undefined };
  }
}
