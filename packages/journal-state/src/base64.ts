const INVALID = 255;

const VALUE_OF = new Uint8Array(128).fill(INVALID);
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
for (let value = 0; value < ALPHABET.length; value += 1) VALUE_OF[ALPHABET.charCodeAt(value)] = value;

const sextet = (text: string, at: number): number => {
  const code = text.charCodeAt(at);
  return code < 128 ? (VALUE_OF[code] ?? INVALID) : INVALID;
};

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
  if (text.length % 4 !== 0) return undefined;
  const length = base64DecodedLength(text);
  const bytes = new Uint8Array(length);
  const padded = length % 3 !== 0;
  const wholeGroups = padded ? text.length - 4 : text.length;
  let at = 0;
  let seen = 0;
  for (let i = 0; i < wholeGroups; i += 4) {
    const a = sextet(text, i);
    const b = sextet(text, i + 1);
    const c = sextet(text, i + 2);
    const d = sextet(text, i + 3);
    seen |= a | b | c | d;
    bytes[at] = (a << 2) | (b >> 4);
    bytes[at + 1] = (b << 4) | (c >> 2);
    bytes[at + 2] = (c << 6) | d;
    at += 3;
  }
  if (seen > 63) return undefined;
  return !padded || decodeLastGroup(text, wholeGroups, bytes, at) ? bytes : undefined;
}

function decodeLastGroup(text: string, from: number, bytes: Uint8Array, at: number): boolean {
  const a = sextet(text, from);
  const b = sextet(text, from + 1);
  if ((a | b) > 63) return false;
  bytes[at] = (a << 2) | (b >> 4);
  if (text.endsWith('==')) return (b & 15) === 0;
  const c = sextet(text, from + 2);
  if (c > 63) return false;
  bytes[at + 1] = (b << 4) | (c >> 2);
  return (c & 3) === 0;
}

/** Encodes as base64 (RFC 4648 section 4) with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  const parts: string[] = [];
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const rest = bytes.length - i;
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    text += ALPHABET.charAt(group >> 18) + ALPHABET.charAt((group >> 12) & 63);
    text += rest > 1 ? ALPHABET.charAt((group >> 6) & 63) : '=';
    text += rest > 2 ? ALPHABET.charAt(group & 63) : '=';
    if (text.length >= 8192) {
      parts.push(text);
      text = '';
    }
  }
  parts.push(text);
  return parts.join('');
}
