import { decodeConfChange } from '../confchange/codec.ts';
import { isRaftCoreError } from '../errors.ts';
import type { ConfChange, Entry } from '../types.ts';

/** "No limit", where a size in bytes is asked for. */
export const NO_LIMIT = Number.MAX_SAFE_INTEGER;

/**
 * What an entry counts against size limits, in bytes: what it takes in the protocol buffers encoding of etcd's library,
 * so that the same limits cut batches at the same entries. The type is written only if it is not `normal`.
 */
export function entrySize(entry: Entry): number {
  const length = dataSize(entry);
  const head = (entry.type === 'normal' ? 2 : 4) + varintSize(entry.term) + varintSize(entry.index);
  return head + bytesFieldSize(length);
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
export function payloadSize(entries: readonly Pick<Entry, 'type' | 'data'>[]): number {
  let size = 0;
  for (let i = 0; i < entries.length; i += 1) {
    const entry = entries[i];
    if (entry !== undefined) size += dataSize(entry);
  }
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

/** Membership changes are encoded otherwise here, so what counts is how long the other encoding would be. */
function dataSize({ type, data }: Pick<Entry, 'type' | 'data'>): number {
  if (type === 'normal' || data.length === 0) return data.length;
  try {
    const change = decodeConfChange(data);
    return type === 'confChange' ? changeV1Size(change) : changeV2Size(change);
  } catch (error) {
    // It will be refused where it is applied; until then it takes what it takes.
    if (!isRaftCoreError(error, 'malformedConfChange')) throw error;
    return data.length;
  }
}

/** Fields: 2 the type, 3 the node, 4 the context if there is one. */
function changeV1Size({ changes, context }: ConfChange): number {
  return 2 + 1 + varintSize(changes[0]?.nodeId ?? 0) + bytesFieldSize(context.length);
}

/** Fields: 1 the transition, 2 for each change its type (1) and node (2), 3 the context if there is one. */
function changeV2Size({ changes, context }: ConfChange): number {
  let size = 2 + bytesFieldSize(context.length);
  for (const { nodeId } of changes) size += bytesFieldSize(2 + 1 + varintSize(nodeId));
  return size;
}

/** A field of bytes with its tag and length; nothing for none. */
function bytesFieldSize(length: number): number {
  return length === 0 ? 0 : 1 + varintSize(length) + length;
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
