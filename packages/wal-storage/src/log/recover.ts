/** Reading the log's files after a start. The decisions and their labels are in RECOVERY.md. */
import { join } from 'node:path';
import type { Entry } from '@pact-journal/raft-core';
import { WalStorageError, ioError, isWalStorageError } from '../errors.ts';
import type { StorageWarning, WarningHandler } from '../errors.ts';
import type { DirectoryItem, FileSystem } from '../fs/file-system.ts';
import { parseWalFileName, walFileName } from '../layout.ts';
import { TEMPORARY_SUFFIX } from '../meta/replace-file.ts';
import type { Bounds } from '../meta/metadata.ts';
import { Slices } from '../slices.ts';
import { encodeAppend, entryOf } from './line.ts';
import type { DecodedLine, PayloadFormat } from './line.ts';
import { LogIndex } from './log-index.ts';
import { LOG_REPAIR } from './reader.ts';
import { scanFile } from './scan.ts';
import { replaceLogFile } from './writer.ts';

export interface RecoveredLog {
  readonly index: LogIndex;
  /** Checksum of the last line, which the next one continues. */
  readonly lastChecksum: number;
  /** The append that never finished, not yet removed. */
  readonly tornTail: TornTail | undefined;
}

/** A last file that was cut short. */
export interface TornTail {
  readonly file: number;
  readonly reason: string;
  /** Checksum of the line that the file's first line continues. */
  readonly previousChecksum: number;
  /** Whole entries at its beginning. They are kept, though nothing was promised about them. */
  readonly entries: readonly Entry[];
}

/** Names in the log's directory, sorted out. */
export interface LogListing {
  /** Ascending. */
  readonly files: readonly number[];
  readonly temporaries: readonly string[];
  readonly foreign: readonly string[];
}

export function sortOutListing(items: readonly DirectoryItem[]): LogListing {
  const files: number[] = [];
  const temporaries: string[] = [];
  const foreign: string[] = [];
  for (const { name, kind } of items) {
    const index = parseWalFileName(name);
    if (index !== undefined && kind === 'file') files.push(index);
    else if (name.endsWith(TEMPORARY_SUFFIX) && kind === 'file') temporaries.push(name);
    else foreign.push(name);
  }
  return { files: files.sort((a, b) => a - b), temporaries, foreign };
}

/** Files of which every entry is known, from the next file's name, to be compacted. */
export function leftoversBelow(files: readonly number[], compactedIndex: number): readonly number[] {
  return files.filter((_, position) => (files[position + 1] ?? Infinity) <= compactedIndex + 1);
}

/** Grows to the largest file it has seen, and is reused for all. */
export class FileBuffer {
  #bytes = Buffer.allocUnsafeSlow(256 * 1024);

  /** The whole file; valid until the next call. */
  read(fileSystem: FileSystem, path: string): Buffer {
    let size = 0;
    for (;;) {
      size += fileSystem.readSync(path, this.#bytes.subarray(size), size);
      if (size < this.#bytes.length) return this.#bytes.subarray(0, size);
      const grown = Buffer.allocUnsafeSlow(this.#bytes.length * 4);
      this.#bytes.copy(grown, 0, 0, size);
      this.#bytes = grown;
    }
  }
}

export function logDamage(
  code: 'corrupt' | 'hole' | 'overlap',
  message: string,
  at: { readonly path: string; readonly line?: number; readonly index?: number },
): WalStorageError {
  return new WalStorageError(code, message, { ...at, repair: LOG_REPAIR });
}

/**
 * Verifies every line of `files` (ascending) and returns where the entries are. Changes nothing on disk. Fails with
 * `corrupt`, `hole`, `overlap`, `permission` or `io`.
 */
export async function scanLog(
  fileSystem: FileSystem,
  directory: string,
  files: readonly number[],
  bounds: Bounds,
): Promise<RecoveredLog> {
  const index = new LogIndex(bounds.compactedIndex, bounds.compactedTerm);
  const buffer = new FileBuffer();
  const chain: Chain = { checksum: bounds.compactedChecksum, term: bounds.compactedTerm };
  let tornTail: TornTail | undefined;
  const slices = new Slices();
  for (const [position, file] of files.entries()) {
    const path = join(directory, walFileName(file));
    const before = { ...chain };
    checkPlace(index, file, path, bounds, position);
    let bytes: Buffer;
    try {
      bytes = buffer.read(fileSystem, path);
    } catch (error) {
      throw ioError(error, 'reading the log', path);
    }
    const lines: { line: DecodedLine; offset: number }[] = [];
    const verdict = scanFile(bytes, file, (line, offset) => lines.push({ line, offset }));
    if (verdict.kind === 'damaged') {
      throw logDamage('corrupt', `${path}, line ${verdict.line}: ${verdict.reason}`, {
        path,
        line: verdict.line,
        index: file + verdict.line - 1,
      });
    }
    for (const [offset, { line }] of lines.entries()) checkChain(chain, line, offset + 1, path, bounds, file);
    if (verdict.kind === 'whole') {
      index.addFile(file, bytes.length);
      for (const { line, offset } of lines) index.addEntry(offset, line.term);
    } else if (position < files.length - 1 || file <= bounds.compactedIndex) {
      const acknowledged =
        position < files.length - 1 ? 'it is not the last file' : `entry ${file} was compacted already`;
      throw logDamage(
        'corrupt',
        `${path} ${verdict.reason}, and ${acknowledged}, so the append was acknowledged`,
        {
          path,
          line: lines.length + 1,
          index: file + lines.length,
        },
      );
    } else {
      const kept = Buffer.from(bytes);
      const entries = lines.map(({ line }) => entryOf(kept, line));
      tornTail = { file, reason: verdict.reason, previousChecksum: before.checksum, entries };
      Object.assign(chain, before);
    }
    await slices.breathe();
  }
  return { index, lastChecksum: chain.checksum, tornTail };
}

/** What the next line must continue. */
interface Chain {
  checksum: number;
  term: number;
}

/** The file must begin where the one before it ended, and the first one at or before the compaction point. */
function checkPlace(index: LogIndex, file: number, path: string, bounds: Bounds, position: number): void {
  const expected = index.lastIndex + 1;
  if (position === 0 ? file > bounds.compactedIndex + 1 : file > expected) {
    const missing = position === 0 ? bounds.compactedIndex + 1 : expected;
    throw logDamage('hole', `entries ${missing} to ${file - 1} are missing before ${path}`, {
      path,
      index: missing,
    });
  }
  if (position > 0 && file < expected) {
    throw logDamage(
      'overlap',
      `${path} begins with entry ${file}, but the file before it ends with entry ${expected - 1}`,
      {
        path,
        index: file,
      },
    );
  }
}

function checkChain(
  chain: Chain,
  line: DecodedLine,
  lineNumber: number,
  path: string,
  bounds: Bounds,
  file: number,
): void {
  const at = { path, line: lineNumber, index: line.index };
  // Before the compaction point, the first file's predecessor is gone: its chain is checked from that point on.
  const unknown = line.index <= bounds.compactedIndex && lineNumber === 1 && file <= bounds.compactedIndex;
  if (!unknown && line.previousChecksum !== chain.checksum) {
    throw logDamage(
      'corrupt',
      `${path}, line ${lineNumber}: entry ${line.index} does not continue entry ${line.index - 1}, it belongs to another log`,
      at,
    );
  }
  if (!unknown && line.term < chain.term) {
    throw logDamage(
      'corrupt',
      `${path}, line ${lineNumber}: the term goes back from ${chain.term} to ${line.term}`,
      at,
    );
  }
  const known = line.index === bounds.compactedIndex && bounds.compactedChecksum !== 0;
  if (
    line.index === bounds.compactedIndex &&
    (line.term !== bounds.compactedTerm || (known && line.checksum !== bounds.compactedChecksum))
  ) {
    throw logDamage(
      'corrupt',
      `${path}, line ${lineNumber}: entry ${line.index} is not the one that was compacted`,
      at,
    );
  }
  chain.checksum = line.checksum;
  chain.term = line.term;
}

/** Removes a torn tail, keeping its whole entries, and tells the operator. Returns the checksum of the last line. */
export async function dropTornTail(
  fileSystem: FileSystem,
  directory: string,
  recovered: RecoveredLog,
  payload: PayloadFormat,
  warn: WarningHandler,
): Promise<number> {
  const { tornTail, index } = recovered;
  if (tornTail === undefined) return recovered.lastChecksum;
  const path = join(directory, walFileName(tornTail.file));
  let kept = tornTail.entries;
  let lastChecksum = recovered.lastChecksum;
  if (kept.length > 0) {
    const encoded = encodeAppend(kept, tornTail.previousChecksum, payload);
    try {
      await replaceLogFile(fileSystem, directory, tornTail.file, encoded);
      index.addFile(tornTail.file, encoded.bytes.length);
      for (const [position, { term }] of kept.entries()) index.addEntry(encoded.offsets[position] ?? 0, term);
      lastChecksum = encoded.lastChecksum;
    } catch (error) {
      // A full disk must not keep a node from starting, and nothing was promised about these entries.
      if (!isWalStorageError(error, 'diskFull')) throw error;
      await removeFile(fileSystem, directory, walFileName(tornTail.file) + TEMPORARY_SUFFIX);
      kept = [];
    }
  }
  if (kept.length === 0) await removeFile(fileSystem, directory, walFileName(tornTail.file));
  warn(tornTailWarning(path, tornTail, kept.length));
  return lastChecksum;
}

async function removeFile(fileSystem: FileSystem, directory: string, name: string): Promise<void> {
  try {
    await fileSystem.remove(join(directory, name));
    await fileSystem.syncDirectory(directory);
  } catch (error) {
    throw ioError(error, 'removing an append that never finished', join(directory, name));
  }
}

function tornTailWarning(path: string, tornTail: TornTail, kept: number): StorageWarning {
  return {
    code: 'tornTailDropped',
    message: `${path} ${tornTail.reason}: the append was cut short and never acknowledged, ${
      kept === 0 ? 'nothing of it is kept' : `its first ${kept} whole entries are kept`
    }`,
    path,
    index: tornTail.file + kept,
  };
}
