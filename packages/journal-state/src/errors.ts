import type { ValidationCode } from './types.ts';

/**
 * `ValidationCode`s: what was given is not acceptable. `unknownSequence`: a question about an entry that does not exist
 * (yet). `snapshotDamaged`: a snapshot's content contradicts itself. `snapshotUnsupported`: written by a newer format.
 */
export type JournalStateErrorCode =
  ValidationCode | 'unknownSequence' | 'snapshotDamaged' | 'snapshotUnsupported';

/** The one error class of this package. Recognise it with {@link isJournalStateError}, not with `instanceof`. */
export class JournalStateError extends Error {
  override readonly name = 'JournalStateError';
  readonly code: JournalStateErrorCode;
  /** Where in the input: `mounts[3].action`. Undefined where the whole is meant. */
  readonly path: string | undefined;

  constructor(code: JournalStateErrorCode, message: string, options?: { path?: string; cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.path = options?.path;
  }
}

/** True for errors of this package, also of another copy of it. */
export function isJournalStateError(error: unknown): error is JournalStateError {
  return error instanceof Error && error.name === 'JournalStateError' && 'code' in error;
}

/** A programmer's error: stays on in production. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
