/** CRC32C over bytes, and the checksummed one-line JSON documents that all metadata files consist of. */
import { crc32c } from '@node-rs/crc32';

const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

/** Eight lower-case hex digits. */
export function hex32(value: number): string {
  const byte = (shift: number): string => HEX[(value >>> shift) & 0xff] ?? '';
  return byte(24) + byte(16) + byte(8) + byte(0);
}

/** Writes eight lower-case hex digits. */
export function putHex32(bytes: Uint8Array, at: number, value: number): void {
  for (let position = 0; position < 8; position++) {
    const nibble = (value >>> (28 - 4 * position)) & 0xf;
    bytes[at + position] = nibble < 10 ? 0x30 + nibble : 0x57 + nibble;
  }
}

/** CRC32C (Castagnoli) of `bytes`; `seed` continues an earlier one. */
export function checksum(bytes: Uint8Array, seed = 0): number {
  return bytes.length === 0 ? seed : crc32c(bytes, seed);
}

/** Every checksummed line starts `{"crc32c":"xxxxxxxx",`; the checksum is of all bytes after that, up to the newline. */
export const SEAL_PREFIX = '{"crc32c":"';
/** Offset of the first byte that a line's checksum covers. */
export const SEALED_FROM = SEAL_PREFIX.length + 8 + 2;

const PREFIX_BYTES = Buffer.from(SEAL_PREFIX, 'latin1');
const QUOTE = 0x22;
const COMMA = 0x2c;

/** Value of a lower-case hex digit, or -1. Upper case is refused: it could only come from a flipped bit. */
function digit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  if (byte >= 0x61 && byte <= 0x66) return byte - 0x57;
  return -1;
}

/** The checksum that a line from `start` to `end` (newline excluded) claims, or -1 if it does not start like one. */
export function claimedChecksum(bytes: Uint8Array, start: number, end: number): number {
  if (end - start <= SEALED_FROM) return -1;
  for (let at = 0; at < PREFIX_BYTES.length; at++) if (bytes[start + at] !== PREFIX_BYTES[at]) return -1;
  const from = start + PREFIX_BYTES.length;
  if (bytes[from + 8] !== QUOTE || bytes[from + 9] !== COMMA) return -1;
  let value = 0;
  for (let at = 0; at < 8; at++) {
    const nibble = digit(bytes[from + at] ?? 0);
    if (nibble < 0) return -1;
    value = (value << 4) | nibble;
  }
  return value >>> 0;
}

/** Like {@link claimedChecksum}, but -1 also where the claim is false. */
export function verifiedChecksum(bytes: Uint8Array, start: number, end: number): number {
  const claimed = claimedChecksum(bytes, start, end);
  return claimed >= 0 && checksum(bytes.subarray(start + SEALED_FROM, end)) === claimed ? claimed : -1;
}

export type JsonObject = Readonly<Record<string, unknown>>;

/** One line: the object's JSON with its checksum in front, and a newline. */
export function sealDocument(fields: JsonObject): Buffer {
  const body = Buffer.from(`${JSON.stringify(fields).slice(1)}\n`, 'utf8');
  const crc = hex32(checksum(body.subarray(0, body.length - 1)));
  return Buffer.concat([Buffer.from(`${SEAL_PREFIX}${crc}",`, 'latin1'), body]);
}

/** The object in a line from `start` to `end` (newline excluded), or undefined if a byte of it is wrong. */
export function parseSealedLine(bytes: Uint8Array, start: number, end: number): JsonObject | undefined {
  if (verifiedChecksum(bytes, start, end) < 0) return undefined;
  try {
    const value: unknown = JSON.parse(
      Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8'),
    );
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** The object in a file that consists of one sealed line, or undefined if a byte of it is wrong. */
export function openDocument(bytes: Uint8Array): JsonObject | undefined {
  const end = bytes.indexOf(0x0a);
  return end !== bytes.length - 1 ? undefined : parseSealedLine(bytes, 0, end);
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A safe integer from 0, or undefined. */
export function naturalField(document: JsonObject, field: string): number | undefined {
  const value = document[field];
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

export function stringField(document: JsonObject, field: string): string | undefined {
  const value = document[field];
  return typeof value === 'string' ? value : undefined;
}
