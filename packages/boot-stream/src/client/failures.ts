import { status as GrpcStatus } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { BootStreamError, isBootStreamError } from '../errors.ts';
import type { BootStreamErrorCode } from '../errors.ts';
import { RESUME_FROM_KEY, RETRY_AFTER_KEY } from '../metadata.ts';

const CODES: Readonly<Partial<Record<number, BootStreamErrorCode>>> = {
  [GrpcStatus.CANCELLED]: 'cancelled',
  [GrpcStatus.INVALID_ARGUMENT]: 'invalidRequest',
  [GrpcStatus.DEADLINE_EXCEEDED]: 'deadlineExceeded',
  [GrpcStatus.NOT_FOUND]: 'notFound',
  [GrpcStatus.PERMISSION_DENIED]: 'permissionDenied',
  [GrpcStatus.RESOURCE_EXHAUSTED]: 'overloaded',
  [GrpcStatus.FAILED_PRECONDITION]: 'notPossible',
  [GrpcStatus.UNIMPLEMENTED]: 'unsupported',
  [GrpcStatus.UNAVAILABLE]: 'unavailable',
  [GrpcStatus.DATA_LOSS]: 'corrupt',
  [GrpcStatus.UNAUTHENTICATED]: 'unauthenticated',
};

/** What another replica, or the same one later, may do better. */
const RETRYABLE: ReadonlySet<BootStreamErrorCode> = new Set([
  'overloaded',
  'unavailable',
  'corrupt',
  'tooLarge',
  'cancelled',
  'deadlineExceeded',
  'internal',
]);

export function isRetryable(error: BootStreamError): boolean {
  return RETRYABLE.has(error.code);
}

/** A failed call in this package's words. */
export function fromServiceError(error: unknown, address: string): BootStreamError {
  if (isBootStreamError(error)) return error;
  if (!isServiceError(error)) {
    return new BootStreamError('internal', `the call to ${address} failed`, { cause: error });
  }
  const retryAfterMs = numberIn(error, RETRY_AFTER_KEY);
  const resumeFrom = numberIn(error, RESUME_FROM_KEY);
  return new BootStreamError(CODES[error.code] ?? 'internal', `${address}: ${error.details}`, {
    cause: error,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(resumeFrom === undefined ? {} : { resumeFrom }),
  });
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

function numberIn(error: ServiceError, key: string): number | undefined {
  const text = error.metadata.get(key)[0]?.toString();
  return text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined;
}

/** Exponential, with jitter between half and all of it. `failures` from 1. */
export function backoffMs(failures: number, minMs: number, maxMs: number): number {
  const fullMs = Math.min(maxMs, minMs * 2 ** Math.min(failures - 1, 20));
  return fullMs * (0.5 + Math.random() / 2);
}

/** Rejects with `cancelled` when the signal is aborted. */
export function delay(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      clearTimeout(timer);
      reject(new BootStreamError('cancelled', 'the caller gave up', { cause: signal?.reason }));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', cancel);
      resolve();
    }, ms);
    if (signal?.aborted === true) cancel();
    else signal?.addEventListener('abort', cancel, { once: true });
  });
}
