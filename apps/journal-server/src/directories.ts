/** Directories that may have to be made first, and whose names must last. */
import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

/**
 * Makes a directory and its missing parents, one level at a time from the nearest parent that exists. Unlike a recursive
 * `mkdir` of Node it ends where a parent exists but says "no such directory" to whatever is made in it, as /proc does.
 * Throws an error whose one line names the directory that could not be made and why; its `cause` is the system's.
 */
export async function makeDirectory(path: string): Promise<void> {
  const missing: string[] = [];
  for (let level = resolve(path); !(await exists(level)); level = dirname(level)) {
    missing.push(level);
    if (level === dirname(level)) break;
  }
  for (const level of missing.reverse()) await makeLevel(level);
  if (missing.length === 0 && !(await isDirectory(path)))
    throw new Error(`${resolve(path)} exists and is not a directory`);
}

/** Files that were made, renamed or removed in a directory are so for good when this resolves. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

async function makeLevel(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    // Somebody else made it in the meantime.
    if (codeOf(error) === 'EEXIST' && (await isDirectory(path))) return;
    throw failure(path, error);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw failure(path, error);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path)).isDirectory();
}

function failure(path: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  return new Error(`the directory ${path} could not be made (${reason})`, { cause: error });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
