/** The directory that a restore makes: what it must be, where it is made, and how it gets its name. */
import { constants, type Stats } from 'node:fs';
import { access, lstat, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { syncDirectory } from '../directories.ts';
import { BackupError, type BackupErrorCode } from './errors.ts';

export interface Place {
  /** Missing or empty. */
  readonly dataDir: string;
  /** Beside it, where the result is made. */
  readonly staging: string;
}

/** Says of a directory that a restore is making it, so that a later one may remove it. */
const MARKER = 'restoring.json';
/** As for every data directory: what is in it is nobody else's business. */
const DIRECTORY_MODE = 0o700;

const MEANING: Readonly<Record<string, readonly [BackupErrorCode, string]>> = {
  EACCES: ['unusable', 'this user has no permission'],
  EPERM: ['unusable', 'this user has no permission'],
  EROFS: ['unusable', 'the file system is read-only'],
  ENOTDIR: ['unusable', 'a part of that path is no directory'],
  EBUSY: ['unusable', 'it is a mount point; restore into a directory in it'],
  EXDEV: ['unusable', 'it is a mount point; restore into a directory in it'],
  ENOTEMPTY: ['notEmpty', 'something was put there meanwhile'],
  EEXIST: ['notEmpty', 'something was put there meanwhile'],
  ENOSPC: ['full', 'there is no room left'],
  EDQUOT: ['full', 'there is no room left'],
};

/** Rejects with `notEmpty` where the directory holds something, with `unusable` where it cannot be looked at. */
export async function requireEmpty(dataDir: string): Promise<void> {
  const items = await inWords(dataDir, () => listIfThere(dataDir));
  if (items === undefined || items.length === 0) return;
  throw new BackupError(
    'notEmpty',
    `${dataDir} is not empty (${items.slice(0, 3).join(', ')}${items.length > 3 ? ', ...' : ''}); restore into a new directory`,
  );
}

/**
 * Where the result goes and where it is made. Rejects with `notEmpty` where either is taken, and with `unusable` where
 * a restore could not be given its name in the end; nothing is changed.
 */
export async function requirePlace(path: string): Promise<Place> {
  const dataDir = resolve(path);
  const staging = join(dirname(dataDir), `${basename(dataDir)}.restoring`);
  await inWords(dataDir, () => requireReplaceable(dataDir));
  await requireEmpty(dataDir);
  const items = await inWords(staging, () => listIfThere(staging));
  if (items !== undefined && items.length > 0 && !items.includes(MARKER)) {
    throw new BackupError(
      'notEmpty',
      `${staging} is needed for the restore and was not made by one; move it away`,
    );
  }
  await inWords(dirname(dataDir), () => requireWritable(dirname(dataDir)));
  return { dataDir, staging };
}

/** A plain directory on its parent's file system, or nothing at all. */
async function requireReplaceable(dataDir: string): Promise<void> {
  const found = await lstatIfThere(dataDir);
  if (found === undefined) return;
  if (found.isSymbolicLink()) throw unusable(dataDir, 'it is a link; name the directory that is meant');
  if (!found.isDirectory()) throw unusable(dataDir, 'it is no directory');
  if (found.dev !== (await stat(dirname(dataDir))).dev)
    throw unusable(dataDir, 'it is a mount point; restore into a directory in it');
}

/** Missing directories are made, so what counts is the first that is there. */
async function requireWritable(directory: string): Promise<void> {
  const found = await lstatIfThere(directory);
  if (found === undefined && dirname(directory) !== directory) return requireWritable(dirname(directory));
  await access(directory, constants.W_OK | constants.X_OK);
}

/** What an earlier restore has left there goes. */
export async function makeStaging({ staging }: Place): Promise<void> {
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { recursive: true, mode: DIRECTORY_MODE });
  await writeFile(join(staging, MARKER), '{}\n');
}

export async function removeStaging({ staging }: Place): Promise<void> {
  await rm(staging, { recursive: true, force: true });
}

/** Gives the result its name; durable when it resolves. */
export async function publish({ staging, dataDir }: Place): Promise<void> {
  await rm(join(staging, MARKER));
  await syncDirectory(join(staging, 'raft', 'snapshots'));
  await syncDirectory(staging);
  // Onto a directory that is still empty; anything in it by now makes this fail.
  await rename(staging, dataDir);
  await syncDirectory(dirname(dataDir));
}

/** Runs `work`; where the operating system refuses something, it says so of `path` in words. */
export async function inWords<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) throw error;
    const system = String(error.code);
    const [code, what] = MEANING[system] ?? ['unusable', 'the operating system refuses it'];
    throw new BackupError(code, `cannot restore into ${path}: ${what} (${system})`, { cause: error });
  }
}

function unusable(dataDir: string, what: string): BackupError {
  return new BackupError('unusable', `cannot restore into ${dataDir}: ${what}`);
}

const listIfThere = (path: string): Promise<readonly string[] | undefined> => ifThere(() => readdir(path));
const lstatIfThere = (path: string): Promise<Stats | undefined> => ifThere(() => lstat(path));

async function ifThere<Result>(work: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
