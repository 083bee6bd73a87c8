/** Writing a whole log anew beside a damaged one, and putting it in its place. */
import { join } from 'node:path';
import type { Entry } from '@pact-journal/raft-core';
import { WalStorageError, ioError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { walFileName } from '../layout.ts';
import type { Layout } from '../layout.ts';
import { encodeAppend } from '../log/line.ts';
import { FileBuffer } from '../log/recover.ts';
import { writeLogFile } from '../log/writer.ts';
import { writeBounds } from '../meta/metadata.ts';
import type { Bounds } from '../meta/metadata.ts';
import { Slices } from '../slices.ts';
import { salvageEntries } from './survey.ts';
import type { Survey } from './verify.ts';

/** A rebuilt file holds so many entries. */
const ENTRIES_PER_FILE = 512;
const REBUILT = 'wal.repaired';

/** Intact entries of the damaged log, one file in memory at a time. */
export class LocalEntries {
  readonly #fileSystem: FileSystem;
  readonly #layout: Layout;
  readonly #found: Survey;
  readonly #buffer = new FileBuffer();
  #loaded: { readonly file: number; readonly entries: ReadonlyMap<number, Entry> } | undefined;
  #position = 0;

  constructor(fileSystem: FileSystem, layout: Layout, found: Survey) {
    this.#fileSystem = fileSystem;
    this.#layout = layout;
    this.#found = found;
  }

  /** The entry, if an intact and trusted file holds it. Asked for in ascending order. */
  get(index: number): Entry | undefined {
    const { files, suspects } = this.#found;
    for (; this.#position < files.length; this.#position++) {
      const survey = files[this.#position];
      if (survey === undefined || survey.file > index) return undefined;
      if (!suspects.has(survey.file) && survey.intact.some(({ from, to }) => from <= index && index <= to)) {
        return this.#load(survey.file).get(index);
      }
      if ((files[this.#position + 1]?.file ?? Infinity) > index) return undefined;
    }
    return undefined;
  }

  #load(file: number): ReadonlyMap<number, Entry> {
    if (this.#loaded?.file !== file) {
      const bytes = Buffer.from(
        this.#buffer.read(this.#fileSystem, join(this.#layout.wal, walFileName(file))),
      );
      this.#loaded = { file, entries: salvageEntries(bytes, file) };
    }
    return this.#loaded.entries;
  }
}

export interface RebuildPlan {
  /** Where the log begins. */
  readonly start: Bounds;
  /** A truncation that was begun in the damaged log. */
  readonly truncateFrom: number | undefined;
  /** The last entry that the log had. */
  readonly last: number;
  readonly fetched: ReadonlyMap<number, Entry>;
  readonly local: LocalEntries;
}

/** Writes the log and swaps it in. A crash leaves the old log or the new one, or a swap that {@link finishSwap} ends. */
export async function rebuildLog(
  fileSystem: FileSystem,
  layout: Layout,
  plan: RebuildPlan,
): Promise<{ readonly droppedFrom: number | undefined; readonly damagedLogPath: string }> {
  const directory = join(layout.raft, REBUILT);
  try {
    await emptyDirectory(fileSystem, directory);
    const droppedFrom = await writeLog(fileSystem, directory, plan);
    await fileSystem.syncDirectory(directory);
    // A truncation that was begun stays declared until the log that it was begun in is out of the way.
    await writeBounds(fileSystem, layout.raft, { ...plan.start, truncateFrom: plan.truncateFrom });
    const damagedLogPath = await nameForDamaged(fileSystem, layout);
    await fileSystem.rename(layout.wal, damagedLogPath);
    await fileSystem.rename(directory, layout.wal);
    await fileSystem.syncDirectory(layout.raft);
    await writeBounds(fileSystem, layout.raft, plan.start);
    return { droppedFrom, damagedLogPath };
  } catch (error) {
    throw ioError(error, 'writing the repaired log', directory);
  }
}

async function emptyDirectory(fileSystem: FileSystem, directory: string): Promise<void> {
  await fileSystem.makeDirectory(directory);
  for (const { name } of await fileSystem.list(directory)) await fileSystem.remove(join(directory, name));
}

/** The first entry, if any, after which nothing was written because it cannot have been committed. */
async function writeLog(
  fileSystem: FileSystem,
  directory: string,
  plan: RebuildPlan,
): Promise<number | undefined> {
  const { start, last, fetched, local } = plan;
  const slices = new Slices();
  let checksum = start.compactedChecksum;
  let term = start.compactedTerm;
  /** Term of the last entry that is known to be committed. */
  let provenTerm = start.compactedTerm;
  let part: Entry[] = [];
  const flush = async (): Promise<void> => {
    const first = part[0];
    if (first === undefined) return;
    const encoded = encodeAppend(part, checksum, 'auto');
    await writeLogFile(fileSystem, directory, first.index, encoded);
    checksum = encoded.lastChecksum;
    part = [];
    await slices.breathe();
  };
  for (let index = start.compactedIndex + 1; index <= last; index++) {
    const entry = fetched.get(index) ?? local.get(index);
    if (entry === undefined) {
      throw new WalStorageError(
        'corrupt',
        `writing the repaired log: entry ${index} is neither here nor fetched`,
        { index },
      );
    }
    if (fetched.has(index)) provenTerm = entry.term;
    if (entry.term < term) {
      await flush();
      // A committed entry of a later term stands before it, so this one belongs to a suffix that the group has replaced.
      if (entry.term < provenTerm) return index;
      throw new WalStorageError(
        'unproven',
        `writing the repaired log: the term goes back from ${term} to ${entry.term} at entry ${index}, and which of them is right is not known`,
        { index },
      );
    }
    term = entry.term;
    part.push(entry);
    if (part.length === ENTRIES_PER_FILE) await flush();
  }
  await flush();
  return undefined;
}

async function nameForDamaged(fileSystem: FileSystem, layout: Layout): Promise<string> {
  const taken = new Set((await fileSystem.list(layout.raft)).map((item) => item.name));
  let number = 1;
  while (taken.has(`wal.damaged-${number}`)) number++;
  return join(layout.raft, `wal.damaged-${number}`);
}

/** If a repair was interrupted after it took the damaged log away, puts the repaired one in its place. */
export async function finishSwap(fileSystem: FileSystem, layout: Layout): Promise<void> {
  const names = new Set((await fileSystem.list(layout.raft)).map((item) => item.name));
  if (names.has('wal') || !names.has(REBUILT)) return;
  await fileSystem.rename(join(layout.raft, REBUILT), layout.wal);
  await fileSystem.syncDirectory(layout.raft);
}
