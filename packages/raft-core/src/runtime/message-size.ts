import type { Entry, Message } from '../core/types.ts';

/** What an entry costs beside its data, roughly, in memory and on the wire. */
const ENTRY_OVERHEAD_BYTES = 24;
const MESSAGE_OVERHEAD_BYTES = 48;

/** An estimate for limits on queues: data and overhead of an entry. */
export function entrySizeBytes(entry: Entry): number {
  return entry.data.length + ENTRY_OVERHEAD_BYTES;
}

/** Sum over entries, see {@link entrySizeBytes}. */
export function entriesSizeBytes(entries: readonly Entry[]): number {
  let bytes = entries.length * ENTRY_OVERHEAD_BYTES;
  for (const entry of entries) bytes += entry.data.length;
  return bytes;
}

/** An estimate for limits on queues: a message with its entries. */
export function messageSizeBytes(message: Message): number {
  return MESSAGE_OVERHEAD_BYTES + message.context.length + entriesSizeBytes(message.entries);
}
