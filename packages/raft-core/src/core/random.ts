/** Where the core takes its randomness from: only election timeouts need any. */
export interface Random {
  /** A uniformly distributed integer in `[0, bound)`. `bound` is an integer in `[1, 2^31]`. */
  nextInt(bound: number): number;
}

/**
 * xoshiro128** (Blackman and Vigna, 2018), seeded through SplitMix32. Only 32-bit operations, so that every engine
 * and every version computes the same sequence for a seed. Not for secrets.
 */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;

  /** @param seed any integer; only its lowest 32 bits count. */
  constructor(seed: number) {
    let state = seed >>> 0;
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0;
      let z = state;
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
      return (z ^ (z >>> 16)) >>> 0;
    };
    this.#a = next();
    this.#b = next();
    this.#c = next();
    // The all-zero state is the one fixed point of the generator.
    this.#d = next() | 1;
  }

  /** The next 32 random bits as an unsigned integer. */
  nextUint32(): number {
    const scrambled = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return scrambled;
  }

  nextInt(bound: number): number {
    // The bias of scaling 32 bits is below bound / 2^32, far under what an election timeout could notice.
    return Math.floor((this.nextUint32() / 0x1_0000_0000) * bound);
  }

  /** A float in `[0, 1)` with 32 bits of randomness. */
  nextFloat(): number {
    return this.nextUint32() / 0x1_0000_0000;
  }
}

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
