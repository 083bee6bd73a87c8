/**
 * Why a call failed.
 *
 * - `unreachable`: no named server could be connected to; nothing was sent. Try again later.
 * - `noLeader`: servers answered, but nobody led until time was up; nothing was done. Try again later.
 * - `overloaded`: a server, or this client's own queue, is full; nothing was done. Try again later.
 * - `deadlineExceeded`: time was up before an answer came, and nothing was done (or nothing was to be done).
 * - `outcomeUnknown`: the change may have been made, now or later. Only a repeat with the same request id is safe.
 * - `refused`: a server said no, and would again: see `grpcCode` and `validationCode`.
 * - `malformed`: what was to be sent, or came back, makes no sense; the message names the field.
 * - `aborted`: the caller's signal was aborted.
 * - `invalidOption`: the client was made with options that make no sense.
 * - `closed`: the client, or the spool, was closed.
 * - `spoolFull`: the spool holds as much as it may, or its disk is full; nothing was kept. Try again later.
 * - `spoolFailed`: the spool's disk failed; it takes nothing more until it is opened anew.
 * - `spoolLocked`: another process uses the spool's directory.
 */
export type JournalClientErrorCode =
  | 'unreachable'
  | 'noLeader'
  | 'overloaded'
  | 'deadlineExceeded'
  | 'outcomeUnknown'
  | 'refused'
  | 'malformed'
  | 'aborted'
  | 'invalidOption'
  | 'closed'
  | 'spoolFull'
  | 'spoolFailed'
  | 'spoolLocked';

export interface JournalClientErrorDetails {
  readonly cause?: unknown;
  /** The gRPC status code (https://grpc.io/docs/guides/status-codes/) that a server answered. */
  readonly grpcCode?: number;
  /** The state machine's reason in one word, for example `parentUnknown`. */
  readonly validationCode?: string;
}

/** The error of this package. Recognise it with {@link isJournalClientError}, not with `instanceof`. */
export class JournalClientError extends Error {
  override readonly name = 'JournalClientError';
  readonly code: JournalClientErrorCode;
  readonly grpcCode: number | undefined;
  readonly validationCode: string | undefined;

  constructor(code: JournalClientErrorCode, message: string, details: JournalClientErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.grpcCode = details.grpcCode;
    this.validationCode = details.validationCode;
  }

  /** Whether the same call may succeed later. `outcomeUnknown` is not: repeat it only with the same request id. */
  get retryable(): boolean {
    switch (this.code) {
      case 'unreachable':
      case 'noLeader':
      case 'overloaded':
      case 'deadlineExceeded':
      case 'spoolFull':
        return true;
      default:
        return false;
    }
  }
}

/** True for a {@link JournalClientError} of any copy of this package, optionally with the given code. */
export function isJournalClientError(
  error: unknown,
  code?: JournalClientErrorCode,
): error is JournalClientError {
  return (
    error instanceof Error &&
    error.name === 'JournalClientError' &&
    'code' in error &&
    (code === undefined || error.code === code)
  );
}
