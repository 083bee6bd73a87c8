import type { Entry } from '../types.ts';

/** "No limit", where a size in bytes is asked for. */
export const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/**
 * What an entry counts against size limits, in bytes: what it takes in the protocol buffers encoding that other Raft
 * implementations use, so that the same limits cut batches at the same entries.
 */
export function entrySize(entry: Entry): number {
  const length = entry.data.length;
  const head = 4 + varintSize(entry.term) + varintSize(entry.index);
  return length === 0 ? head : head + 1 + varintSize(length) + length;
}

/** The sum of {@link entrySize}. */
export function entriesSize(entries: readonly Entry[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i += 1) {
    const entry = entries[i];
    if (entry !== undefined) size += entrySize(entry);
  }
  return size;
}

/** Bytes of data alone: 0 for the empty entries that keep the log going, which no quota ever refuses. */
export function payloadSize(entries: readonly { readonly data: Uint8Array }[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i += 1) size += entries[i]?.data.length ?? 0;
  return size;
}

/**
 * How many entries of `entries[from, to)` fit in `maxBytes`: as many as do, but at least one if there is any, so that
 * an entry above the limit still gets through.
 */
export function countWithin(entries: readonly Entry[], from: number, to: number, maxBytes: number): number {
  if (maxBytes >= NO_LIMIT || to - from <= 1) return to - from;
  let size = 0;
  for (let at = from; at < to; at += 1) {
    const entry = entries[at];
    if (entry === undefined) return at - from;
    size += entrySize(entry);
    if (size > maxBytes && at > from) return at - from;
  }
  return to - from;
}

function varintSize(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x200000) return 3;
  if (value < 0x10000000) return 4;
  let bytes = 5;
  for (let rest = Math.floor(value / 0x800000000); rest > 0; rest = Math.floor(rest / 0x80)) bytes += 1;
  return bytes;
}
