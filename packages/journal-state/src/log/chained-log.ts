import { EMPTY_HASH, HASH_TEXT_LENGTH, encodeUtf8, encodeUtf8Into, formatHash } from '../canonical.ts';
import type { Sha256 } from '../canonical.ts';
import { SegmentLog } from './segment-log.ts';

/** `,"hash":"sha256:<hex>"` as it stands in a record's JSON, without the hash itself. */
const HASH_FIELD_OPEN = ',"hash":"';
const HASH_FIELD_LENGTH = HASH_FIELD_OPEN.length + HASH_TEXT_LENGTH + 1;
const QUOTE = 0x22;
const COMMA = 0x2c;
/** Scratch space above this is given back after use. */
const SCRATCH_KEPT_BYTES = 1 << 20;

/**
 * Records of canonical JSON, each of which carries the SHA-256 over its predecessor's hash and itself:
 *
 *     hash = sha256( predecessor's hash as text, "sha256:<hex>" ++ the record's canonical JSON without "hash" )
 *
 * The first one's predecessor is the hash of nothing. As text, so that an auditor needs no more than jq and sha256sum.
 */
export class ChainedLog {
  readonly log = new SegmentLog();
  readonly #sha256: Sha256;
  /** The head's hash as text, then the record being appended. */
  #scratch = new Uint8Array(16 * 1024);
  #headHash = EMPTY_HASH;
  #headLength = 0;
  #totalLength = 0;

  constructor(sha256: Sha256) {
    this.#sha256 = sha256;
    encodeUtf8Into(this.#headHash, this.#scratch);
  }

  /** Hash of the newest record. */
  get headHash(): string {
    return this.#headHash;
  }

  get length(): number {
    return this.log.length;
  }

  /**
   * Prepares a record given as its canonical JSON without `hash`, which is to go in at `split` (a position in the text,
   * of a comma). Returns the size in bytes that the record will have with its hash.
   */
  prepare(json: string, split: number): number {
    this.#reserve(json.length * 3);
    const all = encodeUtf8Into(json, this.#scratch.subarray(HASH_TEXT_LENGTH));
    // One byte a character is the rule; otherwise the position in bytes has to be counted.
    this.#headLength = all === json.length ? split : encodeUtf8(json.slice(0, split)).length;
    this.#totalLength = all;
    return all + HASH_FIELD_LENGTH;
  }

  /** Appends the prepared record and returns its hash. */
  commit(): string {
    const end = HASH_TEXT_LENGTH + this.#totalLength;
    const split = HASH_TEXT_LENGTH + this.#headLength;
    const hash = formatHash(this.#sha256(this.#scratch.subarray(0, end)));
    const target = this.log.append(this.#totalLength + HASH_FIELD_LENGTH);
    target.set(this.#scratch.subarray(HASH_TEXT_LENGTH, split));
    writeAscii(HASH_FIELD_OPEN, target, this.#headLength);
    writeAscii(hash, target, this.#headLength + HASH_FIELD_OPEN.length);
    target[this.#headLength + HASH_FIELD_LENGTH - 1] = QUOTE;
    target.set(this.#scratch.subarray(split, end), this.#headLength + HASH_FIELD_LENGTH);
    this.#moveHead(hash);
    return hash;
  }

  /**
   * Appends a record that already has its hash. False (and nothing is appended) if the hash does not follow from the
   * predecessor's and the record.
   */
  appendVerified(bytes: Uint8Array, hash: string): boolean {
    const at = findHashField(bytes);
    if (at < 0 || hash.length !== HASH_TEXT_LENGTH) return false;
    this.#reserve(bytes.length);
    const rest = bytes.subarray(at + HASH_FIELD_LENGTH);
    this.#scratch.set(bytes.subarray(0, at), HASH_TEXT_LENGTH);
    this.#scratch.set(rest, HASH_TEXT_LENGTH + at);
    const end = HASH_TEXT_LENGTH + at + rest.length;
    if (formatHash(this.#sha256(this.#scratch.subarray(0, end))) !== hash) return false;
    this.log.append(bytes.length).set(bytes);
    this.#moveHead(hash);
    return true;
  }

  #moveHead(hash: string): void {
    this.#headHash = hash;
    if (this.#scratch.length > SCRATCH_KEPT_BYTES) this.#scratch = new Uint8Array(16 * 1024);
    writeAscii(hash, this.#scratch, 0);
  }

  #reserve(size: number): void {
    if (HASH_TEXT_LENGTH + size <= this.#scratch.length) return;
    const grown = new Uint8Array((HASH_TEXT_LENGTH + size) * 2);
    grown.set(this.#scratch.subarray(0, HASH_TEXT_LENGTH));
    this.#scratch = grown;
  }
}

function writeAscii(text: string, target: Uint8Array, at: number): void {
  for (let i = 0; i < text.length; i += 1) target[at + i] = text.charCodeAt(i);
}

/**
 * Where `,"hash":"` begins in a record, or -1. A quote inside of a JSON string is always escaped, so that these bytes
 * can only be the field itself; and no object nested in a record has a field of this name.
 */
export function findHashField(bytes: Uint8Array): number {
  const last = bytes.length - HASH_FIELD_LENGTH;
  for (let at = bytes.indexOf(COMMA); at >= 0 && at <= last; at = bytes.indexOf(COMMA, at + 1)) {
    if (startsWithHashField(bytes, at)) return at;
  }
  return -1;
}

function startsWithHashField(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < HASH_FIELD_OPEN.length; i += 1) {
    if (bytes[at + i] !== HASH_FIELD_OPEN.charCodeAt(i)) return false;
  }
  return true;
}
