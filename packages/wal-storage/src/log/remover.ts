/** Removes files of compacted entries a few at a time, between appends. What a crash leaves over, the next start removes. */
import { join } from 'node:path';
import type { WarningHandler } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { walFileName } from '../layout.ts';

/** Removals that are on their way at a time: more would keep the thread pool from the log's syncs. */
const REMOVED_TOGETHER = 2;

/** Removes log files; which of them a crash leaves is anybody's guess. Not durable before the directory is synced. */
export async function removeLogFiles(
  fileSystem: FileSystem,
  directory: string,
  files: readonly number[],
): Promise<void> {
  for (let position = 0; position < files.length; position += REMOVED_TOGETHER) {
    const some = files.slice(position, position + REMOVED_TOGETHER);
    await Promise.all(some.map((file) => fileSystem.remove(join(directory, walFileName(file)))));
  }
}

export class Remover {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #warn: WarningHandler;
  #queue: number[] = [];
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(fileSystem: FileSystem, directory: string, warn: WarningHandler) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#warn = warn;
  }

  add(files: readonly number[]): void {
    if (files.length === 0 || this.#stopped) return;
    this.#queue = this.#queue.concat(files);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async #run(): Promise<void> {
    try {
      for (let position = 0; position < this.#queue.length && !this.#stopped; position += REMOVED_TOGETHER) {
        const some = this.#queue.slice(position, position + REMOVED_TOGETHER);
        await removeLogFiles(this.#fileSystem, this.#directory, some);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `removing log files of compacted entries from ${this.#directory}: ${reason}; the next start tries again`;
      this.#warn({ code: 'leftoverRemoved', message, path: this.#directory });
    }
    this.#queue = [];
  }

  /** Gives up what has not been removed yet. */
  stop(): void {
    this.#stopped = true;
  }

  async idle(): Promise<void> {
    await this.#running;
  }
}
