/** A snapshot in a backup: what it is of, and the content-addressed objects that it is made of. */
import type { SnapshotChunkRef } from '@pact-journal/raft-core';
import { damagedObject } from '../errors.ts';
import { Fields, openObject, sealObject } from './document.ts';
import { parseSnapshotKey } from './keys.ts';

export interface SnapshotRecord {
  readonly clusterId: string;
  readonly index: number;
  readonly term: number;
  /** Number of journal entries in it: sequences 0 to `entries - 1`. */
  readonly entries: number;
  readonly operations: number;
  /** The latest time that any command in it carries. */
  readonly clock: string;
  /** Of the whole state. */
  readonly digest: string;
  /** When it was exported and by which node. */
  readonly createdAt: string;
  readonly nodeId: number;
  /** The snapshot's own file as wal-storage writes it, and the chunks that it refers to. */
  readonly manifest: SnapshotChunkRef;
  readonly chunks: readonly SnapshotChunkRef[];
}

/** At most this large: a chunk takes 100 bytes and stands for a MiB. */
export const SNAPSHOT_RECORD_SIZE_BYTES_MAX = 64 * 1024 * 1024;

const refToJson = ({ sha256, sizeBytes }: SnapshotChunkRef): object => ({ sha256, size_bytes: sizeBytes });

export function encodeSnapshotRecord(record: SnapshotRecord): Uint8Array {
  return sealObject('snapshot', {
    cluster_id: record.clusterId,
    index: record.index,
    term: record.term,
    entries: record.entries,
    operations: record.operations,
    clock: record.clock,
    digest: record.digest,
    created_at: record.createdAt,
    node_id: record.nodeId,
    manifest: refToJson(record.manifest),
    chunks: record.chunks.map(refToJson),
  }).bytes;
}

/** Throws `damaged` where the object is not what was written, or has another's name. */
export function decodeSnapshotRecord(key: string, bytes: Uint8Array): SnapshotRecord {
  const fields = new Fields(key, openObject(key, 'snapshot', bytes).document);
  const ref = (from: Fields): SnapshotChunkRef => ({
    sha256: from.sha256('sha256'),
    sizeBytes: from.count('size_bytes'),
  });
  const record: SnapshotRecord = {
    clusterId: fields.text('cluster_id'),
    index: fields.count('index', 1),
    term: fields.count('term'),
    entries: fields.count('entries'),
    operations: fields.count('operations'),
    clock: fields.text('clock'),
    digest: fields.text('digest'),
    createdAt: fields.text('created_at'),
    nodeId: fields.count('node_id', 1),
    manifest: ref(fields.object('manifest')),
    chunks: fields.list('chunks').map(ref),
  };
  const named = parseSnapshotKey(key);
  if (named?.index !== record.index || named.term !== record.term)
    throw damagedObject(key, `is the snapshot of index ${String(record.index)}, term ${String(record.term)}`);
  return record;
}

/** All that a snapshot needs, each once. */
export function piecesOf(record: SnapshotRecord): readonly SnapshotChunkRef[] {
  const unique = new Map([record.manifest, ...record.chunks].map((ref) => [ref.sha256, ref]));
  return [...unique.values()];
}
