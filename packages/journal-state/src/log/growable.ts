/** An array of unsigned 32-bit integers that grows at its end: four bytes an element, outside of the garbage collector's way. */
export class GrowableUint32 {
  #values = new Uint32Array(16);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Uint32Array(this.#values.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length] = value;
    this.#length += 1;
  }

  /** The element at `index`, which must exist. */
  at(index: number): number {
    return this.#values[index] ?? 0;
  }
}

/** What can be searched: an array, or something that grows like one. */
export interface Indexed {
  readonly length: number;
  at(index: number): number | undefined;
}

/** Index of the first element that is not below `value` in an ascending list. */
export function lowerBound(sorted: Indexed, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted.at(middle) ?? 0) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
