/** One spooled write as a line: its CRC-32 in hex, a space, and JSON. */
import { crc32 } from 'node:zlib';
import { parseNewEntry, parseNewOperation } from '@pact-journal/journal-state';
import type { NewAdminOperation, NewConfigEntry } from '@pact-journal/journal-state';

export type SpooledWrite =
  | { readonly kind: 'entry'; readonly value: NewConfigEntry }
  | { readonly kind: 'operation'; readonly value: NewAdminOperation };

/** Numbered from 0 for as long as the spool exists: the number makes the request id. */
export interface SpoolRecord {
  readonly number: number;
  readonly write: SpooledWrite;
}

const NEWLINE = 0x0a;
const CRC_LENGTH = 8;

export function encodeRecord({ number, write }: SpoolRecord): Buffer {
  const json = JSON.stringify({ number, kind: write.kind, value: write.value });
  return Buffer.from(`${crc32(json).toString(16).padStart(CRC_LENGTH, '0')} ${json}\n`);
}

/** Undefined where the line is not one that {@link encodeRecord} made. */
export function decodeRecord(line: string): SpoolRecord | undefined {
  const json = line.slice(CRC_LENGTH + 1);
  if (line[CRC_LENGTH] !== ' ' || Number.parseInt(line.slice(0, CRC_LENGTH), 16) !== crc32(json))
    return undefined;
  const parsed: unknown = JSON.parse(json);
  if (!isRecord(parsed) || !Number.isSafeInteger(parsed.number)) return undefined;
  switch (parsed.kind) {
    case 'entry':
      return { number: parsed.number, write: { kind: 'entry', value: parseNewEntry(parsed.value, 'entry') } };
    case 'operation':
      return { number: parsed.number, write: { kind: 'operation', value: parseNewOperation(parsed.value) } };
    default:
      return undefined;
  }
}

function isRecord(
  value: unknown,
): value is { readonly number: number; readonly kind: string; readonly value: unknown } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'number' in value &&
    typeof value.number === 'number' &&
    'kind' in value &&
    'value' in value
  );
}

/** What a stretch of a segment contains. */
export interface DecodedLines {
  readonly records: readonly SpoolRecord[];
  /** Whole lines that are damaged. */
  readonly damagedLines: number;
  /** Bytes up to and including the last newline; what follows was cut off while it was written. */
  readonly wholeBytes: number;
}

export function decodeLines(bytes: Buffer): DecodedLines {
  const records: SpoolRecord[] = [];
  let damagedLines = 0;
  let start = 0;
  for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
    const record = decodeRecord(bytes.toString('utf8', start, end));
    if (record === undefined) damagedLines += 1;
    else records.push(record);
    start = end + 1;
  }
  return { records, damagedLines, wholeBytes: start };
}
