/** Reading and writing the protobuf wire format in place, for the one path that carries every log entry. */

/** Field types of the wire format that occur here. */
export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
export const FIXED32 = 5;

/** A frame that is no protobuf message, or one with a number of 2^53 or above. Never leaves this package. */
export class MalformedFrame extends Error {
  override readonly name = 'MalformedFrame';
}

/** A cursor over a frame. Every read stays within the present bounds or throws {@link MalformedFrame}. */
export class FrameReader {
  readonly #bytes: Uint8Array;
  #at: number;
  #end: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
  }

  get atEnd(): boolean {
    return this.#at >= this.#end;
  }

  /** An unsigned number below 2^53. */
  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count += 1) {
      if (this.#at >= this.#end) throw new MalformedFrame('a number is cut off');
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 128;
    }
    throw new MalformedFrame('a number is 2^53 or above');
  }

  /** Narrows the bounds to the length-delimited field that starts here; returns the bounds to go back to. */
  enter(): number {
    const length = this.varint();
    if (length > this.#end - this.#at) throw new MalformedFrame('a field is longer than what holds it');
    const outer = this.#end;
    this.#end = this.#at + length;
    return outer;
  }

  /** Where the present bounds end. */
  get end(): number {
    return this.#end;
  }

  /** Goes on behind a field that ended at `end`, however far inside it the cursor still was. */
  leave(end: number, outer: number): void {
    this.#at = end;
    this.#end = outer;
  }

  /** A length-delimited field's bytes: a view, not a copy. */
  bytes(): Uint8Array {
    const length = this.varint();
    if (length > this.#end - this.#at) throw new MalformedFrame('a field is longer than what holds it');
    const start = this.#bytes.byteOffset + this.#at;
    this.#at += length;
    return new Uint8Array(this.#bytes.buffer, start, length);
  }

  skip(wireType: number): void {
    switch (wireType) {
      case VARINT:
        this.#skipVarint();
        return;
      case FIXED64:
        this.#advance(8);
        return;
      case LENGTH_DELIMITED:
        this.#advance(this.varint());
        return;
      case FIXED32:
        this.#advance(4);
        return;
      default:
        throw new MalformedFrame(`a field has the unknown wire type ${wireType}`);
    }
  }

  #skipVarint(): void {
    for (let count = 0; count < 10; count += 1) {
      if (this.#at >= this.#end) throw new MalformedFrame('a number is cut off');
      const byte = this.#bytes[this.#at] ?? 0;
      this.#at += 1;
      if (byte < 0x80) return;
    }
    throw new MalformedFrame('a number is longer than 10 bytes');
  }

  #advance(length: number): void {
    if (length > this.#end - this.#at) throw new MalformedFrame('a field is longer than what holds it');
    this.#at += length;
  }
}

/** Bytes that a number takes on the wire. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

/** Fills a buffer whose size was computed beforehand. */
export class FrameWriter {
  readonly buffer: Buffer;
  #at = 0;

  /** `buffer` has exactly the size that is to be filled. */
  constructor(buffer: Buffer) {
    this.buffer = buffer;
  }

  get position(): number {
    return this.#at;
  }

  varint(value: number): void {
    let rest = value;
    while (rest > 0x7fffffff) {
      this.buffer[this.#at] = (rest % 128) | 0x80;
      this.#at += 1;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      this.buffer[this.#at] = (rest & 0x7f) | 0x80;
      this.#at += 1;
      rest >>>= 7;
    }
    this.buffer[this.#at] = rest;
    this.#at += 1;
  }

  bytes(value: Uint8Array): void {
    this.buffer.set(value, this.#at);
    this.#at += value.length;
  }
}
