import stableStringify from 'fast-json-stable-stringify';
import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';

/**
 * SHA-256 (FIPS 180-4), as 32 bytes or as 64 lower-case hexadecimal digits, whichever comes cheaper. Must not keep or
 * change its argument.
 */
export type Sha256 = (bytes: Uint8Array) => Uint8Array | string;

/** SHA-256 in plain JavaScript. Several times slower than a native one, which may be injected instead. */
export const pureSha256: Sha256 = (bytes) => nobleSha256(bytes);

/** Canonical JSON: keys in ascending order of code units, no white space. */
export function canonicalJson(value: unknown): string {
  // What is parsed or built here has its keys in order mostly, and the engine's own encoder is several times as fast.
  return isInOrder(value) ? JSON.stringify(value) : stableStringify(value);
}

/** Whether the engine's encoder writes the keys of every object in canonical order. */
function isInOrder(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return value !== undefined;
  if (Array.isArray(value)) return value.every(isInOrder);
  let previous = '';
  // Not Object.entries: a command has dozens of fields, and this makes nothing of them to collect.
  for (const key in value) {
    if (key < previous) return false;
    previous = key;
    const member: unknown = value[key as keyof typeof value];
    if (typeof member === 'object' && !isInOrder(member)) return false;
  }
  return true;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export const encodeUtf8 = (text: string): Uint8Array => encoder.encode(text);

/** The same text in memory of its own: one that was cut out of a longer text would keep all of that in memory. */
export function detached(text: string): string {
  const copy: unknown = JSON.parse(JSON.stringify(text));
  return typeof copy === 'string' ? copy : text;
}

/** Throws a TypeError on bytes that are not UTF-8. */
export const decodeUtf8 = (bytes: Uint8Array): string => decoder.decode(bytes);

/** Writes as much of `text` as fits into `target` and returns the number of bytes written. */
export const encodeUtf8Into = (text: string, target: Uint8Array): number =>
  encoder.encodeInto(text, target).written;

const SLAB_SIZE_BYTES = 64 * 1024;
/** Longer texts get memory of their own, so that no slab is kept alive for a part of it. */
const SLAB_TEXT_LENGTH_MAX = 4 * 1024;

/** Encodes short texts one behind the other into larger pieces of memory. */
export class Slabs {
  #slab = new Uint8Array(0);
  #used = 0;

  /** UTF-8; nobody else writes to it. */
  encode(text: string): Uint8Array {
    if (text.length > SLAB_TEXT_LENGTH_MAX) return encodeUtf8(text);
    // A code unit takes three bytes at most.
    if (this.#used + 3 * text.length > this.#slab.length) {
      this.#slab = new Uint8Array(SLAB_SIZE_BYTES);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += encodeUtf8Into(text, this.#slab.subarray(start));
    return this.#slab.subarray(start, this.#used);
  }
}

/** Number of bytes of `text` in UTF-8; counts exactly only where the answer could exceed `limit`. */
export function utf8Exceeds(text: string, limit: number): boolean {
  if (text.length > limit) return true;
  if (text.length * 3 <= limit) return false;
  return encoder.encode(text).length > limit;
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 1) text += HEX[bytes[i] ?? 0] ?? '';
  return text;
}

/** The form in which hashes are written: `sha256:<hex>`, always 71 characters. */
export const HASH_TEXT_LENGTH = 71;
export const HASH_SCHEME = 'sha256:';
export function formatHash(digest: Uint8Array | string): string {
  return `${HASH_SCHEME}${typeof digest === 'string' ? digest : toHex(digest)}`;
}

/** `sha256:` of no bytes at all: what the first record of a chain has for a predecessor. */
export const EMPTY_HASH = formatHash(pureSha256(new Uint8Array(0)));
