/** The real disk. */
import { fdatasync, fsync, ftruncate, promises, read, write } from 'node:fs';
import { closeSync, openSync, readSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { systemErrorCode } from '../errors.ts';
import { acquireDirectoryLock } from './directory-lock.ts';
import type { DirectoryItem, DirectoryLock, FileSystem, OpenFile } from './file-system.ts';

/**
 * Writes up to this size go to the page cache on the calling thread: that takes tens of microseconds, and a round through
 * the thread pool costs more than the copy. Larger ones may have to wait for write-back, so they must not block.
 */
const INLINE_WRITE_SIZE_BYTES_MAX = 256 * 1024;

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

function shortWrite(written: number, size: number): Error {
  return Object.assign(new Error(`ENOSPC: wrote ${written} of ${size} bytes`), { code: 'ENOSPC' });
}

class DiskFile implements OpenFile {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  async read(into: Uint8Array, position: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const count = await new Promise<number>((resolve, reject) => {
        read(this.#fd, into, done, into.length - done, position + done, (error, bytes) =>
          error === null ? resolve(bytes) : reject(error),
        );
      });
      if (count === 0) break;
      done += count;
    }
    return done;
  }

  async write(data: Uint8Array, position: number): Promise<void> {
    if (data.length <= INLINE_WRITE_SIZE_BYTES_MAX) {
      this.#writeNow(data, position);
      return;
    }
    let done = 0;
    while (done < data.length) {
      const count = await this.#writeSome(data, done, position + done);
      if (count === 0) throw shortWrite(done, data.length);
      done += count;
    }
  }

  async writeDurably(data: Uint8Array, position: number): Promise<void> {
    if (data.length <= INLINE_WRITE_SIZE_BYTES_MAX) this.#writeNow(data, position);
    else await this.write(data, position);
    await this.sync();
  }

  #writeNow(data: Uint8Array, position: number): void {
    let done = 0;
    while (done < data.length) {
      const count = writeSync(this.#fd, data, done, data.length - done, position + done);
      if (count === 0) throw shortWrite(done, data.length);
      done += count;
    }
  }

  #writeSome(data: Uint8Array, offset: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      write(this.#fd, data, offset, data.length - offset, position, (error, bytes) =>
        error === null ? resolve(bytes) : reject(error),
      );
    });
  }

  /** In the thread pool: where blocks are discarded as they become free, it waits for the disk. */
  empty(): Promise<void> {
    return new Promise((resolve, reject) => {
      ftruncate(this.#fd, 0, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** fdatasync: it makes the size durable too, and spares the write of the timestamps (fdatasync(2)). */
  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (error) => (error === null ? resolve() : reject(error)));
    });
  }

  /** On the calling thread: nothing is left to write, so it takes a microsecond. */
  async close(): Promise<void> {
    closeSync(this.#fd);
  }
}

function openFile(path: string, flags: string): OpenFile {
  return new DiskFile(openSync(path, flags, FILE_MODE));
}

/**
 * The local disk through node:fs. What only changes the page cache and directories in memory (small writes, names) is done
 * on the calling thread: it takes tens of microseconds, a round through the thread pool as much processor time again
 * and two changes of thread. What waits for the disk goes through the pool. Files are created with mode 0600, directories with 0700. */
export class DiskFileSystem implements FileSystem {
  async makeDirectory(path: string): Promise<void> {
    await promises.mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
  }

  async list(path: string): Promise<readonly DirectoryItem[]> {
    const items: DirectoryItem[] = [];
    // In portions, for there may be a million files.
    for await (const item of await promises.opendir(path, { bufferSize: 1024 })) {
      items.push({
        name: item.name,
        kind: item.isFile() ? 'file' : item.isDirectory() ? 'directory' : 'other',
      });
    }
    return items;
  }

  async size(path: string): Promise<number | undefined> {
    try {
      return (await promises.stat(path)).size;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async open(path: string, mode: 'read' | 'create' | 'update'): Promise<OpenFile> {
    if (mode === 'read') return openFile(path, 'r');
    if (mode === 'create') return openFile(path, 'wx+');
    try {
      return openFile(path, 'r+');
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
      return openFile(path, 'wx+');
    }
  }

  readSync(path: string, into: Uint8Array, position: number): number {
    const fd = openSync(path, 'r');
    try {
      // A regular file gives all there is at once (read(2)), so less than was asked for means the end.
      return readSync(fd, into, 0, into.length, position);
    } finally {
      closeSync(fd);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    renameSync(from, to);
  }

  async renameDurably(from: string, to: string): Promise<void> {
    renameSync(from, to);
    await this.syncDirectory(dirname(to));
  }

  async remove(path: string): Promise<void> {
    try {
      await promises.unlink(path);
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    }
  }

  async syncDirectory(path: string): Promise<void> {
    const fd = openSync(path, 'r');
    await new Promise<void>((resolve, reject) => {
      fsync(fd, (error) => {
        closeSync(fd);
        if (error === null) resolve();
        else reject(error);
      });
    });
  }

  lock(directory: string): Promise<DirectoryLock> {
    return acquireDirectoryLock(directory);
  }
}
