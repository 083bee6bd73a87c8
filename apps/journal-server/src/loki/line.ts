/** A journal entry as Loki gets it: the same labels, time and line whichever replica writes it. */
import { timestampToMs, type ConfigEntry } from '@pact-journal/journal-state';

/** The labels of a stream. There are as many streams as virtual clusters times entry types, never one a node. */
export interface StreamLabels {
  readonly component: 'pact-journal';
  readonly entry_type: string;
  /** Left out where the entry is not about one virtual cluster. */
  readonly vcluster?: string;
}

/** How far the journal has been written out. */
export interface Position {
  /** The first entry that Loki does not have yet. */
  readonly next: number;
  /** Time of the entry before it, in nanoseconds since 1970. */
  readonly lastNs: bigint;
}

export const START: Position = { next: 0, lastNs: 0n };

export interface LokiEntry {
  readonly sequence: number;
  readonly labels: StreamLabels;
  /** Nanoseconds since 1970. */
  readonly timeNs: bigint;
  readonly line: string;
}

export interface LineOptions {
  readonly clusterId: string;
  /** In UTF-8 bytes. Loki refuses longer lines than its `max_line_size`. */
  readonly lineSizeBytesMax: number;
}

export function labelsOf({ entry_type, scope }: ConfigEntry): StreamLabels {
  const labels = { component: 'pact-journal', entry_type } as const;
  return typeof scope === 'object' && 'VCluster' in scope ? { ...labels, vcluster: scope.VCluster } : labels;
}

/**
 * An entry's time in Loki: its own, or, where the entry before it has that or a later one, a nanosecond more than that.
 * So times give the order of the journal, and an entry that is written a second time is the same to the nanosecond,
 * which is what Loki recognises a repetition by.
 */
export function timeOf(entry: ConfigEntry, lastNs: bigint): bigint {
  const own = BigInt(timestampToMs(entry.timestamp) ?? 0) * 1_000_000n;
  return own > lastNs ? own : lastNs + 1n;
}

/** The entry's JSON, or, where that is too long for a line, what identifies it. */
export function lineOf(entry: ConfigEntry, { clusterId, lineSizeBytesMax }: LineOptions): string {
  const whole = JSON.stringify({ cluster_id: clusterId, ...entry });
  if (Buffer.byteLength(whole) <= lineSizeBytesMax) return whole;
  const { sequence, timestamp, entry_type, scope, author, parent, hash } = entry;
  return JSON.stringify({
    cluster_id: clusterId,
    truncated: true,
    whole_size_bytes: Buffer.byteLength(whole),
    sequence,
    timestamp,
    entry_type,
    scope,
    author,
    parent,
    hash,
  });
}
