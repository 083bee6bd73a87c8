/**
 * Why an operation of the transport failed.
 *
 * - `addressInUse`: another process listens on the port
 * - `listenFailed`: listening failed for another reason (no such address, no permission, a bad certificate)
 * - `invalidOption`: an option is out of range or contradicts another
 * - `unknownPeer`: no address is known for the node
 * - `snapshotNotFound`: the peer no longer has the snapshot, or the chunk
 * - `refused`: the peer answered, but will not talk to this node; the message says why
 * - `unavailable`: the peer could not be reached, or stopped answering
 * - `malformed`: the peer answered something that makes no sense
 * - `aborted`: the caller's signal was aborted
 * - `stopped`: the transport is not started or was stopped
 */
export type RaftGrpcErrorCode =
  | 'addressInUse'
  | 'listenFailed'
  | 'invalidOption'
  | 'unknownPeer'
  | 'snapshotNotFound'
  | 'refused'
  | 'unavailable'
  | 'malformed'
  | 'aborted'
  | 'stopped';

/** The error of this package. Recognise it with {@link isRaftGrpcError}, not with `instanceof`. */
export class RaftGrpcError extends Error {
  /** What to recognise it by: copies of this package may each have a class of their own. */
  override readonly name = 'RaftGrpcError';
  /** What went wrong, for programs. */
  readonly code: RaftGrpcErrorCode;

  constructor(code: RaftGrpcErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** True for a {@link RaftGrpcError} of any copy of this package, optionally with the given code. */
export function isRaftGrpcError(error: unknown, code?: RaftGrpcErrorCode): error is RaftGrpcError {
  return (
    error instanceof Error &&
    error.name === 'RaftGrpcError' &&
    'code' in error &&
    (code === undefined || error.code === code)
  );
}
