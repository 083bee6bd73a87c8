import { isOverlayError } from '@pact-journal/overlay-builder';
import type { OverlayErrorCode } from '@pact-journal/overlay-builder';
import { BootStreamError, isBootStreamError } from '../errors.ts';
import type { BootStreamErrorCode } from '../errors.ts';
import { RESUME_FROM_KEY, RETRY_AFTER_KEY } from '../metadata.ts';
import type { CallStatus } from './call.ts';

/** gRPC status codes by this package's words for them. */
export const STATUS_CODES: Readonly<Record<BootStreamErrorCode, number>> = {
  cancelled: 1,
  invalidRequest: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  overloaded: 8,
  tooLarge: 8,
  notPossible: 9,
  unsupported: 12,
  internal: 13,
  unavailable: 14,
  corrupt: 15,
  unauthenticated: 16,
};

const OVERLAY_CODES: Readonly<Record<OverlayErrorCode, BootStreamErrorCode>> = {
  unknownVCluster: 'notFound',
  tooLarge: 'notPossible',
  compressionFailed: 'internal',
  closed: 'unavailable',
};

/** What a client is told of an error. A defect's own words stay here. */
export function statusOf(error: unknown): CallStatus {
  const known = asBootStreamError(error);
  const trailers: Record<string, string> = {};
  if (known.retryAfterMs !== undefined) trailers[RETRY_AFTER_KEY] = String(known.retryAfterMs);
  if (known.resumeFrom !== undefined) trailers[RESUME_FROM_KEY] = String(known.resumeFrom);
  return { code: STATUS_CODES[known.code], message: known.message, trailers };
}

function asBootStreamError(error: unknown): BootStreamError {
  if (isBootStreamError(error)) return error;
  if (isOverlayError(error))
    return new BootStreamError(OVERLAY_CODES[error.code], error.message, { cause: error });
  return new BootStreamError('internal', 'cannot serve the call: internal error', { cause: error });
}
