/** The error class of this package: one closed set of codes, recognisable across duplicate installs. */

/**
 * What went wrong.
 *
 * Damage, found while opening or reading; the node must not go on as if nothing had happened:
 * - `corrupt`: bytes on disk are not what was written (bad checksum, broken chain, unreadable structure)
 * - `hole`: log entries are missing between others
 * - `overlap`: two log files claim the same index
 * - `voteMissing`, `voteCorrupt`: the persisted term and vote are gone or unreadable
 * - `metadataMissing`: another file that every directory has is gone
 * - `committedBeyondLog`: entries are gone that are known to have been committed
 * - `logWithoutSnapshot`: the log starts after an index that no snapshot covers
 *
 * Refusals; nothing was touched:
 * - `foreignDirectory`: the directory belongs to another cluster or node
 * - `newerFormat`: the directory was written by a newer version
 * - `locked`: another process, or another instance in this one, owns the directory
 * - `permission`: a file or directory cannot be read or written by this user
 *
 * Operating errors:
 * - `diskFull`: no space or quota left; nothing was acknowledged, restart once there is space
 * - `io`: the disk failed
 * - `failed`: an earlier operation failed, so this instance does nothing any more (an fsync is never repeated)
 * - `closed`: used before `open` or after `close`
 * - `unknownChunk`: no snapshot here has a piece with that hash
 * - `checksumMismatch`: what a peer sent is not what it announced
 * - `aborted`: the caller's signal
 * - `unproven`: a repair would have to use or drop entries that nobody knows to be, or not to be, committed
 * - `contradiction`: peers have committed different entries at one index
 * - `invalidArgument`: the call is wrong whatever the state of the disk
 */
export type WalStorageErrorCode =
  | 'corrupt'
  | 'hole'
  | 'overlap'
  | 'voteMissing'
  | 'voteCorrupt'
  | 'metadataMissing'
  | 'committedBeyondLog'
  | 'logWithoutSnapshot'
  | 'foreignDirectory'
  | 'newerFormat'
  | 'locked'
  | 'permission'
  | 'diskFull'
  | 'io'
  | 'failed'
  | 'closed'
  | 'unknownChunk'
  | 'checksumMismatch'
  | 'aborted'
  | 'unproven'
  | 'contradiction'
  | 'invalidArgument';

/** Where damage was found. Lines count from 1. */
export interface DamageLocation {
  readonly path?: string;
  readonly line?: number;
  /** Log index. */
  readonly index?: number;
}

export interface WalStorageErrorDetails extends DamageLocation {
  /** Ways out, in the order in which to try them; for damage only. */
  readonly repair?: readonly string[];
  readonly cause?: unknown;
}

const BRAND = Symbol.for('@pact-journal/wal-storage/WalStorageError');

/** An operating error of this package. Recognise it with {@link isWalStorageError}, not with `instanceof`. */
export class WalStorageError extends Error {
  override readonly name = 'WalStorageError';
  readonly code: WalStorageErrorCode;
  readonly path: string | undefined;
  readonly line: number | undefined;
  readonly index: number | undefined;
  readonly repair: readonly string[];

  constructor(code: WalStorageErrorCode, message: string, details: WalStorageErrorDetails = {}) {
    const repair = details.repair ?? [];
    super(
      repair.length === 0 ? message : `${message}. To repair: ${repair.join('; or ')}`,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    this.code = code;
    this.path = details.path;
    this.line = details.line;
    this.index = details.index;
    this.repair = repair;
    Object.defineProperty(this, BRAND, { value: true });
  }
}

/** True for a {@link WalStorageError}, of that code where one is given, also from another copy of this package. */
export function isWalStorageError(error: unknown, code?: WalStorageErrorCode): error is WalStorageError {
  return (
    typeof error === 'object' &&
    error !== null &&
    BRAND in error &&
    'code' in error &&
    (code === undefined || error.code === code)
  );
}

/** The system's code (`ENOSPC`, `EIO`, ...) of whatever was thrown, if it has one. */
export function systemErrorCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Puts a failed file-system call into words. `doing` completes "while ...". Rethrows what no file system throws. */
export function ioError(error: unknown, doing: string, path: string): WalStorageError {
  if (isWalStorageError(error)) return error;
  if (systemErrorCode(error) === undefined) throw error;
  const reason = error instanceof Error ? error.message : String(error);
  const details = { path, cause: error };
  switch (systemErrorCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new WalStorageError(
        'diskFull',
        `no space left while ${doing} (${path}); nothing was acknowledged, free some space and restart this node`,
        details,
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new WalStorageError(
        'permission',
        `not permitted while ${doing} (${path}): ${reason}; this user must own the data directory and be able to write it`,
        details,
      );
    default:
      return new WalStorageError('io', `the disk failed while ${doing} (${path}): ${reason}`, details);
  }
}

/** Something this package had to decide on its own and an operator should know. */
export interface StorageWarning {
  readonly code:
    | 'tornTailDropped'
    | 'temporaryRemoved'
    | 'foreignFile'
    | 'leftoverRemoved'
    | 'commitHintIgnored'
    | 'commitHintNotWritten'
    | 'snapshotIgnored'
    | 'snapshotBeyondLog'
    | 'notCollected';
  readonly message: string;
  readonly path: string;
  readonly index?: number;
}

export type WarningHandler = (warning: StorageWarning) => void;
