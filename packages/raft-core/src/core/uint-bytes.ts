/** Bytes that one number takes. */
const SIZE = 8;

/** Safe integers from 0, eight bytes each, little-endian: what the core itself puts into a message's context. */
export function encodeUints(...values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * SIZE);
  const view = new DataView(bytes.buffer);
  values.forEach((value, position) => {
    view.setUint32(position * SIZE, value % 0x1_0000_0000, true);
    view.setUint32(position * SIZE + 4, Math.floor(value / 0x1_0000_0000), true);
  });
  return bytes;
}

/** The inverse for exactly `count` numbers; undefined for bytes that are not that. */
export function decodeUints(bytes: Uint8Array, count: number): readonly number[] | undefined {
  if (bytes.length !== count * SIZE) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values: number[] = [];
  for (let at = 0; at < bytes.length; at += SIZE) {
    const value = view.getUint32(at, true) + view.getUint32(at + 4, true) * 0x1_0000_0000;
    if (!Number.isSafeInteger(value)) return undefined;
    values.push(value);
  }
  return values;
}
