import { JournalStateError } from '../errors.ts';
import type { JournalState } from '../journal-state.ts';
import { RestoreBuilder } from '../snapshot/restore.ts';
import { RestoreThread } from './restore-thread.ts';
import { nativeSha256 } from './native-sha256.ts';

/** A snapshot's sections, in the order in which they were written. */
export type SnapshotSections = AsyncIterable<{
  readonly key: string;
  readonly records: AsyncIterable<Uint8Array>;
}>;

/**
 * Builds a journal from a snapshot, like {@link RestoreBuilder}, with a second thread that verifies the hashes of entries
 * meanwhile. Everything is verified when it resolves. Rejects with `JournalStateError` `snapshotDamaged` or
 * `snapshotUnsupported`, and with what reading the sections fails with.
 */
export async function restoreJournal(sections: SnapshotSections): Promise<JournalState> {
  const thread = new RestoreThread();
  const checkVerdicts = (): void => {
    if (thread.broken < 0) return;
    const message = `snapshot section entries: entry ${String(thread.broken)} does not have the hash that follows from it and its predecessor`;
    throw new JournalStateError('snapshotDamaged', message, { path: 'entries' });
  };
  const builder = new RestoreBuilder({
    sha256: nativeSha256,
    verifyLater: (stretch) => thread.verify(stretch),
    allocate: (sizeBytes) => thread.allocate(sizeBytes),
  });
  try {
    for await (const { key, records } of sections) {
      builder.section(key);
      checkVerdicts();
      for await (const record of records) builder.record(record);
    }
    const journal = builder.finish();
    await thread.verified();
    checkVerdicts();
    return journal;
  } finally {
    await thread.close();
  }
}
