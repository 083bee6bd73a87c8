/** Lines of a file, read in slices: memory is bounded by the longest line. */
import type { OpenFile } from '../fs/file-system.ts';
import { Slices } from '../slices.ts';

const READ_SIZE_BYTES = 256 * 1024;

export interface Line {
  /** Without its newline. Valid until the next one is asked for. */
  readonly bytes: Uint8Array;
  readonly offset: number;
}

/**
 * The complete lines in `[from, to)` of the file; bytes after the last newline are not a line. `onBytes` sees every byte
 * that was read, in order.
 */
export async function* readLines(
  file: OpenFile,
  from: number,
  to: number,
  onBytes?: (bytes: Uint8Array) => void,
): AsyncGenerator<Line> {
  const slices = new Slices();
  let carry: Buffer = Buffer.alloc(0);
  for (let position = from; position < to;) {
    const into = Buffer.allocUnsafe(Math.min(READ_SIZE_BYTES, to - position));
    const count = await file.read(into, position);
    if (count === 0) return;
    const read = into.subarray(0, count);
    onBytes?.(read);
    const base = position - carry.length;
    const bytes = carry.length === 0 ? read : Buffer.concat([carry, read]);
    position += count;
    let start = 0;
    // What was carried over is known to hold no newline.
    for (let end = bytes.indexOf(0x0a, carry.length); end >= 0; end = bytes.indexOf(0x0a, start)) {
      yield { bytes: bytes.subarray(start, end), offset: base + start };
      start = end + 1;
    }
    carry = bytes.subarray(start);
    await slices.breathe();
  }
}
