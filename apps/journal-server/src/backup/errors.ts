/**
 * What can be wrong with a backup or with the store that it is in.
 *
 * - `unavailable`: the store does not answer; `slow`: not in time; `denied`: it refuses access; `full`: it has no room
 * - `checksumMismatch`: what the store received or sent is not what was sent or kept
 * - `notFound`: an object that must be there is not; `exists`: one that was to be created is there already
 * - `fenced`: a writer of a later term has taken over; `astray`: this replica differs from the others, so it must not write
 * - `damaged`: an object is not what was written, or is missing where the others need it
 * - `foreignCluster`: the backup belongs to another cluster; `newerBackup`: to a newer version of this program
 * - `noSuchPoint`: the backup does not reach the sequence or time asked for
 * - `notEmpty`: the directory to restore into has something in it; `unusable`: that, or a temporary one,
 *   cannot be made
 * - `invalidUrl`: the address of the store makes no sense
 */
export type BackupErrorCode =
  | 'unavailable'
  | 'slow'
  | 'denied'
  | 'full'
  | 'checksumMismatch'
  | 'notFound'
  | 'exists'
  | 'fenced'
  | 'astray'
  | 'damaged'
  | 'foreignCluster'
  | 'newerBackup'
  | 'noSuchPoint'
  | 'notEmpty'
  | 'unusable'
  | 'invalidUrl';

/** An operating error of backups. The message is one line that names the object and says what would be right. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
  readonly code: BackupErrorCode;
  /** The object that it is about, where it is about one. */
  readonly key: string | undefined;

  constructor(
    code: BackupErrorCode,
    message: string,
    options: ErrorOptions & { readonly key?: string } = {},
  ) {
    super(message, options);
    this.code = code;
    this.key = options.key;
  }
}

/** Recognises a {@link BackupError} by its shape; with a code, one of that code. */
export function isBackupError(error: unknown, code?: BackupErrorCode): error is BackupError {
  if (!(error instanceof Error) || error.name !== 'BackupError' || !('code' in error)) return false;
  return code === undefined || error.code === code;
}

/** An object that is not what was written. */
export function damagedObject(key: string, what: string, cause?: unknown): BackupError {
  return new BackupError('damaged', `${key}: ${what}`, { key, cause });
}
