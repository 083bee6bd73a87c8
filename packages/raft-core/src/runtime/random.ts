/** Spreads the bits of several numbers into one seed, so that neighbours do not start alike. */
export function mixSeeds(...parts: readonly number[]): number {
  let hash = 0x9e3779b9;
  for (const part of parts) {
    for (const word of [part >>> 0, Math.floor(part / 0x1_0000_0000) >>> 0]) {
      hash = Math.imul(hash ^ word, 0x85ebca6b);
      hash = (hash ^ (hash >>> 13)) >>> 0;
    }
  }
  return hash >>> 0;
}
