import { status } from '@grpc/grpc-js';
import type { Logger } from '../log.ts';
import type { JournalState, Timestamp } from '@pact-journal/journal-state';
import type { OverlayManager } from '@pact-journal/overlay-builder';
import { CallError } from '../grpc-status.ts';
import type { RpcHost } from '../rpc.ts';
import type { JournalWriter } from '../writer.ts';

/** What the services are made of. */
export interface ServiceContext {
  readonly log: Logger;
  readonly rpc: RpcHost;
  readonly writer: JournalWriter;
  /** The local replica as it is now. Asked anew for each use: an installed snapshot replaces it. */
  readonly journal: () => JournalState;
  readonly overlays: OverlayManager;
  /** The time as the journal counts it. */
  readonly now: () => Timestamp;
}

export function notFound(what: string): CallError {
  return new CallError(status.NOT_FOUND, what);
}

export function invalid(what: string): CallError {
  return new CallError(status.INVALID_ARGUMENT, what);
}

/** The id of a node or virtual cluster in a request. */
export function requiredId(value: string, field: string): string {
  if (value === '') throw invalid(`${field}: must be given`);
  return value;
}
