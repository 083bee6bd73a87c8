import {
  EMPTY_HASH,
  HASH_SCHEME,
  HASH_TEXT_LENGTH,
  encodeUtf8,
  encodeUtf8Into,
  formatHash,
  toHex,
} from '../canonical.ts';
import type { Sha256 } from '../canonical.ts';
import { HASH_FIELD_LENGTH, HASH_FIELD_OPEN } from './chain-stretch.ts';
import type { ChainStretch } from './chain-stretch.ts';
import { SegmentLog } from './segment-log.ts';
import type { Allocate, Segment } from './segment-log.ts';

/** Called with records that were appended as they are, to find out whether their hashes are right. */
export type VerifyLater = (stretch: ChainStretch) => void;

/**
 * Records of canonical JSON, each of which carries the SHA-256 over its predecessor's hash and itself:
 *
 *     hash = sha256( predecessor's hash as text, "sha256:<hex>" ++ the record's canonical JSON without "hash" )
 *
 * The first one's predecessor is the hash of nothing. As text, so that an auditor needs no more than jq and sha256sum.
 */
export class ChainedLog {
  readonly log: SegmentLog;
  readonly #sha256: Sha256;
  #headHash = EMPTY_HASH;
  /** The hash that the first claimed record of the open segment continues. */
  #openContinues = EMPTY_HASH;
  /** The field with the head's hash, as it stands in the head's JSON. */
  readonly #hashField = encodeUtf8(`${HASH_FIELD_OPEN}${EMPTY_HASH}"`);
  /** The hash within that field. */
  readonly #hashText = this.#hashField.subarray(HASH_FIELD_OPEN.length, HASH_FIELD_LENGTH - 1);
  /** What `prepare` wrote: where it begins, and its lengths before `hash` and in all, in bytes. */
  #prepared = { offset: 0, headLength: 0, length: 0 };

  constructor(sha256: Sha256, allocate?: Allocate) {
    this.#sha256 = sha256;
    this.log = new SegmentLog(allocate);
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
   * of a comma). Returns the size in bytes that the record will have with its hash. Nothing is appended yet.
   *
   * The JSON is written where its second part stays, with room before it for the field; the first part moves forward
   * when the hash is known.
   */
  prepare(json: string, split: number): number {
    const offset = this.log.reserve(json.length * 3 + HASH_FIELD_LENGTH);
    const length = encodeUtf8Into(json, this.log.buffer.subarray(offset + HASH_FIELD_LENGTH));
    // One byte a character is the rule; otherwise the position in bytes has to be counted.
    const headLength = length === json.length ? split : encodeUtf8(json.slice(0, split)).length;
    this.#prepared = { offset, headLength, length };
    return length + HASH_FIELD_LENGTH;
  }

  /** Appends the prepared record and returns its hash. */
  commit(): string {
    const { offset, headLength, length } = this.#prepared;
    const { buffer } = this.log;
    const start = offset + HASH_FIELD_LENGTH;
    buffer.set(this.#hashText, start - HASH_TEXT_LENGTH);
    const hash = formatHash(this.#sha256(buffer.subarray(start - HASH_TEXT_LENGTH, start + length)));
    this.#moveHead(hash);
    buffer.copyWithin(offset, start, start + headLength);
    buffer.set(this.#hashField, offset + headLength);
    this.log.commit(length + HASH_FIELD_LENGTH);
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
    const headLength = text.length === bytes.length ? found : encodeUtf8(text.slice(0, found)).length;
    const offset = this.log.reserve(bytes.length + HASH_FIELD_LENGTH);
    const { buffer } = this.log;
    // As `commit` leaves it, but with the first part still before the second one, for the hash.
    buffer.set(bytes, offset);
    const start = offset + HASH_FIELD_LENGTH;
    buffer.copyWithin(start, offset, offset + headLength);
    buffer.set(this.#hashText, start - HASH_TEXT_LENGTH);
    const digest = this.#sha256(buffer.subarray(start - HASH_TEXT_LENGTH, offset + bytes.length));
    // Not with `formatHash`: what is only compared need not be put together first.
    const digits = typeof digest === 'string' ? digest : toHex(digest);
    if (digits.length !== HASH_TEXT_LENGTH - HASH_SCHEME.length) return false;
    if (!hash.startsWith(HASH_SCHEME) || !hash.endsWith(digits)) return false;
    buffer.set(bytes, offset);
    this.log.commit(bytes.length);
    this.#moveHead(hash);
    return true;
  }

  /**
   * The same without verifying the hash, for a log of which all records come in this way: `verify` is given them by the
   * segment, the last ones by `claimed`. False (and nothing is appended) if the record has not this hash in its place.
   */
  appendClaimed(bytes: Uint8Array, text: string, hash: string, verify: VerifyLater): boolean {
    const found = text.indexOf(HASH_FIELD_OPEN);
    const isThere = found >= 0 && text.startsWith(hash, found + HASH_FIELD_OPEN.length);
    if (!isThere || hash.length !== HASH_TEXT_LENGTH) return false;
    const continues = this.#headHash;
    const sealed = this.log.newestSealed;
    this.log.append(bytes);
    this.#moveHead(hash);
    const full = this.log.newestSealed;
    if (full !== undefined && full !== sealed) {
      verify(this.#stretch(full));
      this.#openContinues = continues;
    }
    return true;
  }

  /** No more records are claimed. */
  claimed(verify: VerifyLater): void {
    const { open } = this.log.capture();
    if (open.ends.length > 0) verify(this.#stretch(open));
  }

  #stretch({ first, bytes, ends }: Segment): ChainStretch {
    return { first, previousHash: this.#openContinues, bytes: bytes.subarray(0, ends.at(-1)), ends };
  }

  /** Called for each record: a loop is faster here than handing a short text to an encoder. */
  #moveHead(hash: string): void {
    this.#headHash = hash;
    for (let at = 0; at < HASH_TEXT_LENGTH; at += 1) this.#hashText[at] = hash.charCodeAt(at);
  }
}
