/**
 * Just enough protobuf writing for the messages of a boot, straight into a gRPC frame: the generated encoders build
 * each message in memory of its own first, and a boot storm pays for every copy.
 */

/** gRPC's length prefix: one byte of flags (0: not compressed), four of length. */
export const FRAME_PREFIX_BYTES = 5;

const VARINT = 0;
const LENGTH_DELIMITED = 2;

export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
  return size;
}

/** Size of a field with a number below 16. Zero and empty values are left out, as proto3 does. */
export function uintFieldSize(value: number): number {
  return value === 0 ? 0 : 1 + varintSize(value);
}

export function bytesFieldSize(sizeBytes: number): number {
  return sizeBytes === 0 ? 0 : messageFieldSize(sizeBytes);
}

/** Of a nested message, which is written even when empty. */
export function messageFieldSize(sizeBytes: number): number {
  return 1 + varintSize(sizeBytes) + sizeBytes;
}

/** Writes fields one after another; the caller has reckoned the size. */
export class FieldWriter {
  readonly #buffer: Buffer;
  #offset: number;

  constructor(buffer: Buffer, offset = 0) {
    this.#buffer = buffer;
    this.#offset = offset;
  }

  get offset(): number {
    return this.#offset;
  }

  framePrefix(messageSizeBytes: number): void {
    this.#buffer[this.#offset] = 0;
    this.#buffer.writeUInt32BE(messageSizeBytes, this.#offset + 1);
    this.#offset += FRAME_PREFIX_BYTES;
  }

  uint(field: number, value: number): void {
    if (value === 0) return;
    this.#tag(field, VARINT);
    this.#varint(value);
  }

  string(field: number, value: string, sizeBytes: number): void {
    if (sizeBytes === 0) return;
    this.open(field, sizeBytes);
    this.#buffer.write(value, this.#offset, sizeBytes, 'utf8');
    this.#offset += sizeBytes;
  }

  bytes(field: number, value: Uint8Array): void {
    if (value.byteLength === 0) return;
    this.open(field, value.byteLength);
    this.#buffer.set(value, this.#offset);
    this.#offset += value.byteLength;
  }

  /** Begins a length-delimited field whose content the caller writes next. */
  open(field: number, sizeBytes: number): void {
    this.#tag(field, LENGTH_DELIMITED);
    this.#varint(sizeBytes);
  }

  #tag(field: number, wireType: number): void {
    this.#buffer[this.#offset++] = (field << 3) | wireType;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#offset++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#offset++] = rest;
  }
}
