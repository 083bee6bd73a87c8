/**
 * The file that the next append goes to, made ready while nobody waits for it: to make a new name durable takes as long
 * as to make an entry durable. Where there is a file of compacted entries, it is emptied and renamed, which spares the
 * file system a file to remove and one to create.
 *
 * It is empty, and only while appends follow one another closely; some time after the last of them it is
 * removed, so that a log at rest has no empty file. It appears only when the append before it is durable. So a crash
 * leaves at most an empty last file behind a whole one (R16 in RECOVERY.md), and a file that was cut short although
 * another one follows is still damage (R18).
 */
import { join } from 'node:path';
import { ioError } from '../errors.ts';
import type { WalStorageError } from '../errors.ts';
import type { FileSystem, OpenFile } from '../fs/file-system.ts';
import { walFileName } from '../layout.ts';
import { TEMPORARY_SUFFIX } from '../meta/replace-file.ts';

/** Appends with more than this between them do not gain enough. */
const RHYTHM_MS_MAX = 50;
const IDLE_MS = 250;

/** A file to write to. */
export interface NewFile {
  readonly file: OpenFile;
  /** Resolves when its name is durable. */
  readonly named: Promise<void>;
}

interface Spare extends NewFile {
  readonly first: number;
}

/** Creates a file and starts to make its name durable. */
export async function createFile(fileSystem: FileSystem, directory: string, name: string): Promise<NewFile> {
  const file = await fileSystem.open(join(directory, name), 'create');
  const named = fileSystem.syncDirectory(directory);
  // Whoever writes to the file waits for it too; until then nobody does.
  named.catch(() => undefined);
  return { file, named };
}

/**
 * Empties a file that is not needed any more and gives it another name. It gets that name when it is empty for certain:
 * what was in it must not be found there.
 */
async function reuseFile(
  fileSystem: FileSystem,
  directory: string,
  old: string,
  name: string,
): Promise<NewFile> {
  const temporary = join(directory, old + TEMPORARY_SUFFIX);
  await fileSystem.rename(join(directory, old), temporary);
  const file = await fileSystem.open(temporary, 'update');
  try {
    await file.empty();
    await file.sync();
    await fileSystem.rename(temporary, join(directory, name));
  } catch (error) {
    await file.close();
    throw error;
  }
  const named = fileSystem.syncDirectory(directory);
  named.catch(() => undefined);
  return { file, named };
}

export class SpareFile {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #takeOld: () => number | undefined;
  /** What is being prepared or removed, one after the other. Never rejects. */
  #work: Promise<void> = Promise.resolve();
  #underWay = 0;
  /** The entry whose file is to be prepared soon. */
  #next: number | undefined;
  #turn: NodeJS.Immediate | undefined;
  #spare: Spare | undefined;
  #failure: WalStorageError | undefined;
  #lastMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  /** `takeOld`: names a file of compacted entries that nobody else will touch, or none. */
  constructor(fileSystem: FileSystem, directory: string, takeOld: () => number | undefined) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#takeOld = takeOld;
  }

  /**
   * An append has become durable, and the next one will begin with entry `first`. Nothing is done about it in this turn of
   * the event loop and the next: what happens there, telling others of the append and counting it, is more urgent.
   */
  prepare(first: number): void {
    const now = performance.now();
    const inRhythm = now - this.#lastMs <= RHYTHM_MS_MAX;
    this.#lastMs = now;
    if (!inRhythm) return;
    this.#next = first;
    this.#turn = setImmediate(() => {
      this.#turn = setImmediate(() => this.#begin());
    });
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#expire(), IDLE_MS).unref();
  }

  #begin(): void {
    const first = this.#takeNext();
    if (first !== undefined) this.#do(() => this.#create(first));
  }

  /** Takes back what is to be done soon: the entry whose file was to be prepared. */
  #takeNext(): number | undefined {
    const first = this.#next;
    this.#next = undefined;
    clearImmediate(this.#turn);
    return first;
  }

  #do(work: () => Promise<void>): void {
    this.#underWay++;
    this.#work = this.#work.then(work).then(() => {
      this.#underWay--;
    });
  }

  /** Nothing is being prepared or removed: `take` may be called. */
  get isSettled(): boolean {
    return this.#next === undefined && this.#underWay === 0;
  }

  async settled(): Promise<void> {
    this.#begin();
    await this.#work;
  }

  /**
   * The file for an append that begins with `first`, now the caller's; undefined where there is none. Throws what the
   * append would have failed with that had created it.
   */
  take(first: number): NewFile | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const spare = this.#spare;
    if (spare === undefined) return undefined;
    if (spare.first !== first)
      throw new Error(`the file for entry ${spare.first} was left, ${first} comes next`);
    this.#spare = undefined;
    return spare;
  }

  /** Removes it, durably. To be called before `prepare` may name another entry. */
  async discard(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#takeNext();
    this.#do(() => this.#remove());
    await this.#work;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #create(first: number): Promise<void> {
    if (this.#failure !== undefined || this.#spare !== undefined) return;
    try {
      this.#spare = { first, ...(await this.#newFile(walFileName(first))) };
    } catch (error) {
      const failure = this.#failed(error, 'creating', first);
      // A full disk is the append's to report, if it is still full then.
      if (failure.code !== 'diskFull') this.#failure = failure;
    }
  }

  #newFile(name: string): Promise<NewFile> {
    const old = this.#takeOld();
    return old === undefined
      ? createFile(this.#fileSystem, this.#directory, name)
      : reuseFile(this.#fileSystem, this.#directory, walFileName(old), name);
  }

  async #remove(): Promise<void> {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare === undefined) return;
    try {
      await spare.named;
      await spare.file.close();
      await this.#fileSystem.remove(join(this.#directory, walFileName(spare.first)));
      // Left to chance, it could come back among files of other entries.
      await this.#fileSystem.syncDirectory(this.#directory);
    } catch (error) {
      this.#failure = this.#failed(error, 'removing', spare.first);
    }
  }

  #failed(error: unknown, doing: string, first: number): WalStorageError {
    return ioError(error, `${doing} the file of entry ${first}`, join(this.#directory, walFileName(first)));
  }

  #expire(): void {
    this.#timer = undefined;
    const restMs = this.#lastMs + IDLE_MS - performance.now();
    if (restMs > 0) this.#timer = setTimeout(() => this.#expire(), Math.ceil(restMs)).unref();
    else this.#do(() => this.#remove());
  }
}
