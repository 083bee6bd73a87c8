/** Small checks shared by the parsers of this folder. Each failure names the field and what would be right. */
import { closest } from 'fastest-levenshtein';
import { utf8Exceeds } from '../canonical.ts';
import { JournalStateError } from '../errors.ts';
import { ID_SIZE_BYTES_MAX } from '../limits.ts';
import type { EntrySeq, Timestamp } from '../types.ts';
import { msToTimestamp, timestampToMs } from '../timestamp.ts';

export type JsonRecord = Readonly<Record<string, unknown>>;

const SHOWN_LENGTH_MAX = 40;

/** How a wrong value appears in a message: short, and never more than a line. */
export function show(value: unknown): string {
  if (typeof value === 'string') {
    const text = value.length > SHOWN_LENGTH_MAX ? `${value.slice(0, SHOWN_LENGTH_MAX)}...` : value;
    return JSON.stringify(text);
  }
  if (value === undefined) return 'missing';
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  return Array.isArray(value) ? 'an array' : `of type ${typeof value}`;
}

/** Refuses the field at `path`: `mounts[3].action: must be Add, Remove or Modify, not "add"`. */
export function refuse(path: string, expected: string, actual: unknown): never {
  const verdict =
    actual === undefined ? `is missing, must be ${expected}` : `must be ${expected}, not ${show(actual)}`;
  throw new JournalStateError('malformed', `${path}: ${verdict}`, { path });
}

/** Refuses what exceeds a size limit. */
export function refuseSize(path: string, limit: string): never {
  throw new JournalStateError('tooLarge', `${path}: is larger than ${limit}`, { path });
}

export function refuseField(path: string, field: string, known: readonly string[]): never {
  const full = path === '' ? field : `${path}.${field}`;
  const nearest =
    known.find((candidate) => candidate.startsWith(field)) ?? closest(field.slice(0, 64), [...known]);
  const hint = `did you mean ${show(nearest)}?`;
  throw new JournalStateError('malformed', `${full}: is not a known field; ${hint}`, { path: full });
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function record(value: unknown, path: string, known: readonly string[]): JsonRecord {
  if (!isRecord(value)) refuse(path === '' ? 'input' : path, 'an object', value);
  // No list of the names for each of a million: JSON has nothing inherited that this could come across.
  for (const field in value) if (!known.includes(field)) refuseField(path, field, known);
  return value;
}

export function oneOf<T extends string>(value: unknown, path: string, allowed: readonly T[]): T {
  for (const candidate of allowed) if (value === candidate) return candidate;
  const list = `${allowed.slice(0, -1).join(', ')} or ${allowed.at(-1) ?? ''}`;
  return refuse(path, list, value);
}

/** A string of at most `limit` UTF-8 bytes; may be empty. */
export function text(value: unknown, path: string, limit: number): string {
  if (typeof value !== 'string') refuse(path, 'a string', value);
  if (utf8Exceeds(value, limit)) refuseSize(path, `${String(limit)} bytes`);
  return value;
}

export function textOrNull(value: unknown, path: string, limit: number): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') refuse(path, 'a string or null', value);
  return text(value, path, limit);
}

// eslint's no-control-regex is about accidents; here control characters are what is looked for.
const hasControlCharacter = (value: string): boolean => {
  for (let i = 0; i < value.length; i += 1) {
    const code = value.charCodeAt(i);
    if (code < 32 || code === 127) return true;
  }
  return false;
};

/** A node's or vCluster's id: 1 to 256 bytes, no control characters, no white space at either end. */
export function id(value: unknown, path: string): string {
  if (typeof value !== 'string' || value.length === 0) refuse(path, 'a non-empty string', value);
  if (utf8Exceeds(value, ID_SIZE_BYTES_MAX)) refuseSize(path, `${String(ID_SIZE_BYTES_MAX)} bytes`);
  if (hasControlCharacter(value) || value.trim() !== value) {
    refuse(path, 'free of control characters and of white space at its ends', value);
  }
  return value;
}

export function boolean(value: unknown, path: string, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  return typeof value === 'boolean' ? value : refuse(path, 'true or false', value);
}

/** An integer in `[min, max]`. */
export function integer(value: unknown, path: string, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max)
    return value === 0 ? 0 : value;
  return refuse(path, `an integer from ${String(min)} to ${String(max)}`, value);
}

export function texts(value: unknown, path: string, limit: number): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return refuse(path, 'an array of strings', value);
  return value.map((element: unknown, at) => text(element, `${path}[${String(at)}]`, limit));
}

export function isEntrySeq(value: number): value is EntrySeq {
  return Number.isSafeInteger(value) && value >= 0;
}

/** Narrows a number that must be a sequence; anything else is a programmer's error. */
export function entrySeq(value: number): EntrySeq {
  if (!isEntrySeq(value)) throw new Error(`assertion failed: ${String(value)} is a sequence`);
  return value;
}

export function entrySeqOrNull(value: unknown, path: string): EntrySeq | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number' || !isEntrySeq(value))
    return refuse(path, 'a sequence (an integer from 0) or null', value);
  return value === 0 ? entrySeq(0) : value;
}

const CANONICAL_TIMESTAMP_LENGTH = 24;
let lastTimestamp = '';

/** A point in time, in the journal's form: UTC with milliseconds. Other RFC 3339 forms are converted. */
export function timestamp(value: unknown, path: string): Timestamp {
  if (value === lastTimestamp && typeof value === 'string') return value;
  const ms = typeof value === 'string' ? timestampToMs(value) : undefined;
  if (ms === undefined) refuse(path, 'a time such as 2026-11-24T08:00:00.000Z', value);
  const result = msToTimestamp(ms);
  // Commands come in order of time and many share a millisecond.
  if (result.length === CANONICAL_TIMESTAMP_LENGTH && result === value) lastTimestamp = result;
  return result;
}
