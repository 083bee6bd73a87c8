/** Writing log files: a new one for an append, a rewritten one where a suffix was cut off. */
import { join } from 'node:path';
import type { Entry } from '@pact-journal/raft-core';
import { ioError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { walFileName } from '../layout.ts';
import { replaceFile } from '../meta/replace-file.ts';
import type { EncodedAppend } from './line.ts';
import type { ReadyFile } from './ready-files.ts';

/** Appends larger than this are split: to encode a file takes a few milliseconds at most, and to recover it little memory. */
const FILE_SIZE_BYTES_TARGET = 1024 * 1024;

/** Splits an append into what goes to one file each. */
export function* splitAppend(entries: readonly Entry[], entriesPerFile: number): Generator<readonly Entry[]> {
  let from = 0;
  let sizeBytes = 0;
  for (const [position, entry] of entries.entries()) {
    const full = position - from >= entriesPerFile || sizeBytes + entry.data.length > FILE_SIZE_BYTES_TARGET;
    if (position > from && full) {
      yield entries.slice(from, position);
      from = position;
      sizeBytes = 0;
    }
    sizeBytes += entry.data.length;
  }
  if (from < entries.length) yield from === 0 ? entries : entries.slice(from);
}

/**
 * Writes a log file, to `ready` where there is such a file; contents and name are durable when it resolves. The two
 * syncs run side by side: until both are through nothing is acknowledged, and what a crash leaves of either alone is a
 * torn tail.
 */
export async function writeLogFile(
  fileSystem: FileSystem,
  directory: string,
  first: number,
  append: EncodedAppend,
  ready?: ReadyFile,
): Promise<void> {
  const path = join(directory, walFileName(first));
  try {
    const file = ready?.file ?? (await fileSystem.open(path, 'create'));
    try {
      const outcomes = await Promise.allSettled([
        file.writeDurably(append.bytes, 0),
        ready === undefined
          ? fileSystem.syncDirectory(directory)
          : fileSystem.renameDurably(ready.path, path),
      ]);
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    } finally {
      await file.close();
    }
  } catch (error) {
    throw ioError(error, `appending from entry ${first} on`, path);
  }
}

/** Replaces a log file by one with fewer entries; a crash leaves either. Durable when it resolves. */
export async function replaceLogFile(
  fileSystem: FileSystem,
  directory: string,
  first: number,
  append: EncodedAppend,
): Promise<void> {
  try {
    await replaceFile(fileSystem, directory, walFileName(first), [append.bytes]);
  } catch (error) {
    throw ioError(error, `cutting off a suffix after entry ${first}`, join(directory, walFileName(first)));
  }
}
