import type { Entry, Message, Snapshot } from '../core/types.ts';

/** What an entry costs beside its data, roughly, in memory and on the wire. */
const ENTRY_OVERHEAD_BYTES = 24;
const MESSAGE_OVERHEAD_BYTES = 48;
const ID_BYTES = 8;

/** An estimate for limits on queues: data and overhead of an entry. */
export function entrySizeBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

/** Sum over entries, see {@link entrySizeBytes}. */
export function entriesSizeBytes(entries: readonly Entry[]): number {
  return entries.reduce((bytes, entry) => bytes + entry.data.length, entries.length * ENTRY_OVERHEAD_BYTES);
}

/** An estimate for limits on queues: a message with its entries and what it carries of a snapshot. */
export function messageSizeBytes(message: Message): number {
  const { context, entries, snapshot } = message;
  const bytes = MESSAGE_OVERHEAD_BYTES + context.length + entriesSizeBytes(entries);
  return snapshot === undefined ? bytes : bytes + snapshotSizeBytes(snapshot);
}

function snapshotSizeBytes({ data, metadata }: Snapshot): number {
  const { voters, learners, votersOutgoing, learnersNext } = metadata.confState;
  const ids = voters.length + learners.length + votersOutgoing.length + learnersNext.length;
  return data.length + ids * ID_BYTES;
}
