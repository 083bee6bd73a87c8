/** What goes to Loki in one request. */
import { entrySeq, type JournalView } from '@pact-journal/journal-state';
import { labelsOf, lineOf, timeOf, type LineOptions, type LokiEntry, type Position } from './line.ts';

export interface Batch {
  readonly entries: readonly LokiEntry[];
  /** Where to go on once it has arrived. */
  readonly end: Position;
  /** Left out because Loki would refuse entries of that age. */
  readonly tooOld: number;
  /** More could follow at once. */
  readonly full: boolean;
}

export interface BatchLimits extends LineOptions {
  /** Of all lines together. At least one entry is taken whatever its size. */
  readonly batchSizeBytesMax: number;
  readonly entriesMax: number;
  /** Entries from before this are left out; 0 leaves none out. In nanoseconds since 1970. */
  readonly oldestNs: bigint;
}

/** Entries are read in slices, so that consensus gets its turn in between. */
const ENTRIES_PER_TURN = 128;

/** Reads the entries that follow a position. The journal is looked up anew in each turn, because a snapshot replaces it. */
export async function collect(
  journal: () => JournalView,
  from: Position,
  limits: BatchLimits,
): Promise<Batch> {
  const entries: LokiEntry[] = [];
  let { next, lastNs } = from;
  let sizeBytes = 0;
  let tooOld = 0;
  for (let taken = 1; ; taken += 1) {
    const entry = journal().entry(entrySeq(next));
    if (entry === undefined) return { entries, end: { next, lastNs }, tooOld, full: false };
    const timeNs = timeOf(entry, lastNs);
    if (timeNs < limits.oldestNs) tooOld += 1;
    else {
      const line = lineOf(entry, limits);
      sizeBytes += line.length;
      if (entries.length > 0 && sizeBytes > limits.batchSizeBytesMax) break;
      entries.push({ sequence: next, labels: labelsOf(entry), timeNs, line });
    }
    next += 1;
    lastNs = timeNs;
    if (entries.length >= limits.entriesMax) break;
    if (taken % ENTRIES_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return { entries, end: { next, lastNs }, tooOld, full: true };
}

/**
 * The body of a push (https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs): a stream for each set
 * of labels, its entries in the order of the journal.
 */
export function encodePush(entries: readonly LokiEntry[]): string {
  const streams = new Map<string, { stream: LokiEntry['labels']; values: [string, string][] }>();
  for (const { labels, timeNs, line } of entries) {
    const key = JSON.stringify([labels.entry_type, labels.vcluster]);
    const known = streams.get(key);
    const value: [string, string] = [String(timeNs), line];
    if (known === undefined) streams.set(key, { stream: labels, values: [value] });
    else known.values.push(value);
  }
  return JSON.stringify({ streams: [...streams.values()] });
}
