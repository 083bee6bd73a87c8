/** Objects as files in a directory: NFS, or any other disk than the one that fails. */
import { randomUUID } from 'node:crypto';
import { constants, type Dirent } from 'node:fs';
import { link, lstat, mkdir, open, readdir, rename, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { syncDirectory } from '../../directories.ts';
import { BackupError, type BackupErrorCode } from '../errors.ts';
import { assertKey, isKey, type ByteSource, type ObjectInfo, type ObjectStore } from './object-store.ts';

const WRITE_SIZE_BYTES = 1024 * 1024;
/** Files that are being written. No key begins with a dot, so no listing shows them. */
const TEMPORARY_PREFIX = '.tmp-';

const MEANING: Readonly<Record<string, BackupErrorCode>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EFBIG: 'full',
  EACCES: 'denied',
  EPERM: 'denied',
  EROFS: 'denied',
  ENOENT: 'notFound',
  EEXIST: 'exists',
  /** A link where a file belongs. */
  ELOOP: 'damaged',
  ETIMEDOUT: 'slow',
};

export class DirectoryStore implements ObjectStore {
  readonly url: string;
  readonly exclusive = true;
  readonly #root: string;

  /** `root` must exist: a mount that is missing must not be filled in by a directory on the local disk. */
  constructor(root: string) {
    this.#root = root;
    this.url = `file://${root}`;
  }

  async create(key: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    await this.#put(key, { sizeBytes: bytes.length, read: slicing(bytes) }, link, signal);
  }

  async write(key: string, source: ByteSource, signal?: AbortSignal): Promise<void> {
    await this.#put(key, source, rename, signal);
  }

  /** Whole, durable, then named; the name is durable too when it resolves. */
  async #put(
    key: string,
    source: ByteSource,
    name: (from: string, to: string) => Promise<void>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const path = this.#path(key);
    const directory = dirname(path);
    // Several hosts write into one directory, in containers with the same process id.
    const temporary = join(directory, `${TEMPORARY_PREFIX}${randomUUID()}`);
    await this.#run('writing', key, async () => {
      await this.#makeDirectory(directory);
      try {
        await writeFile(temporary, source, signal);
        await name(temporary, path);
      } finally {
        await unlink(temporary).catch(() => undefined);
      }
      await syncDirectory(directory);
    });
  }

  async get(key: string, maxBytes: number): Promise<Uint8Array> {
    return this.#withFile(key, async (file, sizeBytes) => {
      if (sizeBytes > maxBytes) {
        const what = `has ${String(sizeBytes)} bytes, at most ${String(maxBytes)} make sense`;
        throw new BackupError('damaged', `${key}: ${what}`, { key });
      }
      return readRange(file, 0, sizeBytes);
    });
  }

  async read(key: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    return this.#withFile(key, (file, sizeBytes) =>
      readRange(file, offset, Math.max(0, Math.min(maxBytes, sizeBytes - offset))),
    );
  }

  async *list(prefix: string, after = ''): AsyncGenerator<ObjectInfo> {
    const folder = prefix.slice(0, -1);
    if (folder !== '') assertKey(folder);
    const items = await this.#run('listing', prefix, () => this.#items(join(this.#root, folder)));
    for (const item of items.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const key = `${prefix}${item.name}`;
      // Neither links nor devices nor pipes are objects, whoever may have put them there.
      if (!item.isFile() || !isKey(key) || key <= after) continue;
      const found = await this.#run('listing', key, () =>
        lstat(this.#path(key)).catch((error: unknown) => {
          if (systemCode(error) === 'ENOENT') return undefined;
          throw error;
        }),
      );
      if (found !== undefined) yield { key, sizeBytes: found.size, modifiedMs: found.mtimeMs };
    }
  }

  async #items(directory: string): Promise<readonly Dirent[]> {
    try {
      return await readdir(directory, { withFileTypes: true });
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      await this.#requireRoot();
      return [];
    }
  }

  async remove(keys: readonly string[]): Promise<void> {
    for (const key of keys) {
      await this.#run('removing', key, () =>
        unlink(this.#path(key)).catch((error: unknown) => {
          if (systemCode(error) !== 'ENOENT') throw error;
        }),
      );
    }
  }

  async removeUnfinished(prefix: string, beforeMs: number): Promise<void> {
    const folder = join(this.#root, prefix);
    await this.#run('clearing up', prefix, async () => {
      for (const item of await this.#items(folder)) {
        if (!item.isFile() || !item.name.startsWith(TEMPORARY_PREFIX)) continue;
        const path = join(folder, item.name);
        // It may be finished by now.
        const found = await lstat(path).catch(() => undefined);
        if (found !== undefined && found.mtimeMs < beforeMs) await unlink(path).catch(() => undefined);
      }
    });
  }

  close(): void {
    // Nothing is kept open.
  }

  #path(key: string): string {
    assertKey(key);
    return join(this.#root, key);
  }

  async #makeDirectory(directory: string): Promise<void> {
    if (directory === this.#root) return this.#requireRoot();
    const made = await mkdir(directory).then(
      () => true,
      (error: unknown) => {
        if (systemCode(error) === 'EEXIST') return false;
        if (systemCode(error) === 'ENOENT') return undefined;
        throw error;
      },
    );
    if (made === undefined) {
      await this.#makeDirectory(dirname(directory));
      return this.#makeDirectory(directory);
    }
    if (made) await syncDirectory(dirname(directory));
  }

  async #requireRoot(): Promise<void> {
    const found = await lstat(this.#root).catch(() => undefined);
    if (found?.isDirectory() !== true) {
      throw new BackupError(
        'unavailable',
        `${this.#root} is no directory: mount it, or make it where it is to be on this machine's own disk`,
      );
    }
  }

  async #withFile<Result>(
    key: string,
    use: (file: FileHandle, sizeBytes: number) => Promise<Result>,
  ): Promise<Result> {
    return this.#run('reading', key, async () => {
      const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
      const file = await open(this.#path(key), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
      try {
        const found = await file.stat();
        if (!found.isFile()) throw new BackupError('damaged', `${key}: is no file`, { key });
        return await use(file, found.size);
      } finally {
        await file.close();
      }
    });
  }

  async #run<Result>(doing: string, key: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      const system = systemCode(error);
      if (system === undefined || error instanceof BackupError) throw error;
      const code = MEANING[system] ?? 'unavailable';
      throw new BackupError(code, `${doing} ${key} in ${this.#root}: ${describe(code, system)}`, {
        key,
        cause: error,
      });
    }
  }
}

function describe(code: BackupErrorCode, system: string): string {
  if (code === 'full') return `there is no room left (${system})`;
  if (code === 'denied') return `access is denied (${system})`;
  if (code === 'notFound') return 'there is no such object';
  if (code === 'exists') return 'there is such an object already';
  if (code === 'damaged') return 'it is a link, and objects are plain files';
  return `the file system answers ${system}`;
}

function slicing(bytes: Uint8Array): ByteSource['read'] {
  return (offset, maxBytes) => Promise.resolve(bytes.subarray(offset, offset + maxBytes));
}

async function writeFile(path: string, source: ByteSource, signal: AbortSignal | undefined): Promise<void> {
  const file = await open(path, 'wx', 0o640);
  try {
    for (let offset = 0; offset < source.sizeBytes;) {
      signal?.throwIfAborted();
      const bytes = await source.read(offset, WRITE_SIZE_BYTES);
      for (let written = 0; written < bytes.length;) {
        const { bytesWritten } = await file.write(bytes, written);
        written += bytesWritten;
      }
      offset += bytes.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readRange(file: FileHandle, offset: number, sizeBytes: number): Promise<Uint8Array> {
  const into = Buffer.allocUnsafe(sizeBytes);
  let filled = 0;
  while (filled < sizeBytes) {
    const { bytesRead } = await file.read(into, filled, sizeBytes - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return into.subarray(0, filled);
}

function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
