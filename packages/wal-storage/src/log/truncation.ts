/** Finishing a truncation that a crash interrupted: what was declared gone is removed before the log is read. */
import { join } from 'node:path';
import type { Entry } from '@pact-journal/raft-core';
import { ioError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { walFileName } from '../layout.ts';
import { encodeAppend, entryOf } from './line.ts';
import type { PayloadFormat } from './line.ts';
import { FileBuffer, logDamage } from './recover.ts';
import { scanFile } from './scan.ts';
import { replaceLogFile } from './writer.ts';

/** Removes entries from `from` on and returns the files that remain. Safe to repeat. */
export async function finishTruncation(
  fileSystem: FileSystem,
  directory: string,
  files: readonly number[],
  from: number,
  payload: PayloadFormat,
): Promise<readonly number[]> {
  try {
    for (const file of files) if (file >= from) await fileSystem.remove(join(directory, walFileName(file)));
    await fileSystem.syncDirectory(directory);
    const remaining = files.filter((file) => file < from);
    const last = remaining.at(-1);
    if (last !== undefined) await cutFile(fileSystem, directory, last, from, payload);
    return remaining;
  } catch (error) {
    throw ioError(error, 'finishing a truncation of the log', directory);
  }
}

async function cutFile(
  fileSystem: FileSystem,
  directory: string,
  file: number,
  from: number,
  payload: PayloadFormat,
): Promise<void> {
  const path = join(directory, walFileName(file));
  const bytes = new FileBuffer().read(fileSystem, path);
  const kept: Entry[] = [];
  let previousChecksum = 0;
  let beyond = false;
  const verdict = scanFile(bytes, file, (line) => {
    if (line.index === file) previousChecksum = line.previousChecksum;
    if (line.index < from) kept.push(entryOf(bytes, line));
    else beyond = true;
  });
  if (!beyond && verdict.kind === 'whole') return;
  if (kept.length < from - file) {
    const line = kept.length + 1;
    const reason = verdict.kind === 'whole' ? 'ends too early' : verdict.reason;
    throw logDamage('corrupt', `${path}, line ${line}: ${reason}`, { path, line, index: file + kept.length });
  }
  await replaceLogFile(fileSystem, directory, file, encodeAppend(kept, previousChecksum, payload));
}
