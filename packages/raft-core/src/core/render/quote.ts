/** Escapes for bytes that have a short one. */
const SHORT: Readonly<Record<number, string>> = {
  7: '\\a',
  8: '\\b',
  9: '\\t',
  10: '\\n',
  11: '\\v',
  12: '\\f',
  13: '\\r',
  34: '\\"',
  92: '\\\\',
};

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S} ]$/u;

/** Bytes as a double-quoted string in Go's syntax: UTF-8 text where it is printable, escapes for everything else. */
export function quoteBytes(bytes: Uint8Array): string {
  let text = '"';
  for (let at = 0; at < bytes.length;) {
    const { codePoint, length } = decodeAt(bytes, at);
    text += codePoint === undefined ? hexByte(bytes[at] ?? 0) : quoteCodePoint(codePoint);
    at += length;
  }
  return `${text}"`;
}

function quoteCodePoint(codePoint: number): string {
  const short = SHORT[codePoint];
  if (short !== undefined) return short;
  if (codePoint < 0x20 || codePoint === 0x7f) return hexByte(codePoint);
  const char = String.fromCodePoint(codePoint);
  if (PRINTABLE.test(char)) return char;
  return codePoint < 0x10000
    ? `\\u${codePoint.toString(16).padStart(4, '0')}`
    : `\\U${codePoint.toString(16).padStart(8, '0')}`;
}

function hexByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** The code point that begins at `at`; none for a byte that is not UTF-8 there (RFC 3629). */
function decodeAt(bytes: Uint8Array, at: number): { codePoint: number | undefined; length: number } {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return { codePoint: first, length: 1 };
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  const invalid = { codePoint: undefined, length: 1 };
  if (first < 0xc2 || first > 0xf4 || at + length > bytes.length) return invalid;
  let codePoint = first & (0x7f >> length);
  for (let i = 1; i < length; i += 1) {
    const next = bytes[at + i] ?? 0;
    if ((next & 0xc0) !== 0x80) return invalid;
    codePoint = codePoint * 64 + (next & 0x3f);
  }
  const smallest = length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000;
  const surrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
  return codePoint < smallest || codePoint > 0x10ffff || surrogate ? invalid : { codePoint, length };
}
