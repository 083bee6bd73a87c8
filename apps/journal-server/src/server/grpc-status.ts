/** Which gRPC status a failure is (https://grpc.io/docs/guides/status-codes/), and what its trailers say. */
import { Metadata, status, type StatusObject } from '@grpc/grpc-js';
import type { CallStatus } from '@pact-journal/boot-stream';
import { isWireError, OUTCOME_KEY, VALIDATION_CODE_KEY } from '@pact-journal/journal-proto';
import { isJournalStateError, type CommandResult } from '@pact-journal/journal-state';
import { isOverlayError, type OverlayErrorCode } from '@pact-journal/overlay-builder';
import { isNotLeaderError, isRaftError, type RaftErrorCode } from '@pact-journal/raft-core';
import { AUTH_REASON_KEY, isAuthError, statusOfAuthError } from '../auth/index.ts';

export type Status = Pick<StatusObject, 'code' | 'details' | 'metadata'>;

/** What a handler throws to end a call with a status of its own choice. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly code: status;
  readonly metadata: Metadata;

  constructor(code: status, details: string, metadata = new Metadata()) {
    super(details);
    this.code = code;
    this.metadata = metadata;
  }
}

function isCallError(error: unknown): error is CallError {
  return error instanceof Error && error.name === 'CallError' && 'metadata' in error;
}

/** The state machine's refusal as a failed call. */
export function validationError(result: Extract<CommandResult, { type: 'ValidationError' }>): CallError {
  const metadata = new Metadata();
  metadata.set(VALIDATION_CODE_KEY, result.code);
  return new CallError(status.FAILED_PRECONDITION, result.reason, metadata);
}

const raftStatus: Readonly<Record<RaftErrorCode, status>> = {
  invalidArgument: status.INVALID_ARGUMENT,
  notLeader: status.UNAVAILABLE,
  overloaded: status.RESOURCE_EXHAUSTED,
  notCommitted: status.UNAVAILABLE,
  outcomeUnknown: status.UNAVAILABLE,
  membershipPending: status.ABORTED,
  membershipInvalid: status.FAILED_PRECONDITION,
  quorumWouldBeLost: status.FAILED_PRECONDITION,
  learnerNotCaughtUp: status.FAILED_PRECONDITION,
  transferInProgress: status.UNAVAILABLE,
  // Not to be repeated by itself: each attempt holds up writes for as long as an election.
  transferTimeout: status.FAILED_PRECONDITION,
  readTimeout: status.UNAVAILABLE,
  stopped: status.UNAVAILABLE,
  storageFailed: status.UNAVAILABLE,
  stateMachineFailed: status.UNAVAILABLE,
  transportFailed: status.UNAVAILABLE,
  damaged: status.UNAVAILABLE,
  invariantViolated: status.UNAVAILABLE,
};

const overlayStatus: Readonly<Record<OverlayErrorCode, status>> = {
  unknownVCluster: status.NOT_FOUND,
  tooLarge: status.FAILED_PRECONDITION,
  compressionFailed: status.UNAVAILABLE,
  closed: status.UNAVAILABLE,
};

/** The status of a failure that is part of the design; undefined for a defect of this program. */
export function statusOf(error: unknown): Status | undefined {
  if (isCallError(error)) return { code: error.code, details: error.message, metadata: error.metadata };
  if (isAuthError(error)) {
    const metadata = new Metadata();
    metadata.set(AUTH_REASON_KEY, error.reason);
    return { code: statusOfAuthError(error), details: error.message, metadata };
  }
  if (isWireError(error))
    return { code: status.INVALID_ARGUMENT, details: error.message, metadata: new Metadata() };
  if (isOverlayError(error))
    return { code: overlayStatus[error.code], details: error.message, metadata: new Metadata() };
  if (isJournalStateError(error)) {
    const code = error.code === 'unknownSequence' ? status.NOT_FOUND : status.INVALID_ARGUMENT;
    return { code, details: error.message, metadata: new Metadata() };
  }
  if (!isRaftError(error)) return undefined;
  const metadata = new Metadata();
  if (error.outcome === 'unknown') metadata.set(OUTCOME_KEY, 'unknown');
  const noLeader = isNotLeaderError(error) && error.leaderId === 0;
  return {
    code: raftStatus[error.code],
    details: noLeader ? 'there is no leader at the moment; try again' : error.message,
    metadata,
  };
}

/** The same status in the words of the front. */
export function frontStatus({ code, details, metadata }: Status): CallStatus {
  const trailers = Object.entries(metadata.getMap()).map(([key, value]) => [key, String(value)] as const);
  return { code, message: details, trailers: Object.fromEntries(trailers) };
}
