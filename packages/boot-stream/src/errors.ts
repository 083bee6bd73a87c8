/**
 * - `invalidRequest`: a malformed id or message; will not get better.
 * - `notFound`: nothing has ever mentioned the virtual cluster, or the node is assigned to none.
 * - `unauthenticated`, `permissionDenied`: who calls is not known, or not allowed to.
 * - `notPossible`: the state does not allow it, for example an overlay above the size limit.
 * - `overloaded`: at a limit of this replica; try again after `retryAfterMs`, or another replica.
 * - `unavailable`: shutting down, not reachable, or behind the sequence asked for; try another replica.
 * - `deadlineExceeded`, `cancelled`: time ran out, or the caller gave up.
 * - `corrupt`: what arrived is not what was announced (checksum, framing, JSON, order of phases).
 * - `tooLarge`: what arrived, or would come of it, exceeds the client's bounds.
 * - `unsupported`: a method, compression or call shape that this server does not have.
 * - `internal`: a defect.
 */
export type BootStreamErrorCode =
  | 'invalidRequest'
  | 'notFound'
  | 'unauthenticated'
  | 'permissionDenied'
  | 'notPossible'
  | 'overloaded'
  | 'unavailable'
  | 'deadlineExceeded'
  | 'cancelled'
  | 'corrupt'
  | 'tooLarge'
  | 'unsupported'
  | 'internal';

export interface BootStreamErrorOptions {
  readonly cause?: unknown;
  /** With `overloaded`, and with `unavailable` of a replica that shuts down: when to try again, in milliseconds. */
  readonly retryAfterMs?: number;
  /** On a subscription that ended: the first sequence that was not delivered. */
  readonly resumeFrom?: number;
}

/** What went wrong with a boot or a subscription, on either side of the wire. */
export class BootStreamError extends Error {
  override readonly name = 'BootStreamError';
  readonly code: BootStreamErrorCode;
  readonly retryAfterMs: number | undefined;
  readonly resumeFrom: number | undefined;

  constructor(code: BootStreamErrorCode, message: string, options: BootStreamErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryAfterMs = options.retryAfterMs;
    this.resumeFrom = options.resumeFrom;
  }
}

const CODES: ReadonlySet<unknown> = new Set<BootStreamErrorCode>([
  'invalidRequest',
  'notFound',
  'unauthenticated',
  'permissionDenied',
  'notPossible',
  'overloaded',
  'unavailable',
  'deadlineExceeded',
  'cancelled',
  'corrupt',
  'tooLarge',
  'unsupported',
  'internal',
]);

/** True for a BootStreamError of any copy of this package. */
export function isBootStreamError(error: unknown): error is BootStreamError {
  return (
    error instanceof Error && error.name === 'BootStreamError' && 'code' in error && CODES.has(error.code)
  );
}
