import type { RecordDigest } from './table-digest.ts';

const EMPTY = -1;

/**
 * Finds request ids among the slots of a ring, by their digests: an open hash table with linear probing, of numbers
 * only. A `Map` would hash every id itself once more, and be built anew whenever it has seen its capacity in deletions.
 *
 * Which ids are found does not depend on how they are spread: equal digests are told apart by the ids themselves. Ids
 * made to collide cost at most a walk over all that are remembered, which is less than a large entry costs.
 */
export class RequestIndex {
  readonly #idAt: (slot: number) => string;
  /** Position to slot. At most half of the positions are taken, so that probing soon finds an empty one. */
  readonly #slots: Int32Array;
  readonly #mask: number;
  /** By slot, the digest of its id. */
  readonly #high: Int32Array;
  readonly #low: Int32Array;

  /** For a ring of `size` slots, of which `idAt` tells the ids. */
  constructor(size: number, idAt: (slot: number) => string) {
    const positions = 2 ** Math.ceil(Math.log2(size * 2));
    this.#idAt = idAt;
    this.#slots = new Int32Array(positions).fill(EMPTY);
    this.#mask = positions - 1;
    this.#high = new Int32Array(size);
    this.#low = new Int32Array(size);
  }

  /** The slot of the id, of which `digest` is the record digest; undefined if it was not added, or taken out. */
  find(requestId: string, digest: RecordDigest): number | undefined {
    for (let position = digest.low & this.#mask; ; position = (position + 1) & this.#mask) {
      const slot = this.#slots[position] ?? EMPTY;
      if (slot === EMPTY) return undefined;
      if (
        this.#high[slot] === digest.high &&
        this.#low[slot] === digest.low &&
        this.#idAt(slot) === requestId
      )
        return slot;
    }
  }

  /** Adds the id in `slot`, which is not yet found. */
  add(slot: number, digest: RecordDigest): void {
    this.#high[slot] = digest.high;
    this.#low[slot] = digest.low;
    let position = digest.low & this.#mask;
    while ((this.#slots[position] ?? EMPTY) !== EMPTY) position = (position + 1) & this.#mask;
    this.#slots[position] = slot;
  }

  /** The digest of the id in `slot`. */
  digestOf(slot: number): RecordDigest {
    return { high: this.#high[slot] ?? 0, low: this.#low[slot] ?? 0 };
  }

  /** Takes out the id in `slot`. Those behind it move up, as far as that brings them closer to where they belong. */
  remove(slot: number): void {
    let hole = (this.#low[slot] ?? 0) & this.#mask;
    while (this.#slots[hole] !== slot) hole = (hole + 1) & this.#mask;
    for (let position = (hole + 1) & this.#mask; ; position = (position + 1) & this.#mask) {
      const next = this.#slots[position] ?? EMPTY;
      if (next === EMPTY) break;
      const home = (this.#low[next] ?? 0) & this.#mask;
      // How far it would have to be from home to fill the hole, against how far it is.
      if (((position - home) & this.#mask) < ((position - hole) & this.#mask)) continue;
      this.#slots[hole] = next;
      hole = position;
    }
    this.#slots[hole] = EMPTY;
  }
}
