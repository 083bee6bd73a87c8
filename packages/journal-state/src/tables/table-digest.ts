/**
 * The digest of a table that changes in place: the sum of its records' digests, so that a record is added or taken out
 * without touching the others, and the order of the changes does not matter.
 *
 * 64 bits against accidents, not against forgery: what must be tamper-evident (entries, operations) is in hash chains.
 */
export class TableDigest {
  #high = 0;
  #low = 0;

  add(record: RecordDigest): void {
    this.#high = (this.#high + record.high) | 0;
    this.#low = (this.#low + record.low) | 0;
  }

  remove(record: RecordDigest): void {
    this.#high = (this.#high - record.high) | 0;
    this.#low = (this.#low - record.low) | 0;
  }

  toString(): string {
    return (this.#high >>> 0).toString(16).padStart(8, '0') + (this.#low >>> 0).toString(16).padStart(8, '0');
  }
}

export interface RecordDigest {
  readonly high: number;
  readonly low: number;
}

/** Two multiply-xor lanes with different odd multipliers, mixed at the end. */
export function recordDigest(text: string, seed: RecordDigest = NO_SEED): RecordDigest {
  let high = seed.high ^ 0x9e37_79b9;
  let low = seed.low ^ 0x85eb_ca6b;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 0x85eb_ca77);
    low = Math.imul(low ^ code, 0xc2b2_ae3d);
  }
  return finish(high, low);
}

/** Digest of two numbers (safe integers) on top of a record's digest. */
export function extendDigest(seed: RecordDigest, first: number, second: number): RecordDigest {
  const high = Math.imul(Math.imul(seed.high ^ (first | 0), 0x85eb_ca77) ^ (second | 0), 0x27d4_eb2f);
  const low = Math.imul(Math.imul(seed.low ^ (second | 0), 0xc2b2_ae3d) ^ (first | 0), 0x1656_67b1);
  return finish(high, low);
}

const NO_SEED: RecordDigest = { high: 0, low: 0 };

function finish(high: number, low: number): RecordDigest {
  let a = Math.imul(high ^ (high >>> 16), 0x7feb_352d) ^ Math.imul(low ^ (low >>> 13), 0x846c_a68b);
  let b = Math.imul(low ^ (low >>> 15), 0x2c1b_3c6d) ^ Math.imul(high ^ (high >>> 13), 0x297a_2d39);
  a ^= a >>> 15;
  b ^= b >>> 16;
  return { high: a | 0, low: b | 0 };
}
