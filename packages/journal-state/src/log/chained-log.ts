import { EMPTY_HASH, HASH_TEXT_LENGTH, encodeUtf8, encodeUtf8Into, formatHash } from '../canonical.ts';
import type { Sha256 } from '../canonical.ts';
import { SegmentLog } from './segment-log.ts';

/** What stands before the hash in a record's JSON; a quote follows it. */
const HASH_FIELD_OPEN = ',"hash":"';
const HASH_FIELD_OPEN_BYTES = encodeUtf8(HASH_FIELD_OPEN);
const HASH_FIELD_LENGTH = HASH_FIELD_OPEN.length + HASH_TEXT_LENGTH + 1;
const QUOTE = 0x22;
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
    encodeUtf8Into(hash, this.#scratch);
    const target = this.log.append(this.#totalLength + HASH_FIELD_LENGTH);
    target.set(this.#scratch.subarray(HASH_TEXT_LENGTH, split));
    target.set(HASH_FIELD_OPEN_BYTES, this.#headLength);
    target.set(this.#scratch.subarray(0, HASH_TEXT_LENGTH), this.#headLength + HASH_FIELD_OPEN_BYTES.length);
    target[this.#headLength + HASH_FIELD_LENGTH - 1] = QUOTE;
    target.set(this.#scratch.subarray(split, end), this.#headLength + HASH_FIELD_LENGTH);
    this.#moveHead(hash);
    return hash;
  }

  /**
   * Appends a record that already has its hash, given as bytes and as the text that they are. False (and nothing is
   * appended) if the hash does not follow from the predecessor's and the record.
   */
  appendVerified(bytes: Uint8Array, text: string, hash: string): boolean {
    // A quote inside of a JSON string is always escaped and no nested object has such a field: only the field is found.
    const found = text.indexOf(HASH_FIELD_OPEN);
    if (found < 0 || hash.length !== HASH_TEXT_LENGTH) return false;
    const at = text.length === bytes.length ? found : encodeUtf8(text.slice(0, found)).length;
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
    encodeUtf8Into(hash, this.#scratch);
  }

  #reserve(size: number): void {
    if (HASH_TEXT_LENGTH + size <= this.#scratch.length) return;
    const grown = new Uint8Array((HASH_TEXT_LENGTH + size) * 2);
    grown.set(this.#scratch.subarray(0, HASH_TEXT_LENGTH));
    this.#scratch = grown;
  }
}
