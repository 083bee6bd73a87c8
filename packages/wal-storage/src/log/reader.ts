/** Reading entries back from their files, synchronously and in bounded slices. */
import { join } from 'node:path';
import type { Entry } from '@pact-journal/raft-core';
import { WalStorageError, ioError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { walFileName } from '../layout.ts';
import { decodeLine, entryOf } from './line.ts';
import type { DecodedLine } from './line.ts';
import type { LogIndex } from './log-index.ts';

/** What to do about a log file that is damaged. The CLI's repair fetches entries from peers, proven by index and term. */
export const LOG_REPAIR: readonly string[] = [
  'fetch the damaged entries from the healthy peers: pact-journal wal repair',
  'remove this node from the group, wipe the directory and let it join again under a new node id',
];

/**
 * Reads entries from `low` on, to the end of the file that holds it, to `high`, or until `sizeBytesMax` bytes have been
 * read; at least one. Every line's checksum is verified. Fails with `corrupt` or `io`.
 */
export function readEntries(
  fileSystem: FileSystem,
  directory: string,
  index: LogIndex,
  low: number,
  high: number,
  sizeBytesMax: number,
): Entry[] {
  const slice = index.locate(low);
  const end = endWithin(index, low, Math.min(high, slice.endIndex), slice.offset, sizeBytesMax);
  const stop = end < slice.endIndex ? index.offset(end) : slice.sizeBytes;
  const path = join(directory, walFileName(slice.file));
  const bytes = readRange(fileSystem, path, slice.offset, stop - slice.offset);
  const entries: Entry[] = [];
  for (let next = low; next < end; next++) {
    const start = index.offset(next) - slice.offset;
    const lineEnd = next + 1 < slice.endIndex ? index.offset(next + 1) - slice.offset - 1 : bytes.length - 1;
    entries.push(entryOf(bytes, decodeAt(bytes, start, lineEnd, path, slice.file, next)));
  }
  return entries;
}

/** How far one can go from `low`, at most to `limit`, without reading more than `budget` bytes; at least one entry. */
function endWithin(index: LogIndex, low: number, limit: number, from: number, budget: number): number {
  let end = low + 1;
  while (end < limit && index.offset(end) - from <= budget) end++;
  return end;
}

function readRange(fileSystem: FileSystem, path: string, offset: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(size);
  try {
    const count = fileSystem.readSync(path, bytes, offset);
    return bytes.subarray(0, count);
  } catch (error) {
    throw ioError(error, 'reading log entries', path);
  }
}

function decodeAt(
  bytes: Buffer,
  start: number,
  end: number,
  path: string,
  file: number,
  index: number,
): DecodedLine {
  const line = end < bytes.length && bytes[end] === 0x0a ? decodeLine(bytes, start, end) : undefined;
  if (line === undefined || line.index !== index) {
    throw new WalStorageError(
      'corrupt',
      `${path}, line ${index - file + 1}: entry ${index} was damaged after it was written`,
      {
        path,
        line: index - file + 1,
        index,
        repair: LOG_REPAIR,
      },
    );
  }
  return line;
}

/** Checksum of an entry's line. */
export function readLineChecksum(
  fileSystem: FileSystem,
  directory: string,
  index: LogIndex,
  at: number,
): number {
  const slice = index.locate(at);
  const path = join(directory, walFileName(slice.file));
  const stop = at + 1 < slice.endIndex ? index.offset(at + 1) : slice.sizeBytes;
  const bytes = readRange(fileSystem, path, slice.offset, stop - slice.offset);
  return decodeAt(bytes, 0, bytes.length - 1, path, slice.file, at).checksum;
}

/** Checksum of the line that precedes the first line of the file that begins with entry `file`, as that line says. */
export function readPreviousChecksum(
  fileSystem: FileSystem,
  directory: string,
  index: LogIndex,
  file: number,
): number {
  const slice = index.locate(file);
  const path = join(directory, walFileName(file));
  const stop = file + 1 < slice.endIndex ? index.offset(file + 1) : slice.sizeBytes;
  const bytes = readRange(fileSystem, path, 0, stop);
  return decodeAt(bytes, 0, bytes.length - 1, path, file, file).previousChecksum;
}
