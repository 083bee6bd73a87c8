/** Replacing a small file so that a crash leaves the old contents or the new, whole. */
import { join } from 'node:path';
import type { FileSystem } from '../fs/file-system.ts';

/** Files with this suffix are never referred to; whatever bears it after a crash is removed. */
export const TEMPORARY_SUFFIX = '.tmp';

/**
 * Write under a temporary name, fsync, rename, fsync of the directory: durable when resolved. `chunks` are written one
 * after the other.
 */
export async function replaceFile(
  fileSystem: FileSystem,
  directory: string,
  name: string,
  chunks: Iterable<Uint8Array>,
): Promise<void> {
  const path = join(directory, name);
  const temporary = path + TEMPORARY_SUFFIX;
  await fileSystem.remove(temporary);
  const file = await fileSystem.open(temporary, 'create');
  try {
    let position = 0;
    for (const chunk of chunks) {
      await file.write(chunk, position);
      position += chunk.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await fileSystem.renameDurably(temporary, path);
}

/** The whole of a small file, or undefined if it does not exist. Fails if it is larger than `sizeBytesMax`. */
export async function readWholeFile(
  fileSystem: FileSystem,
  path: string,
  sizeBytesMax: number,
): Promise<Uint8Array | undefined> {
  const size = await fileSystem.size(path);
  if (size === undefined) return undefined;
  if (size > sizeBytesMax) {
    throw Object.assign(new Error(`${path} has ${size} bytes where at most ${sizeBytesMax} make sense`), {
      code: 'EFBIG',
    });
  }
  const into = Buffer.alloc(size);
  const count = size === 0 ? 0 : fileSystem.readSync(path, into, 0);
  return into.subarray(0, count);
}
