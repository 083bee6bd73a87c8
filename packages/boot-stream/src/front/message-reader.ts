import { BootStreamError } from '../errors.ts';
import { FRAME_PREFIX_BYTES } from '../wire/protobuf.ts';
import { tooLarge } from './request.ts';

const NOTHING = Buffer.alloc(0);

/** Finds the messages in a stream of frames, wherever the pieces that it comes in are cut. */
export class MessageReader {
  readonly #sizeBytesMax: number;
  #first: Buffer = NOTHING;
  /** What came after `#first` and is not joined with it yet. */
  #later: Buffer[] = [];
  #sizeBytes = 0;
  /** With fewer bytes than these there is nothing to be found. */
  #neededBytes = FRAME_PREFIX_BYTES;

  constructor(sizeBytesMax: number) {
    this.#sizeBytesMax = sizeBytesMax;
  }

  /** Bytes that were pushed and not taken as a message yet. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  push(piece: Buffer): void {
    if (this.#sizeBytes === 0) this.#first = piece;
    else this.#later.push(piece);
    this.#sizeBytes += piece.length;
  }

  /**
   * The next whole message, which shares memory with what was pushed; undefined where there is none yet. Throws where the
   * message that comes next is larger than allowed or compressed, as soon as that can be seen.
   */
  next(): Buffer | undefined {
    if (this.#sizeBytes < this.#neededBytes) return undefined;
    const joined = this.#join();
    if (joined[0] !== 0)
      throw new BootStreamError('unsupported', 'a message is compressed: this method takes identity only');
    const messageBytes = joined.readUInt32BE(1);
    if (messageBytes > this.#sizeBytesMax) throw tooLarge(this.#sizeBytesMax);
    const end = FRAME_PREFIX_BYTES + messageBytes;
    if (joined.length < end) {
      this.#neededBytes = end;
      return undefined;
    }
    this.#neededBytes = FRAME_PREFIX_BYTES;
    this.#first = joined.subarray(end);
    this.#sizeBytes -= end;
    return joined.subarray(FRAME_PREFIX_BYTES, end);
  }

  /** Throws where what was pushed ends within a message. */
  end(): void {
    if (this.#sizeBytes > 0) throw new BootStreamError('internal', 'the last message is cut off');
  }

  #join(): Buffer {
    if (this.#later.length === 0) return this.#first;
    this.#first = Buffer.concat([this.#first, ...this.#later], this.#sizeBytes);
    this.#later = [];
    return this.#first;
  }
}
