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
  /** The beginning of a line that is longer than what has been read so far. */
  let begun: Buffer[] = [];
  let lineOffset = from;
  for (let position = from; position < to;) {
    const into = Buffer.allocUnsafe(Math.min(READ_SIZE_BYTES, to - position));
    const count = await file.read(into, position);
    if (count === 0) return;
    const bytes = into.subarray(0, count);
    onBytes?.(bytes);
    position += count;
    let start = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, start)) {
      const rest = bytes.subarray(start, end);
      const line = begun.length === 0 ? rest : Buffer.concat([...begun, rest]);
      begun = [];
      yield { bytes: line, offset: lineOffset };
      lineOffset += line.length + 1;
      start = end + 1;
    }
    if (start < count) begun.push(bytes.subarray(start));
    await slices.breathe();
  }
}
