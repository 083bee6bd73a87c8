/** A typed client of the pact journal. */
export { JournalClient } from './client.ts';
export { isJournalClientError, JournalClientError } from './errors.ts';
export type { JournalClientErrorCode, JournalClientErrorDetails } from './errors.ts';
export type { CallOptions, JournalClientOptions, WriteOptions } from './options.ts';
export type * from './types.ts';
export type { BlamedItem, NodeDetail, OverlayInfo } from '@pact-journal/journal-proto';
export { openSpool } from './spool/spool.ts';
export type { Spool, SpoolEvent, SpoolOptions, SpoolStatus } from './spool/spool.ts';
