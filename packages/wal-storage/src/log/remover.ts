/**
 * Files of compacted entries: some are kept in reserve, to be used again for new entries, the others are removed a few
 * at a time, between appends. What a crash leaves over of either, the next start removes.
 */
import { join } from 'node:path';
import type { WarningHandler } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { walFileName } from '../layout.ts';
import type { CompactedFile } from './log-index.ts';

/** Removals that are on their way at a time: more would keep the thread pool from the log's syncs. */
const REMOVED_TOGETHER = 2;

/** What the reserve may take up on disk. Compaction gives up thousands of files at once, which take long to come back. */
const RESERVE_SIZE_BYTES_MAX = 32 * 1024 * 1024;

/** However little is in a file, it takes up a block. */
const BLOCK_SIZE_BYTES = 4096;

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
  /** Oldest first: a file that is left over is recognised by the one after it. */
  readonly #reserve: CompactedFile[] = [];
  #reserveSizeBytes = 0;
  #running: Promise<void> | undefined;
  #stopped = false;

  constructor(fileSystem: FileSystem, directory: string, warn: WarningHandler) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#warn = warn;
  }

  add(files: readonly CompactedFile[]): void {
    if (this.#stopped) return;
    for (const file of files) {
      this.#reserve.push(file);
      this.#reserveSizeBytes += sizeOnDisk(file);
    }
    this.#removeBeyond(RESERVE_SIZE_BYTES_MAX);
  }

  /** The oldest file of the reserve, now the caller's; undefined where there is none that may be had. */
  take(): number | undefined {
    // The last one stays: emptied and with none after it, it would look like one that was damaged.
    return this.#reserve.length > 1 ? this.#shift() : undefined;
  }

  /** Removes the reserve too. */
  async removeAll(): Promise<void> {
    await this.idle();
    this.#removeBeyond(0);
    await this.idle();
  }

  #shift(): number | undefined {
    const oldest = this.#reserve.shift();
    if (oldest !== undefined) this.#reserveSizeBytes -= sizeOnDisk(oldest);
    return oldest?.file;
  }

  /** The last one stays here too, however large it is, unless all are to go. */
  #isBeyond(sizeBytes: number): boolean {
    return this.#reserveSizeBytes > sizeBytes && (this.#reserve.length > 1 || sizeBytes === 0);
  }

  #removeBeyond(sizeBytes: number): void {
    if (!this.#isBeyond(sizeBytes)) return;
    this.#running ??= this.#run(sizeBytes).finally(() => {
      this.#running = undefined;
    });
  }

  async #run(sizeBytes: number): Promise<void> {
    try {
      while (this.#isBeyond(sizeBytes) && !this.#stopped) {
        const some: number[] = [];
        while (some.length < REMOVED_TOGETHER && this.#isBeyond(sizeBytes)) some.push(this.#shift() ?? 0);
        await removeLogFiles(this.#fileSystem, this.#directory, some);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const message = `removing log files of compacted entries from ${this.#directory}: ${reason}; the next start tries again`;
      this.#warn({ code: 'leftoverRemoved', message, path: this.#directory });
    }
  }

  /**
   * Removes the reserve; where that is not allowed, or it is behind with removing, it gives up: the next start removes what
   * is left.
   */
  async stop(mayRemove: boolean): Promise<void> {
    if (mayRemove && this.#running === undefined) await this.removeAll();
    this.#stopped = true;
    await this.idle();
  }

  async idle(): Promise<void> {
    await this.#running;
  }
}

function sizeOnDisk({ sizeBytes }: CompactedFile): number {
  return Math.max(BLOCK_SIZE_BYTES, sizeBytes);
}
