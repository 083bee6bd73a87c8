import type { StorageErrorCode } from './types.ts';

/**
 * Why a call on the core failed.
 *
 * - `proposalDropped`: nothing was appended and nothing was forwarded; `reason` says why. Retry later or elsewhere.
 * - `localMessage`: a message type that only this node may send to itself was stepped from outside.
 * - `unknownPeer`: a response was stepped from a node that is not in the configuration (for example one just removed).
 * - `malformedConfChange`: bytes that should be an encoded membership change are not.
 * - `invalidConfChange`: a membership change does not fit the configuration it was applied to; `reason` says why.
 * - `invalidConfig`: an option of {@link RawNodeConfig} is out of range, or options contradict each other.
 * - `bootstrapRefused`: `bootstrap` was called on a node that has a log already, or without peers.
 */
export type RaftCoreErrorCode =
  | 'proposalDropped'
  | 'localMessage'
  | 'unknownPeer'
  | 'malformedConfChange'
  | 'invalidConfChange'
  | 'invalidConfig'
  | 'bootstrapRefused';

/** Details of `proposalDropped`. */
export type ProposalDropReason =
  | 'noLeader'
  | 'forwardingDisabled'
  | 'transferInProgress'
  | 'uncommittedSizeLimit'
  | 'leaderRemoved'
  | 'emptyProposal';

/** Details of `invalidConfChange`. */
export type ConfChangeRejectReason =
  | 'alreadyJoint'
  | 'noVotersToJoin'
  | 'notJoint'
  | 'simpleInJoint'
  | 'multipleVoters'
  | 'removesAllVoters'
  | 'inconsistent';

/** Details of an error, where it has any. */
export type RaftCoreErrorReason = ProposalDropReason | ConfChangeRejectReason;

/**
 * What the core throws when a call cannot be carried out. The state is as before the call.
 * Recognise it with {@link isRaftCoreError}, not with `instanceof`: two copies of this package may be loaded.
 */
export class RaftCoreError extends Error {
  /** What to recognise it by: copies of this package may each have a class of their own. */
  override readonly name = 'RaftCoreError';
  /** What went wrong, for programs. */
  readonly code: RaftCoreErrorCode;
  /** What exactly, where the code has several reasons. */
  readonly reason: RaftCoreErrorReason | undefined;

  constructor(
    code: RaftCoreErrorCode,
    message: string,
    options?: { reason?: RaftCoreErrorReason; cause?: unknown },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.reason = options?.reason;
  }
}

/** True for a {@link RaftCoreError} of any copy of this package, optionally with the given code. */
export function isRaftCoreError(value: unknown, code?: RaftCoreErrorCode): value is RaftCoreError {
  return (
    value instanceof Error &&
    value.name === 'RaftCoreError' &&
    'code' in value &&
    (code === undefined || value.code === code)
  );
}

/**
 * What a {@link Storage} throws.
 *
 * - `compacted`: the index lies before the first entry held; a snapshot covers it.
 * - `unavailable`: the index lies beyond the last entry held.
 * - `snapshotTemporarilyUnavailable`: a snapshot is being made; the core asks again later.
 */
export class StorageError extends Error {
  /** What to recognise it by: copies of this package may each have a class of their own. */
  override readonly name = 'StorageError';
  /** What went wrong, for programs. */
  readonly code: StorageErrorCode;

  constructor(code: StorageErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
  }
}

/** True for a {@link StorageError} of any copy of this package, optionally with the given code. */
export function isStorageError(value: unknown, code?: StorageErrorCode): value is StorageError {
  return (
    value instanceof Error &&
    value.name === 'StorageError' &&
    'code' in value &&
    (code === undefined || value.code === code)
  );
}

/**
 * A broken invariant: a bug in the core, in the caller, or a storage that lost data. It is thrown in production too,
 * because going on would risk committed data. The node that threw it must not be used again.
 */
export class RaftAssertionError extends Error {
  /** What to recognise it by: copies of this package may each have a class of their own. */
  override readonly name = 'RaftAssertionError';
  /** What went wrong, for programs. */
  readonly code = 'assertionFailed';
}

/** True for a {@link RaftAssertionError} of any copy of this package. */
export function isRaftAssertionError(value: unknown): value is RaftAssertionError {
  return value instanceof Error && value.name === 'RaftAssertionError';
}

/** Stops at a broken invariant. */
export function fail(message: string): never {
  throw new RaftAssertionError(message);
}
