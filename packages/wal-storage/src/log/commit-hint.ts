/**
 * `committed.json`: up to where the log was known to be committed. Overwritten in place and never synced, so it may lag
 * or be torn after a crash; both are harmless. It is never ahead of the log, because it is noted after the append.
 */
import { join } from 'node:path';
import type { WarningHandler } from '../errors.ts';
import type { FileSystem, OpenFile } from '../fs/file-system.ts';
import { COMMITTED_FILE } from '../layout.ts';
import { encodeCommitHint } from '../meta/metadata.ts';

export class CommitHint {
  readonly #fileSystem: FileSystem;
  readonly #path: string;
  readonly #warn: WarningHandler;
  #file: OpenFile | undefined;
  #index = 0;
  #term = 0;
  #writtenIndex = 0;
  #writing: Promise<void> | undefined;
  #failed = false;

  constructor(fileSystem: FileSystem, directory: string, warn: WarningHandler) {
    this.#fileSystem = fileSystem;
    this.#path = join(directory, COMMITTED_FILE);
    this.#warn = warn;
  }

  /** The highest index known to be committed. */
  get index(): number {
    return this.#index;
  }

  recovered(index: number): void {
    this.#index = index;
    this.#writtenIndex = index;
  }

  /** Writes soon; of many notes in a row only the last. */
  note(index: number, term: number): void {
    if (index <= this.#index) return;
    this.#index = index;
    this.#term = term;
    this.#schedule();
  }

  /** After a snapshot was installed: everything up to it is committed. */
  reset(index: number, term: number): void {
    this.#index = index;
    this.#term = term;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#writing !== undefined || this.#failed) return;
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  async #write(): Promise<void> {
    try {
      while (this.#writtenIndex !== this.#index) {
        const index = this.#index;
        this.#file ??= await this.#fileSystem.open(this.#path, 'update');
        await this.#file.write(encodeCommitHint(index, this.#term), 0);
        this.#writtenIndex = index;
      }
    } catch (error) {
      this.#failed = true;
      const reason = error instanceof Error ? error.message : String(error);
      this.#warn({
        code: 'commitHintNotWritten',
        message: `writing ${this.#path}: ${reason}; nothing is lost, a restart finds out what is committed from the peers`,
        path: this.#path,
      });
    }
  }

  async idle(): Promise<void> {
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.#writing;
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}
