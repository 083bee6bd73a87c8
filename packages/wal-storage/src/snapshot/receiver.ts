/** Pulling pieces of a peer's snapshot: ranged reads, resumed where they stopped, verified before they get their name. */
import { join } from 'node:path';
import type { SnapshotChunkRef, SnapshotSource } from '@pact-journal/raft-core';
import { WalStorageError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { isSha256 } from '../layout.ts';
import { hashFile } from './chunks.ts';

/** What is asked for at a time; with the pulls in flight this bounds the memory of a transfer. */
const READ_SIZE_BYTES = 512 * 1024;

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw abortedError(signal);
}

/** The outcome of `work`, or `aborted` as soon as the signal says so: a peer that hangs must not hold us. */
function abortable<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => {
      work.catch(() => undefined);
      reject(abortedError(signal));
    };
    signal.addEventListener('abort', giveUp, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}

function abortedError(signal: AbortSignal): WalStorageError {
  return new WalStorageError('aborted', 'receiving a snapshot: the transfer was given up', {
    cause: signal.reason,
  });
}

/**
 * Fetches the piece to `partial` (going on with what is there), verifies its hash and renames it to `target`. Contents
 * are durable when it resolves, the name is not. Fails with `checksumMismatch`, `aborted`, or as the source or disk does.
 */
export async function fetchPiece(
  fileSystem: FileSystem,
  source: SnapshotSource,
  piece: SnapshotChunkRef,
  partialDirectory: string,
  target: string,
  signal: AbortSignal,
): Promise<void> {
  if (!isSha256(piece.sha256)) {
    throw new WalStorageError(
      'invalidArgument',
      `receiving a snapshot: ${JSON.stringify(piece.sha256)} is not a SHA-256 in hex`,
    );
  }
  const partial = join(partialDirectory, `${piece.sha256}.part`);
  let position = (await fileSystem.size(partial)) ?? 0;
  if (position > piece.sizeBytes) {
    await fileSystem.remove(partial);
    position = 0;
  }
  const file = await fileSystem.open(partial, 'update');
  try {
    while (position < piece.sizeBytes) {
      throwIfAborted(signal);
      const wanted = Math.min(READ_SIZE_BYTES, piece.sizeBytes - position);
      const bytes = await abortable(source.read(piece.sha256, position, wanted), signal);
      if (bytes.length === 0 || bytes.length > wanted) {
        const message = `receiving ${piece.sha256}: the peer sent ${bytes.length} bytes at ${position} of ${piece.sizeBytes}`;
        throw new WalStorageError('checksumMismatch', message, { path: partial });
      }
      await file.write(bytes, position);
      position += bytes.length;
    }
    try {
      await file.sync();
    } catch (error) {
      // Its data may be gone from the disk and still be there to read: it must not be taken up again.
      await fileSystem.remove(partial);
      throw error;
    }
  } finally {
    await file.close();
  }
  const found = await hashFile(fileSystem, partial);
  if (found !== piece.sha256) {
    await fileSystem.remove(partial);
    throw new WalStorageError(
      'checksumMismatch',
      `receiving ${piece.sha256}: what the peer sent has the hash ${found}; it was thrown away, receive it again, from another peer if it happens twice`,
      { path: partial },
    );
  }
  await fileSystem.rename(partial, target);
}
