/** The entry that every commit benchmark writes: 512 bytes as a message on the wire. */
import { journal, newEntryToWire } from '@pact-journal/journal-proto';
import { emptyDelta } from '@pact-journal/journal-state';
import type { NewConfigEntry } from '@pact-journal/journal-state';

export const ENTRY_SIZE_BYTES = 512;

/** A node's commit of one sysctl whose value fills the message up to `ENTRY_SIZE_BYTES`. */
export function benchEntry(): NewConfigEntry {
  const entryOf = (fill: number): NewConfigEntry => ({
    entry_type: 'Commit',
    scope: { VCluster: 'bench' },
    author: { principal: 'bench@example.org', principal_type: 'Human', role: 'pact-platform-admin' },
    parent: null,
    state_delta: {
      ...emptyDelta(),
      kernel: [{ action: 'Add', key: 'kernel.bench', value: 'x'.repeat(fill), previous: null }],
    },
    policy_ref: null,
    ttl_seconds: null,
    emergency_reason: null,
  });
  const spare = ENTRY_SIZE_BYTES - encodeAppend(entryOf(200)).length;
  return entryOf(200 + spare);
}

/** The body of a unary AppendEntry. */
export function encodeAppend(entry: NewConfigEntry): Uint8Array {
  return journal.AppendEntryRequest.encode({ entry: newEntryToWire(entry).entry }).finish();
}

export const JOURNAL_APPEND_PATH = '/pact.journal.ConfigService/AppendEntry';
