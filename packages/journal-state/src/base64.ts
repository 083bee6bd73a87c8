import { decodeUtf8, encodeUtf8 } from './canonical.ts';

const INVALID = 255;
const PADDING = 0x3d;

const CODE_OF = encodeUtf8('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const VALUE_OF = new Uint8Array(256).fill(INVALID);
CODE_OF.forEach((code, value) => {
  VALUE_OF[code] = value;
});

/** Length of what `text` would decode to, so that a limit can be checked before decoding. */
export function base64DecodedLength(text: string): number {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  return Math.max(0, Math.floor(text.length / 4) * 3 - padding);
}

/**
 * Decodes base64 (RFC 4648 section 4) strictly: padding required, no white space, unused bits zero. So every byte
 * string has exactly one text, and replicas cannot differ in what they accept. Undefined if `text` is not of that form.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  const codes = encodeUtf8(text);
  if (codes.length % 4 !== 0 || codes.length !== text.length) return undefined;
  const bytes = new Uint8Array(base64DecodedLength(text));
  const padded = bytes.length % 3 !== 0;
  const wholeGroups = padded ? codes.length - 4 : codes.length;
  let at = 0;
  let seen = 0;
  for (let i = 0; i < wholeGroups; i += 4) {
    const a = valueOf(codes, i);
    const b = valueOf(codes, i + 1);
    const c = valueOf(codes, i + 2);
    const d = valueOf(codes, i + 3);
    seen |= a | b | c | d;
    bytes[at] = (a << 2) | (b >> 4);
    bytes[at + 1] = (b << 4) | (c >> 2);
    bytes[at + 2] = (c << 6) | d;
    at += 3;
  }
  if (seen > 63) return undefined;
  return !padded || decodeLastGroup(codes, wholeGroups, bytes, at) ? bytes : undefined;
}

const valueOf = (codes: Uint8Array, at: number): number => VALUE_OF[codes[at] ?? 0] ?? INVALID;

function decodeLastGroup(codes: Uint8Array, from: number, bytes: Uint8Array, at: number): boolean {
  const a = valueOf(codes, from);
  const b = valueOf(codes, from + 1);
  if ((a | b) > 63) return false;
  bytes[at] = (a << 2) | (b >> 4);
  if (codes[from + 2] === PADDING) return (b & 15) === 0;
  const c = valueOf(codes, from + 2);
  if (c > 63) return false;
  bytes[at + 1] = (b << 4) | (c >> 2);
  return (c & 3) === 0;
}

/** Encodes as base64 (RFC 4648 section 4) with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil(bytes.length / 3) * 4).fill(PADDING);
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const rest = bytes.length - i;
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    codes[at] = CODE_OF[group >> 18] ?? 0;
    codes[at + 1] = CODE_OF[(group >> 12) & 63] ?? 0;
    if (rest > 1) codes[at + 2] = CODE_OF[(group >> 6) & 63] ?? 0;
    if (rest > 2) codes[at + 3] = CODE_OF[group & 63] ?? 0;
    at += 4;
  }
  return decodeUtf8(codes);
}
