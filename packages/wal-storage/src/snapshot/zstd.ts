/**
 * zstd with buffers that are used again. Memory outside of V8's heap that comes and goes makes V8 collect the whole of
 * its heap, and with a large journal in it that costs more than all compression.
 */
import binding from 'zstd-napi/binding.js';

/** zstd's own default: the speed is that of a disk, and journal JSON shrinks to a fifth or less. */
const COMPRESSION_LEVEL = 3;
/** What is compressed at a stretch; zstd takes a millisecond or two for it. */
const SLICE_SIZE_BYTES = 256 * 1024;

/** `current` if it is large enough, else a new one with some room to spare. */
export function atLeast(current: Buffer, sizeBytes: number): Buffer {
  return current.length >= sizeBytes ? current : Buffer.allocUnsafeSlow(Math.ceil(sizeBytes * 1.25));
}

export class FrameCompressor {
  readonly #context = new binding.CCtx();
  #output: Buffer = Buffer.alloc(0);

  constructor() {
    this.#context.setParameter(binding.CParameter.compressionLevel, COMPRESSION_LEVEL);
    this.#context.setParameter(binding.CParameter.checksumFlag, 1);
  }

  /** One frame, with size and checksum. Valid until the next call. `breathe` is called between slices. */
  async compress(raw: Uint8Array, breathe: () => Promise<void>): Promise<Uint8Array> {
    this.#context.reset(binding.ResetDirective.sessionOnly);
    this.#context.setPledgedSrcSize(raw.length);
    this.#output = atLeast(this.#output, binding.compressBound(raw.length));
    let size = 0;
    for (let from = 0; ;) {
      const slice = raw.subarray(from, from + SLICE_SIZE_BYTES);
      const isLast = from + slice.length === raw.length;
      const directive = isLast ? binding.EndDirective.end : binding.EndDirective.continue;
      const [toFlush, produced, consumed] = this.#context.compressStream2(
        this.#output.subarray(size),
        slice,
        directive,
      );
      size += produced;
      from += consumed;
      if (from === raw.length && isLast && toFlush === 0) return this.#output.subarray(0, size);
      await breathe();
    }
  }
}

export class FrameDecompressor {
  readonly #context = new binding.DCtx();
  #output: Buffer = Buffer.alloc(0);

  /** The content of a frame, of which the size is known. Valid until the next call. Throws where it is another. */
  decompress(frame: Uint8Array, rawSizeBytes: number): Uint8Array {
    this.#output = atLeast(this.#output, rawSizeBytes);
    const size = this.#context.decompress(this.#output.subarray(0, rawSizeBytes), frame);
    if (size !== rawSizeBytes) throw new Error(`${size} bytes where ${rawSizeBytes} were announced`);
    return this.#output.subarray(0, size);
  }
}
