/** What the state machine can have where it runs on Node. Everything else in this package runs anywhere. */
export { nativeSha256 } from './native-sha256.ts';
export { restoreJournal } from './restore-journal.ts';
export type { SnapshotSections } from './restore-journal.ts';
