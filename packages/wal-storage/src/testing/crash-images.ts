/** The disks that a power cut could leave behind. */
import type { Fate, MemoryDisk } from './memory-disk.ts';

export interface CrashImageOptions {
  /** A write that was under way is torn at so many places, its first and last byte among them; Infinity for all. */
  readonly cutsPerWrite: number;
  /** With more unsynced operations than log2 of this, a sample of their combinations is taken, else all of them. */
  readonly combinationsMax: number;
}

const SECTOR_SIZE_BYTES = 512;

/** A small generator with a fixed seed: the same disks every time (xorshift32). */
function* randomBits(seed: number): Generator<number, never> {
  let state = seed | 1;
  for (;;) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

function cuts(size: number, count: number): readonly number[] {
  const wanted = Math.min(count, size - 1);
  const places = new Set<number>();
  for (let step = 0; step < wanted; step++) {
    places.add(wanted === 1 ? size - 1 : 1 + Math.round((step * (size - 2)) / (wanted - 1)));
  }
  return [...places];
}

/**
 * Every disk on which a prefix of the unsynced operations arrived, in order, the next one torn at each of several
 * bytes; then combinations of them out of order, and writes with one sector missing.
 */
export function* crashImages(disk: MemoryDisk, options: CrashImageOptions): Generator<MemoryDisk> {
  const sizes = disk.pendingSizes();
  for (let kept = 0; kept <= sizes.length; kept++) {
    const before: Fate[] = sizes.slice(0, kept).map(() => 'kept');
    yield disk.afterPowerCut(before);
    const size = sizes[kept] ?? 0;
    for (const to of cuts(size, options.cutsPerWrite)) yield disk.afterPowerCut([...before, { from: 0, to }]);
  }
  yield* combinations(disk, sizes.length, options.combinationsMax);
  for (const [position, size] of sizes.entries()) {
    for (let from = SECTOR_SIZE_BYTES; from < size; from += SECTOR_SIZE_BYTES) {
      const fates: Fate[] = sizes.map(() => 'kept');
      fates[position] = { from, to: size };
      yield disk.afterPowerCut(fates);
    }
  }
}

function* combinations(disk: MemoryDisk, count: number, most: number): Generator<MemoryDisk> {
  const fatesOf = (bits: number): Fate[] =>
    Array.from({ length: count }, (_, position): Fate => ((bits >>> position) & 1 ? 'kept' : 'lost'));
  if (2 ** count <= most) {
    for (let bits = 0; bits < 2 ** count; bits++) yield disk.afterPowerCut(fatesOf(bits));
    return;
  }
  const bits = randomBits(count);
  for (let taken = 0; taken < most; taken++) yield disk.afterPowerCut(fatesOf(bits.next().value));
}
