/**
 * Empty files for the next appends, made ready while nobody waits for them. An append writes into one, renames it to its
 * first entry and syncs contents and name side by side, so that it waits for the disk once.
 *
 * Where there are files of compacted entries they are emptied and used again, which spares the file system a file to
 * remove and one to create. There are ready files only while appends follow one another closely; some time after the
 * last of them they are removed, so that a log at rest has none. They have temporary names: what a crash leaves of them
 * is removed by the next start (R26 in RECOVERY.md).
 */
import { join } from 'node:path';
import { ioError } from '../errors.ts';
import type { WalStorageError, WarningHandler } from '../errors.ts';
import type { FileSystem, OpenFile } from '../fs/file-system.ts';
import { walFileName } from '../layout.ts';
import { TEMPORARY_SUFFIX } from '../meta/replace-file.ts';

/** Where there are fewer than the first of these, they are filled up to the second. */
const [READY_MIN, READY_MAX] = [2, 4];

/** Appends with more than this between them do not gain enough. */
const RHYTHM_MS_MAX = 50;
const IDLE_MS = 250;

/** An empty file. */
export interface ReadyFile {
  readonly file: OpenFile;
  /** Its temporary name. */
  readonly path: string;
}

export class ReadyFiles {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #takeOld: () => number | undefined;
  readonly #warn: WarningHandler;
  readonly #ready: ReadyFile[] = [];
  /** What is being made ready or removed, one after the other. Never rejects. */
  #work: Promise<void> = Promise.resolve();
  #created = 0;
  #failure: WalStorageError | undefined;
  #lastMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  /** `takeOld`: names a file of compacted entries that nobody else will touch, or none. */
  constructor(
    fileSystem: FileSystem,
    directory: string,
    takeOld: () => number | undefined,
    warn: WarningHandler,
  ) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#takeOld = takeOld;
    this.#warn = warn;
  }

  /**
   * One of them, now the caller's; undefined where there is none. Throws what making them ready failed with, except for a
   * full disk: that is the append's to report, if it is still full then.
   */
  take(): ReadyFile | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    return this.#ready.shift();
  }

  /**
   * An append has become durable. Nothing is done about it in this turn of the event loop and the next: what happens
   * there, telling others of the append and counting it, is more urgent.
   */
  refill(): void {
    const now = performance.now();
    const inRhythm = now - this.#lastMs <= RHYTHM_MS_MAX;
    this.#lastMs = now;
    if (!inRhythm || this.#ready.length >= READY_MIN) return;
    setImmediate(() => setImmediate(() => void this.#do(() => this.#fill())));
    this.#timer ??= setTimeout(() => this.#expire(), IDLE_MS).unref();
  }

  /**
   * Removes them, not durably: before the directory is synced, one that was emptied can come back under its old name, so
   * the files after it, by which it would be known, must stay until then.
   */
  async clear(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#do(() => this.#removeAll());
  }

  /** Resolves when none are being made ready or removed. */
  idle(): Promise<void> {
    return this.#work;
  }

  #do(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(work);
    return this.#work;
  }

  async #fill(): Promise<void> {
    try {
      while (this.#timer !== undefined && this.#failure === undefined && this.#ready.length < READY_MAX)
        this.#ready.push(await this.#makeReady());
    } catch (error) {
      const failure = ioError(error, 'making files ready for the next appends', this.#directory);
      if (failure.code !== 'diskFull') this.#failure = failure;
    }
  }

  async #makeReady(): Promise<ReadyFile> {
    const old = this.#takeOld();
    if (old !== undefined) return this.#empty(walFileName(old));
    const path = join(this.#directory, `ready-${++this.#created}${TEMPORARY_SUFFIX}`);
    return { file: await this.#fileSystem.open(path, 'create'), path };
  }

  /** It is empty for certain before it gets another name: what was in it must not be found there. */
  async #empty(old: string): Promise<ReadyFile> {
    const path = join(this.#directory, old + TEMPORARY_SUFFIX);
    await this.#fileSystem.rename(join(this.#directory, old), path);
    let file: OpenFile | undefined;
    try {
      file = await this.#fileSystem.open(path, 'update');
      await file.empty();
      await file.sync();
      return { file, path };
    } catch (error) {
      await this.#remove(file, path);
      throw error;
    }
  }

  async #removeAll(): Promise<void> {
    for (const { file, path } of this.#ready.splice(0)) await this.#remove(file, path);
  }

  /** What it fails over has no bearing on what is durable. */
  async #remove(file: OpenFile | undefined, path: string): Promise<void> {
    const outcomes = await Promise.allSettled([file?.close(), this.#fileSystem.remove(path)]);
    for (const outcome of outcomes) {
      if (outcome.status === 'fulfilled') continue;
      const reason = outcome.reason instanceof Error ? outcome.reason.message : String(outcome.reason);
      const message = `removing ${path}, which was ready for an append: ${reason}; the next start tries again`;
      this.#warn({ code: 'leftoverRemoved', message, path });
    }
  }

  #expire(): void {
    this.#timer = undefined;
    const restMs = this.#lastMs + IDLE_MS - performance.now();
    if (restMs > 0) this.#timer = setTimeout(() => this.#expire(), Math.ceil(restMs)).unref();
    else void this.#do(() => this.#removeAll());
  }
}
