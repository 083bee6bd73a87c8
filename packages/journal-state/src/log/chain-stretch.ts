import { HASH_SCHEME, HASH_TEXT_LENGTH, formatHash } from '../canonical.ts';
import type { Sha256 } from '../canonical.ts';

/** What stands before the hash in a record's JSON; a quote follows it. */
export const HASH_FIELD_OPEN = ',"hash":"';
export const HASH_FIELD_LENGTH = HASH_FIELD_OPEN.length + HASH_TEXT_LENGTH + 1;

/** Part of a hash chain: records end to end in `bytes`, and the hash that the first of them continues. */
export interface ChainStretch {
  /** Position of its first record in the chain. */
  readonly first: number;
  readonly previousHash: string;
  readonly bytes: Uint8Array;
  /** Where each record ends. */
  readonly ends: Uint32Array;
}

const FIELD_OPEN_BYTES = Uint8Array.from(HASH_FIELD_OPEN, (character) => character.charCodeAt(0));
const QUOTE = 0x22;

/**
 * Position in the chain of the first record whose hash does not follow from the hash before it and its own bytes; -1
 * where all do. Uses `bytes` for its work: they are not what they were afterwards.
 */
export function findBrokenLink({ first, previousHash, bytes, ends }: ChainStretch, sha256: Sha256): number {
  const previous = Uint8Array.from(previousHash, (character) => character.charCodeAt(0));
  let start = 0;
  for (let at = 0; at < ends.length; at += 1) {
    const end = ends[at] ?? 0;
    const field = findHashField(bytes, start, end);
    if (field < 0) return first + at;
    const hash = bytes.slice(field + HASH_FIELD_OPEN.length, field + HASH_FIELD_LENGTH - 1);
    // What is hashed, in one piece: the predecessor's hash and the record without the field.
    bytes.copyWithin(start + HASH_FIELD_LENGTH, start, field);
    bytes.set(previous, start + HASH_FIELD_LENGTH - HASH_TEXT_LENGTH);
    const digest = sha256(bytes.subarray(start + HASH_FIELD_LENGTH - HASH_TEXT_LENGTH, end));
    if (!spells(hash, typeof digest === 'string' ? HASH_SCHEME + digest : formatHash(digest)))
      return first + at;
    previous.set(hash);
    start = end;
  }
  return -1;
}

/** A quote inside of a JSON string is always escaped and no nested object has such a field: only the field is found. */
function findHashField(bytes: Uint8Array, start: number, end: number): number {
  const [comma, , letter] = FIELD_OPEN_BYTES;
  for (let at = start; at <= end - HASH_FIELD_LENGTH; at += 1) {
    if (bytes[at] === comma && bytes[at + 2] === letter && opensField(bytes, at))
      return bytes[at + HASH_FIELD_LENGTH - 1] === QUOTE ? at : -1;
  }
  return -1;
}

function opensField(bytes: Uint8Array, at: number): boolean {
  for (let offset = 0; offset < FIELD_OPEN_BYTES.length; offset += 1)
    if (bytes[at + offset] !== FIELD_OPEN_BYTES[offset]) return false;
  return true;
}

function spells(bytes: Uint8Array, text: string): boolean {
  if (bytes.length !== text.length) return false;
  for (let at = 0; at < text.length; at += 1) if (bytes[at] !== text.charCodeAt(at)) return false;
  return true;
}
