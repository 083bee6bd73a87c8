/** What a failed gRPC call means for the caller, and for the next attempt. */
import { status } from '@grpc/grpc-js';
import type { ServiceError, StatusObject } from '@grpc/grpc-js';
import { isWireError, OUTCOME_KEY, VALIDATION_CODE_KEY } from '@pact-journal/journal-proto';
import { isJournalClientError, JournalClientError } from './errors.ts';

/** What is known about one failed attempt. */
export interface Failure {
  readonly kind:
    /** Not connected: the server has seen nothing. */
    | 'notConnected'
    /** The server cannot now: no leader, stopping, busy with another change. */
    | 'notNow'
    | 'overloaded'
    /** The attempt's time was up, or the connection broke under it. */
    | 'noAnswer'
    | 'refused';
  readonly endpoint: string;
  readonly grpcCode: number;
  readonly reason: string;
  /** It may have been done. */
  readonly outcomeUnknown: boolean;
  readonly validationCode: string | undefined;
  readonly cause: unknown;
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

const NOT_CONNECTED =
  /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|No connection established|Name resolution failed/u;

/** Fails with what it was given where that is no gRPC failure. */
export function failureOf(error: unknown, endpoint: string): Failure {
  if (!isServiceError(error)) throw error;
  return failureOfStatus(error, endpoint, error);
}

export function failureOfStatus(
  { code, details, metadata }: StatusObject,
  endpoint: string,
  cause: unknown,
): Failure {
  const [validationCode] = metadata.get(VALIDATION_CODE_KEY);
  const answered = metadata.get('content-type').length > 0;
  const kind = kindOf(code, details, answered);
  return {
    kind,
    endpoint,
    grpcCode: code,
    reason: details,
    outcomeUnknown: kind === 'noAnswer' || metadata.get(OUTCOME_KEY).includes('unknown'),
    validationCode: validationCode === undefined ? undefined : String(validationCode),
    cause,
  };
}

function kindOf(code: status, details: string, answered: boolean): Failure['kind'] {
  switch (code) {
    case status.UNAVAILABLE:
      if (answered) return 'notNow';
      return NOT_CONNECTED.test(details) ? 'notConnected' : 'noAnswer';
    case status.ABORTED:
      return 'notNow';
    case status.RESOURCE_EXHAUSTED:
      return 'overloaded';
    case status.DEADLINE_EXCEEDED:
    case status.CANCELLED:
      return 'noAnswer';
    // What grpc-js makes of a connection that broke in the middle of an answer.
    case status.INTERNAL:
      return answered ? 'refused' : 'noAnswer';
    default:
      return 'refused';
  }
}

function describe(failure: Failure): string {
  if (failure.kind !== 'notConnected') return `${failure.endpoint}: ${failure.reason}`;
  const system = /E[A-Z]{4,}(?:_[A-Z]+)?/u.exec(failure.reason)?.[0];
  if (system === 'ECONNREFUSED') return `nobody listens on ${failure.endpoint} (connection refused)`;
  if (system === 'ENOTFOUND' || system === 'EAI_AGAIN')
    return `${failure.endpoint}: there is no such host (${system})`;
  return `${failure.endpoint} cannot be connected to (${system ?? failure.reason})`;
}

/** What to tell the caller once the failures of the last round are all there is. */
export function errorOf(doing: string, failures: readonly Failure[], mayBeDone: boolean): JournalClientError {
  const last = failures.at(-1);
  const text = [...new Set(failures.map(describe))].join('; ');
  const details = last === undefined ? {} : { cause: last.cause, grpcCode: last.grpcCode };
  if (mayBeDone) {
    return new JournalClientError(
      'outcomeUnknown',
      `${doing}: ${text}; it may have been done all the same, so look before repeating it`,
      details,
    );
  }
  if (last === undefined)
    return new JournalClientError('deadlineExceeded', `${doing}: time was up before an answer came`);
  if (last.kind === 'refused') {
    return new JournalClientError('refused', `${doing}: ${last.reason}`, {
      ...details,
      ...(last.validationCode === undefined ? {} : { validationCode: last.validationCode }),
    });
  }
  if (failures.every((failure) => failure.kind === 'notConnected')) {
    return new JournalClientError(
      'unreachable',
      `${doing}: ${text}; is the journal running? Start it, or name another endpoint`,
      details,
    );
  }
  if (last.kind === 'overloaded') return new JournalClientError('overloaded', `${doing}: ${text}`, details);
  if (last.kind === 'notNow') return new JournalClientError('noLeader', `${doing}: ${text}`, details);
  return new JournalClientError('deadlineExceeded', `${doing}: ${text}`, details);
}

/** Carries over what a mapper found; other errors are passed on as they are. */
export function asClientError(error: unknown, doing: string): unknown {
  if (isJournalClientError(error)) return error;
  if (isWireError(error))
    return new JournalClientError('malformed', `${doing}: ${error.message}`, { cause: error });
  return error;
}
