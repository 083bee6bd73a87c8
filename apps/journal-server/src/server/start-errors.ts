/** Why a node does not come up, sorted by what the operator can do about it. */
import { isJournalStateError } from '@pact-journal/journal-state';
import { isRaftError } from '@pact-journal/raft-core';
import { isWalStorageError, type WalStorageErrorCode } from '@pact-journal/wal-storage';
import { ServerError, isServerError, type ServerErrorCode } from './errors.ts';

const storageMeaning: Readonly<Record<WalStorageErrorCode, ServerErrorCode>> = {
  corrupt: 'damaged',
  hole: 'damaged',
  overlap: 'damaged',
  voteMissing: 'damaged',
  voteCorrupt: 'damaged',
  metadataMissing: 'damaged',
  committedBeyondLog: 'damaged',
  logWithoutSnapshot: 'damaged',
  foreignDirectory: 'refused',
  newerFormat: 'refused',
  locked: 'refused',
  permission: 'refused',
  diskFull: 'fatal',
  io: 'fatal',
  failed: 'fatal',
  closed: 'fatal',
  unknownChunk: 'fatal',
  checksumMismatch: 'damaged',
  unproven: 'refused',
  contradiction: 'damaged',
  aborted: 'fatal',
  invalidArgument: 'fatal',
};

/** The error for the operator: storage's own words where they are the reason of something else. */
export function startError(error: unknown): ServerError {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (isServerError(cause)) return cause;
    if (isWalStorageError(cause))
      return new ServerError(storageMeaning[cause.code], cause.message, { cause: error });
    if (isJournalStateError(cause)) return new ServerError('damaged', cause.message, { cause: error });
  }
  const damaged = isRaftError(error, 'damaged');
  return new ServerError(
    damaged ? 'damaged' : 'fatal',
    error instanceof Error ? error.message : String(error),
    { cause: error },
  );
}
