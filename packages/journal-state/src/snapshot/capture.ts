import { encodeBase64 } from '../base64.ts';
import { encodeUtf8 } from '../canonical.ts';
import { segmentRecords } from '../log/segment-log.ts';
import type { Segment, SegmentLog } from '../log/segment-log.ts';
import type { CapturedChunk } from '../tables/cow-table.ts';
import type { NodeRecord } from '../tables/nodes.ts';
import type { RequestRun } from '../tables/requests.ts';
import type { Tables } from '../tables/tables.ts';
import type { ExportCursor, Timestamp } from '../types.ts';
import type { StoredOverlay } from '../view.ts';

/** Bumped when older code could not read what newer code writes. */
export const SNAPSHOT_FORMAT = 1;

/**
 * A part of a snapshot: records of one JSON document each, without newlines. A sealed section's content never changes
 * again for its key. The bytes are views of the journal's own memory: not to be changed or transferred.
 */
export interface JournalSnapshotSection {
  readonly key: string;
  readonly sealed: boolean;
  records(): Iterable<Uint8Array>;
}

export interface JournalSnapshot {
  readonly sections: readonly JournalSnapshotSection[];
  /** Lets go of what the snapshot holds. Its sections must not be read afterwards. */
  release(): void;
}

/** The first section's only record: what the others must add up to. */
export interface SnapshotSummary {
  readonly clock: Timestamp;
  /** Left out where there is none. */
  readonly cursors?: readonly ExportCursor[];
  readonly digest: string;
  readonly entries: number;
  readonly format: number;
  readonly nodes: number;
  /** Number of changes of the table of nodes. */
  readonly nodes_changes: number;
  readonly operations: number;
  readonly overlays: number;
  readonly requests_total: number;
}

export function captureSnapshot(tables: Tables, digest: string): JournalSnapshot {
  const nodes = tables.nodes.capture();
  const overlays = tables.overlays.capture();
  const summary: SnapshotSummary = {
    clock: tables.clock,
    ...(tables.cursors.size === 0 ? {} : { cursors: tables.cursors.capture() }),
    digest,
    entries: tables.entries.length,
    format: SNAPSHOT_FORMAT,
    nodes: nodes.length,
    nodes_changes: tables.nodes.changes,
    operations: tables.operations.length,
    overlays: overlays.length,
    requests_total: tables.requests.total,
  };
  let sections: readonly JournalSnapshotSection[] = [
    { key: 'summary', sealed: false, records: () => [jsonBytes(summary)] },
    ...Array.from(nodes.chunks(), nodesSection),
    ...tables.requests.capture().map(requestsSection),
    ...history('entries', tables.entries.segments),
    ...history('operations', tables.operations.segments),
    ...overlays.map(overlaySection),
  ];
  return {
    get sections() {
      return sections;
    },
    release() {
      sections = [];
    },
  };
}

const jsonBytes = (json: object): Uint8Array => encodeUtf8(JSON.stringify(json));
const position = (sequence: number): string => String(sequence).padStart(12, '0');

/** Named by the change that made it what it is: as long as none of its nodes changes, snapshots share it. */
function nodesSection({ first, changedAt, records }: CapturedChunk<NodeRecord>): JournalSnapshotSection {
  return {
    key: `nodes/${position(first)}-${position(changedAt)}`,
    sealed: true,
    *records() {
      for (const { assignments, node_id, state } of records) yield jsonBytes({ assignments, node_id, state });
    },
  };
}

function requestsSection(run: RequestRun): JournalSnapshotSection {
  const { first, length, whole } = run;
  return {
    key: whole ? `requests/${position(first)}-${position(first + length - 1)}` : 'requests/open',
    sealed: whole,
    *records() {
      for (const { request_id, result } of run.records()) yield jsonBytes({ request_id, result });
    },
  };
}

/** Sealed segments are named by their first and last record, so that a key stands for one content for ever. */
function history(name: string, log: SegmentLog): JournalSnapshotSection[] {
  const { sealed, open: tail } = log.capture();
  const sections: JournalSnapshotSection[] = sealed.map((segment) => {
    const last = segment.first + segment.ends.length - 1;
    return {
      key: `${name}/${position(segment.first)}-${position(last)}`,
      sealed: true,
      records: () => recordsOf(segment),
    };
  });
  sections.push({ key: `${name}/open`, sealed: false, records: () => recordsOf(tail) });
  return sections;
}

const recordsOf = (segment: Segment): Iterable<Uint8Array> => segmentRecords(segment);

function overlaySection({
  vcluster_id,
  version,
  data,
  checksum,
  raw_size_bytes,
}: StoredOverlay): JournalSnapshotSection {
  return {
    key: `overlays/${vcluster_id}/${position(version)}-${checksum.slice('sha256:'.length)}`,
    sealed: true,
    *records() {
      yield jsonBytes({ checksum, data: encodeBase64(data), raw_size_bytes, vcluster_id, version });
    },
  };
}
