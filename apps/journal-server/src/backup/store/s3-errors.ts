/** What an S3 server's and the SDK's errors mean for a backup. */
import { BackupError, type BackupErrorCode } from '../errors.ts';

/** By the error's name. */
const NAMES: Readonly<Record<string, BackupErrorCode>> = {
  NoSuchKey: 'notFound',
  NotFound: 'notFound',
  AccessDenied: 'denied',
  AllAccessDisabled: 'denied',
  InvalidAccessKeyId: 'denied',
  SignatureDoesNotMatch: 'denied',
  ExpiredToken: 'denied',
  CredentialsProviderError: 'denied',
  QuotaExceeded: 'full',
  XMinioStorageFull: 'full',
  InsufficientCapacity: 'full',
  EntityTooLarge: 'full',
  BadDigest: 'checksumMismatch',
  InvalidDigest: 'checksumMismatch',
  XAmzContentChecksumMismatch: 'checksumMismatch',
  XAmzContentSHA256Mismatch: 'checksumMismatch',
  SlowDown: 'slow',
  RequestTimeout: 'slow',
  TimeoutError: 'slow',
};

const STATUSES: Readonly<Record<number, BackupErrorCode>> = {
  401: 'denied',
  403: 'denied',
  404: 'notFound',
  507: 'full',
};

const WORDS: Readonly<Partial<Record<BackupErrorCode, string>>> = {
  denied: 'access is denied; check the credentials and what they may do',
  full: 'there is no room left',
  checksumMismatch: 'what arrived is not what was sent',
  slow: 'there was no answer in time',
  notFound: 'there is no such object or bucket',
};

export function isTimeout(error: Error): boolean {
  return NAMES[error.name] === 'slow';
}

/** The store's error in this project's words. An aborted request's own error passes as it is. */
export function s3Error(error: unknown, doing: string, key: string): unknown {
  if (!(error instanceof Error) || error.name === 'AbortError') return error;
  const code = codeOf(error);
  const detail = oneLine(error.message === '' ? error.name : error.message);
  const words = WORDS[code];
  const message = words === undefined ? `${doing}: ${detail}` : `${doing}: ${words} (${detail})`;
  return new BackupError(code, message, { key, cause: error });
}

function codeOf(error: Error): BackupErrorCode {
  const named = NAMES[error.name];
  if (named !== undefined) return named;
  // What the SDK finds when it holds a response against its checksum has no name of its own.
  if (/checksum mismatch/iu.test(error.message)) return 'checksumMismatch';
  if ('$metadata' in error && typeof error.$metadata === 'object' && error.$metadata !== null) {
    const { httpStatusCode } = error.$metadata as { readonly httpStatusCode?: number };
    return STATUSES[httpStatusCode ?? 0] ?? 'unavailable';
  }
  return 'unavailable';
}

function oneLine(text: string): string {
  return text.replace(/\s+/gu, ' ').trim().slice(0, 300);
}
