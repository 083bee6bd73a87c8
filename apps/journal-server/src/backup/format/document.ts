/**
 * The envelope of every object that is not named by its content: one line of canonical JSON, then bytes that the line
 * describes. The line carries the SHA-256 of itself (without that field) and of the bytes, and it is written in one way
 * only, so that no byte of the object can change unnoticed.
 */
import { hash } from 'node:crypto';
import { canonicalJson } from '@pact-journal/journal-state';
import { BackupError, damagedObject } from '../errors.ts';

/** Bumped when older code could not read what newer code writes. */
export const BACKUP_FORMAT = 1;

export type JsonObject = Readonly<Record<string, unknown>>;

export interface SealedObject {
  readonly document: JsonObject;
  readonly body: Uint8Array;
  /** SHA-256 of the line, in hex: stands for the whole object. */
  readonly sha256: string;
}

export function sha256Hex(bytes: Uint8Array | string): string {
  return hash('sha256', bytes, 'hex');
}

/** The object's bytes, and the hash that stands for them. */
export function sealObject(
  kind: string,
  fields: JsonObject,
  body: Uint8Array = new Uint8Array(0),
): { readonly bytes: Uint8Array; readonly sha256: string } {
  const document = {
    ...fields,
    kind,
    format: BACKUP_FORMAT,
    body_sha256: sha256Hex(body),
    body_size_bytes: body.length,
  };
  const sha256 = sha256Hex(canonicalJson(document));
  const line = Buffer.from(`${canonicalJson({ ...document, sha256 })}\n`);
  return { bytes: body.length === 0 ? line : Buffer.concat([line, body]), sha256 };
}

/** Reads an object back. Throws `damaged` where any byte of it is not what was written, or `newerBackup`. */
export function openObject(key: string, kind: string, bytes: Uint8Array): SealedObject {
  const end = bytes.indexOf(0x0a);
  if (end < 0) throw damagedObject(key, 'has no complete first line');
  const line = Buffer.from(bytes.buffer, bytes.byteOffset, end).toString('utf8');
  const document = parseLine(key, line);
  const { sha256, ...rest } = document;
  if (typeof sha256 !== 'string' || sha256Hex(canonicalJson(rest)) !== sha256)
    throw damagedObject(key, 'its first line does not have the hash that it carries');
  if (canonicalJson(document) !== line || !isSameText(line, bytes, end))
    throw damagedObject(key, 'its first line is not written as it must be');
  if (typeof document['format'] === 'number' && document['format'] > BACKUP_FORMAT) {
    throw new BackupError(
      'newerBackup',
      `${key}: has format ${String(document['format'])}, this version reads up to ${String(BACKUP_FORMAT)}; use a newer one`,
      { key },
    );
  }
  if (document['kind'] !== kind)
    throw damagedObject(
      key,
      `is a ${JSON.stringify(document['kind'])}, a ${JSON.stringify(kind)} belongs here`,
    );
  const body = bytes.subarray(end + 1);
  if (document['body_size_bytes'] !== body.length)
    throw damagedObject(key, `has ${String(body.length)} bytes after its first line, which announces others`);
  if (document['body_sha256'] !== sha256Hex(body))
    throw damagedObject(key, 'its content does not have the hash that its first line says');
  return { document, body, sha256 };
}

/** Bytes that are not UTF-8 become the replacement character, which must not pass for one that was written. */
function isSameText(line: string, bytes: Uint8Array, end: number): boolean {
  return Buffer.from(line, 'utf8').equals(bytes.subarray(0, end));
}

function parseLine(key: string, line: string): JsonObject {
  try {
    const json: unknown = JSON.parse(line);
    if (isJsonObject(json)) return json;
  } catch (error) {
    throw damagedObject(key, 'its first line is not JSON', error);
  }
  throw damagedObject(key, 'its first line is not a JSON object');
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Readers of fields that throw `damaged` and name the object. */
export class Fields {
  readonly #key: string;
  readonly #json: JsonObject;

  constructor(key: string, json: JsonObject) {
    this.#key = key;
    this.#json = json;
  }

  text(name: string): string {
    const value = this.#json[name];
    return typeof value === 'string' ? value : this.#wrong(name, 'a text');
  }

  /** A text or null, as null. */
  optionalText(name: string): string | null {
    return this.#json[name] === null ? null : this.text(name);
  }

  /** A whole number from `min`. */
  count(name: string, min = 0): number {
    const value = this.#json[name];
    return typeof value === 'number' && Number.isSafeInteger(value) && value >= min
      ? value
      : this.#wrong(name, `a whole number from ${String(min)}`);
  }

  sha256(name: string): string {
    const value = this.text(name);
    return /^[0-9a-f]{64}$/u.test(value) ? value : this.#wrong(name, 'a SHA-256 in hex');
  }

  object(name: string): Fields {
    const value = this.#json[name];
    return isJsonObject(value) ? new Fields(this.#key, value) : this.#wrong(name, 'an object');
  }

  optionalObject(name: string): Fields | null {
    return this.#json[name] === null ? null : this.object(name);
  }

  list(name: string): readonly Fields[] {
    const value = this.#json[name];
    if (!Array.isArray(value)) return this.#wrong(name, 'a list');
    return value.map((item: unknown) =>
      isJsonObject(item) ? new Fields(this.#key, item) : this.#wrong(name, 'a list of objects'),
    );
  }

  #wrong(name: string, expected: string): never {
    throw damagedObject(this.#key, `its field ${name} is not ${expected}`);
  }
}
