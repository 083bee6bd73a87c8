/**
 * A log entry as a line of JSON:
 *
 *     {"crc32c":"6f0e8a1c","index":7,"term":2,"prev":"90c1be35","append":{"entries":2,"bytes":411},"type":"normal","data":{...}}
 *
 * | field    | the fault it defends against                                                                            |
 * |----------|---------------------------------------------------------------------------------------------------------|
 * | `crc32c` | rot and torn writes: covers every byte after itself up to the newline                                   |
 * | `index`  | a file under a wrong name, lines missing, repeated or exchanged within a file                           |
 * | `term`   | nothing by itself: Raft needs it                                                                        |
 * | `prev`   | checksum of the preceding line of the log (chain): a file that was swapped for one of another node,     |
 * |          | another cluster or an earlier life of this log, though valid by itself, does not continue its neighbour |
 * | `append` | a torn append mistaken for rot or the other way round: the first line of a file says how many entries   |
 * |          | and bytes the append was to have, so a file that is shorter was never acknowledged, and a bad checksum  |
 * |          | in one that is whole is damage                                                                          |
 * | `data`   | what was proposed, byte for byte, where it is a JSON object on one line, so that `jq` sees it;          |
 * |          | `data_base64` has any other bytes                                                                       |
 */
import { isUtf8 } from 'node:buffer';
import type { Entry, EntryType, LogIndex, Term } from '@pact-journal/raft-core';
import { SEALED_FROM, SEAL_PREFIX, checksum, hex32, putHex32, verifiedChecksum } from '../checksum.ts';

/**
 * How entries' data is stored. `auto`: as JSON where it is a valid JSON object on one line, else as base64. `json`: the
 * same without checking that it parses; for callers whose data is JSON. `bytes`: always base64. Any bytes come back
 * exactly in all three.
 */
export type PayloadFormat = 'auto' | 'json' | 'bytes';

const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Data larger than this is not parsed to find out whether it is JSON: it would take too long at a stretch. */
const PARSED_SIZE_BYTES_MAX = 256 * 1024;

/**
 * Whether the bytes may stand in a line as they are. A newline would break the line, and zeros could look like a sector
 * that was never written; JSON has neither but as white space between tokens.
 */
export function isEmbeddable(data: Uint8Array, format: PayloadFormat): boolean {
  if (
    format === 'bytes' ||
    data.length < 2 ||
    data[0] !== OPEN_BRACE ||
    data[data.length - 1] !== CLOSE_BRACE
  )
    return false;
  // A Buffer's search is several times as fast as an array's.
  const view = viewOf(data);
  if (view.includes(0x0a) || view.includes(0)) return false;
  if (format === 'json') return true;
  if (data.length > PARSED_SIZE_BYTES_MAX || !isUtf8(data)) return false;
  try {
    JSON.parse(view.toString('utf8'));
    return true;
  } catch {
    return false;
  }
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Entries encoded as one file. */
export interface EncodedAppend {
  readonly bytes: Buffer;
  /** Offset of each entry's line. */
  readonly offsets: readonly number[];
  /** Checksum of the last line, which the next one continues. */
  readonly lastChecksum: number;
}

const NO_CHECKSUM = '00000000';

/** A line up to the entry's data. */
function lineStart(entry: Entry, previous: string, announcement: string, embed: boolean): string {
  const { index, term, type } = entry;
  const data = embed ? '"data":' : '"data_base64":"';
  return `${SEAL_PREFIX}${NO_CHECKSUM}","index":${index},"term":${term},"prev":"${previous}",${announcement}"type":"${type}",${data}`;
}

/** Of entry 1 in term 1, without the name of its type. */
const LINE_START_LENGTH =
  lineStart(
    { index: 1 as LogIndex, term: 1 as Term, type: 'normal', data: new Uint8Array() },
    NO_CHECKSUM,
    '',
    true,
  ).length - 'normal'.length;
const BASE64_FIELD_EXTRA = '"data_base64":"'.length - '"data":'.length;

/** Bytes of a line and its newline, without an announcement. Counted, not rendered: that would be half of what encoding costs. */
function lineSize({ index, term, type, data }: Entry, embed: boolean): number {
  const start = LINE_START_LENGTH + digits(index) - 1 + digits(term) - 1 + type.length;
  const rest = embed ? data.length : BASE64_FIELD_EXTRA + Math.ceil(data.length / 3) * 4 + 1;
  return start + rest + 2;
}

function digits(value: number): number {
  let count = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) count++;
  return count;
}

/**
 * Encodes entries as the lines of one file that continues a line with checksum `previousChecksum`, into memory from
 * `allocate`.
 */
export function encodeAppend(
  entries: readonly Entry[],
  previousChecksum: number,
  format: PayloadFormat,
  allocate: (sizeBytes: number) => Buffer = (sizeBytes) => Buffer.allocUnsafe(sizeBytes),
): EncodedAppend {
  const embedded = entries.map(({ data }) => isEmbeddable(data, format));
  const sizeBytes = entries.reduce((sum, entry, at) => sum + lineSize(entry, embedded[at] === true), 0);
  const announcement = announce(entries.length, sizeBytes);
  const bytes = allocate(sizeBytes + announcement.length);
  const offsets: number[] = [];
  let at = 0;
  let previous = previousChecksum;
  entries.forEach((entry, position) => {
    const { data } = entry;
    const embed = embedded[position] === true;
    const start = at;
    offsets.push(start);
    const announced = position === 0 ? announcement : '';
    at += bytes.write(lineStart(entry, hex32(previous), announced, embed), at, 'latin1');
    if (embed) {
      bytes.set(data, at);
      at += data.length;
    } else {
      at += bytes.write(`${viewOf(data).toString('base64')}"`, at, 'latin1');
    }
    bytes[at++] = CLOSE_BRACE;
    previous = checksum(bytes.subarray(start + SEALED_FROM, at));
    putHex32(bytes, start + SEAL_PREFIX.length, previous);
    bytes[at++] = 0x0a;
  });
  if (at !== bytes.length)
    throw new Error(`encoding an append: ${at} bytes written where ${bytes.length} were announced`);
  return { bytes, offsets, lastChecksum: previous };
}

/** The `append` field of a file of that many entries and, without this field, bytes. */
function announce(entries: number, otherBytes: number): string {
  const render = (total: number): string => `"append":{"entries":${entries},"bytes":${total}},`;
  let total = otherBytes;
  for (;;) {
    const text = render(total);
    if (otherBytes + text.length === total) return text;
    total = otherBytes + text.length;
  }
}

/** A line whose checksum is right, taken apart. */
export interface DecodedLine {
  readonly checksum: number;
  readonly index: number;
  readonly term: number;
  readonly previousChecksum: number;
  /** On the first line of a file: what the append was to consist of. */
  readonly append: { readonly entries: number; readonly bytes: number } | undefined;
  readonly type: EntryType;
  readonly dataStart: number;
  readonly dataEnd: number;
  readonly base64: boolean;
}

const INDEX = Buffer.from('"index":', 'latin1');
const TERM = Buffer.from(',"term":', 'latin1');
const PREV = Buffer.from(',"prev":"', 'latin1');
const APPEND = Buffer.from(',"append":{"entries":', 'latin1');
const BYTES = Buffer.from(',"bytes":', 'latin1');
const TYPE = Buffer.from('"type":"', 'latin1');
const DATA = Buffer.from('","data":', 'latin1');
const DATA_BASE64 = Buffer.from('","data_base64":"', 'latin1');
const TYPES: readonly { readonly type: EntryType; readonly bytes: Buffer }[] = (
  ['normal', 'confChangeV2', 'confChange'] as const
).map((type) => ({ type, bytes: Buffer.from(type, 'latin1') }));

/** Reads a line from left to right. Failing sets `at` to -1, and everything after fails too. */
class Cursor {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.bytes = bytes;
    this.at = at;
    this.end = end;
  }

  /** Steps over `token`; false, and no step, where something else stands. */
  accept(token: Uint8Array): boolean {
    if (this.at < 0 || this.at + token.length > this.end) return false;
    for (let offset = 0; offset < token.length; offset++)
      if (this.bytes[this.at + offset] !== token[offset]) return false;
    this.at += token.length;
    return true;
  }

  expect(token: Uint8Array): void {
    if (!this.accept(token)) this.at = -1;
  }

  number(): number {
    const start = this.at;
    let value = 0;
    while (this.at >= 0 && this.at < this.end) {
      const digit = (this.bytes[this.at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      this.at++;
    }
    if (start < 0 || this.at === start || !Number.isSafeInteger(value)) this.at = -1;
    return value;
  }

  hex32(): number {
    let value = 0;
    for (let count = 0; count < 8 && this.at >= 0; count++) {
      const byte = this.bytes[this.at] ?? 0;
      const nibble = byte <= 0x39 ? byte - 0x30 : byte - 0x57;
      if (nibble < 0 || nibble > 15 || (byte > 0x39 && nibble < 10)) this.at = -1;
      else this.at++;
      value = (value << 4) | nibble;
    }
    return value >>> 0;
  }
}

const COMMA = Buffer.from(',', 'latin1');
const QUOTE_COMMA = Buffer.from('",', 'latin1');
const BRACE_COMMA = Buffer.from('},', 'latin1');

/** Takes the line from `start` to `end` (newline excluded) apart; undefined if its checksum or its form is wrong. */
export function decodeLine(bytes: Uint8Array, start: number, end: number): DecodedLine | undefined {
  const crc = verifiedChecksum(bytes, start, end);
  return crc < 0 ? undefined : parseFields(bytes, start, end, crc);
}

function parseFields(bytes: Uint8Array, start: number, end: number, crc: number): DecodedLine | undefined {
  const cursor = new Cursor(bytes, start + SEALED_FROM, end);
  cursor.expect(INDEX);
  const index = cursor.number();
  cursor.expect(TERM);
  const term = cursor.number();
  cursor.expect(PREV);
  const previousChecksum = cursor.hex32();
  let append: DecodedLine['append'];
  if (cursor.at >= 0 && cursor.bytes[cursor.at] === 0x22) {
    cursor.at++;
    append = parseAppend(cursor);
  } else {
    cursor.expect(QUOTE_COMMA);
  }
  cursor.expect(TYPE);
  const type = TYPES.find((candidate) => cursor.accept(candidate.bytes))?.type;
  const base64 = cursor.accept(DATA_BASE64);
  if (!base64) cursor.expect(DATA);
  const dataStart = cursor.at;
  const dataEnd = base64 ? end - 2 : end - 1;
  const closed = bytes[end - 1] === CLOSE_BRACE && (!base64 || bytes[end - 2] === 0x22);
  if (dataStart < 0 || type === undefined || dataEnd < dataStart || !closed) return undefined;
  return { checksum: crc, index, term, previousChecksum, append, type, dataStart, dataEnd, base64 };
}

function parseAppend(cursor: Cursor): DecodedLine['append'] {
  if (!cursor.accept(APPEND)) {
    cursor.expect(COMMA);
    return undefined;
  }
  const entries = cursor.number();
  cursor.expect(BYTES);
  const total = cursor.number();
  cursor.expect(BRACE_COMMA);
  return { entries, bytes: total };
}

/**
 * What the first line announces, without regard to its checksum: for telling a file that was cut short from one that
 * is whole but damaged. Undefined where the bytes do not even get that far.
 */
export function announcedAppend(bytes: Uint8Array): DecodedLine['append'] {
  const cursor = new Cursor(bytes, SEALED_FROM, bytes.length);
  cursor.expect(INDEX);
  cursor.number();
  cursor.expect(TERM);
  cursor.number();
  cursor.expect(PREV);
  cursor.hex32();
  if (cursor.at < 0 || cursor.bytes[cursor.at] !== 0x22) return undefined;
  cursor.at++;
  const append = parseAppend(cursor);
  return cursor.at < 0 ? undefined : append;
}

/** The entry in a decoded line. Its data is a view of `bytes` where it stood there as JSON. */
export function entryOf(bytes: Uint8Array, line: DecodedLine): Entry {
  return {
    index: line.index as LogIndex,
    term: line.term as Term,
    type: line.type,
    data: line.base64
      ? decodeBase64(bytes, line.dataStart, line.dataEnd)
      : plainView(bytes, line.dataStart, line.dataEnd),
  };
}

/** A Uint8Array, never a Buffer, whatever `bytes` is: their `slice` differs, and so does their JSON. */
export function plainView(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start);
}

/** The bytes that the base64 text in `[start, end)` stands for. */
export function decodeBase64(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('latin1');
  const decoded = Buffer.from(text, 'base64');
  return plainView(decoded, 0, decoded.length);
}
