import { status } from '@grpc/grpc-js';
import type { Logger } from '../log.ts';
import type { Identity, JournalState, Timestamp } from '@pact-journal/journal-state';
import type { OverlayManager } from '@pact-journal/overlay-builder';
import type { Access } from '../../auth/index.ts';
import { CallError } from '../grpc-status.ts';
import type { RpcHost } from '../rpc.ts';
import type { JournalWriter } from '../writer.ts';

/** What the services are made of. */
export interface ServiceContext {
  readonly log: Logger;
  readonly rpc: RpcHost;
  readonly access: Access;
  readonly writer: JournalWriter;
  /** The local replica as it is now. Asked anew for each use: an installed snapshot replaces it. */
  readonly journal: () => JournalState;
  readonly overlays: OverlayManager;
  /** The time as the journal counts it. */
  readonly now: () => Timestamp;
}

/** For journal-proto's mappers: the author that is known takes the place of the one that is claimed. */
export function authored(author: Identity | undefined): { readonly author?: Identity } {
  return author === undefined ? {} : { author };
}

export function notFound(what: string): CallError {
  return new CallError(status.NOT_FOUND, what);
}

/** As things stand, it cannot be done. */
export function notPossible(what: string): CallError {
  return new CallError(status.FAILED_PRECONDITION, what);
}

export function invalid(what: string): CallError {
  return new CallError(status.INVALID_ARGUMENT, what);
}

/** The id of a node or virtual cluster in a request. */
export function requiredId(value: string, field: string): string {
  if (value === '') throw invalid(`${field}: must be given`);
  return value;
}
