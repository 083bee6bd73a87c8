/**
 * A snapshot's own file: what it is a snapshot of, which chunks its sealed sections are in, and its open sections.
 *
 *     {"crc32c":"...","kind":"header","format":1,"cluster_id":...,"index":...,"term":...,"conf_state":{...},"members":[...]}
 *     {"crc32c":"...","kind":"sealed","key":"entries/0000000000","records":4096,"chunks":[{"sha256":...,"size_bytes":...,...}]}
 *     {"crc32c":"...","kind":"open","key":"nodes"}
 *     {"record":{...}}                                   (or blocks of compressed records: see open-section.ts)
 *     {"crc32c":"...","kind":"close","key":"nodes","records":1,"records_crc32c":123}
 *     {"crc32c":"...","kind":"end","sections":2}
 *
 * Every line that is not a record carries its own checksum, records are covered by that of their section's `close`, and
 * a file without its `end` is half-written.
 */
import type { ConfState, Member, NodeId, SnapshotMeta } from '@pact-journal/raft-core';
import { toLogIndex, toNodeId, toTerm } from '@pact-journal/raft-core';
import { isJsonObject, naturalField, stringField } from '../checksum.ts';
import type { JsonObject } from '../checksum.ts';
import { FORMAT_VERSION, isSha256 } from '../layout.ts';

/** A piece of a sealed section: records joined by newlines, compressed, named by its hash. */
export interface ChunkInfo {
  readonly sha256: string;
  readonly sizeBytes: number;
  readonly rawSizeBytes: number;
  readonly records: number;
}

export interface SealedSection {
  readonly kind: 'sealed';
  readonly key: string;
  readonly chunks: readonly ChunkInfo[];
}

export interface OpenSection {
  readonly kind: 'open';
  readonly key: string;
  /** Where its records are in the snapshot's file. */
  readonly offset: number;
  readonly sizeBytes: number;
  readonly records: number;
}

export type Section = SealedSection | OpenSection;

export function headerDocument(clusterId: string, meta: SnapshotMeta): JsonObject {
  const { confState } = meta;
  return {
    kind: 'header',
    format: FORMAT_VERSION,
    cluster_id: clusterId,
    index: meta.index,
    term: meta.term,
    conf_state: {
      voters: confState.voters,
      voters_outgoing: confState.votersOutgoing,
      learners: confState.learners,
      learners_next: confState.learnersNext,
      auto_leave: confState.autoLeave,
    },
    members: meta.members.map((member) => ({
      id: member.id,
      address: member.address,
      attributes: member.attributes,
    })),
  };
}

export interface Header {
  readonly format: number;
  readonly clusterId: string;
  readonly meta: SnapshotMeta;
}

/** Undefined where the document is not a header. */
export function parseHeader(document: JsonObject): Header | undefined {
  const format = naturalField(document, 'format');
  const clusterId = stringField(document, 'cluster_id');
  const index = naturalField(document, 'index');
  const term = naturalField(document, 'term');
  const confState = parseConfState(document['conf_state']);
  const members = parseMembers(document['members']);
  if (document['kind'] !== 'header' || format === undefined || clusterId === undefined) return undefined;
  if (index === undefined || term === undefined || confState === undefined || members === undefined)
    return undefined;
  return { format, clusterId, meta: { index: toLogIndex(index), term: toTerm(term), confState, members } };
}

function parseIds(value: unknown): NodeId[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const ids: NodeId[] = [];
  for (const id of value) {
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id < 1) return undefined;
    ids.push(toNodeId(id));
  }
  return ids;
}

function parseConfState(value: unknown): ConfState | undefined {
  if (!isJsonObject(value)) return undefined;
  const voters = parseIds(value['voters']);
  const votersOutgoing = parseIds(value['voters_outgoing']);
  const learners = parseIds(value['learners']);
  const learnersNext = parseIds(value['learners_next']);
  const autoLeave = value['auto_leave'];
  if (
    voters === undefined ||
    votersOutgoing === undefined ||
    learners === undefined ||
    learnersNext === undefined
  )
    return undefined;
  return typeof autoLeave === 'boolean'
    ? { voters, votersOutgoing, learners, learnersNext, autoLeave }
    : undefined;
}

function parseMembers(value: unknown): Member[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const members: Member[] = [];
  for (const item of value as readonly unknown[]) {
    const member = isJsonObject(item) ? parseMember(item) : undefined;
    if (member === undefined) return undefined;
    members.push(member);
  }
  return members;
}

function parseMember(item: JsonObject): Member | undefined {
  const id = naturalField(item, 'id');
  const address = stringField(item, 'address');
  const given = item['attributes'];
  if (id === undefined || id === 0 || address === undefined || !isJsonObject(given)) return undefined;
  const attributes: Record<string, string> = {};
  for (const [name, text] of Object.entries(given)) {
    if (typeof text !== 'string') return undefined;
    attributes[name] = text;
  }
  return { id: toNodeId(id), address, attributes };
}

export function sealedDocument(section: SealedSection): JsonObject {
  return {
    kind: 'sealed',
    key: section.key,
    records: section.chunks.reduce((sum, chunk) => sum + chunk.records, 0),
    chunks: section.chunks.map((chunk) => ({
      sha256: chunk.sha256,
      size_bytes: chunk.sizeBytes,
      raw_size_bytes: chunk.rawSizeBytes,
      records: chunk.records,
    })),
  };
}

/** Undefined where the document is not a sealed section. */
export function parseSealed(document: JsonObject): SealedSection | undefined {
  const key = stringField(document, 'key');
  const items = document['chunks'];
  if (document['kind'] !== 'sealed' || key === undefined || !Array.isArray(items)) return undefined;
  const chunks: ChunkInfo[] = [];
  for (const item of items as readonly unknown[]) {
    const chunk = isJsonObject(item) ? parseChunk(item) : undefined;
    if (chunk === undefined) return undefined;
    chunks.push(chunk);
  }
  return { kind: 'sealed', key, chunks };
}

/** Far above what any record makes of a chunk: so much memory at the most is taken because a manifest says so. */
const CHUNK_SIZE_BYTES_MAX = 256 * 1024 * 1024;

function parseChunk(item: JsonObject): ChunkInfo | undefined {
  const sha256 = stringField(item, 'sha256');
  const sizeBytes = naturalField(item, 'size_bytes');
  const rawSizeBytes = naturalField(item, 'raw_size_bytes');
  const records = naturalField(item, 'records');
  if (sha256 === undefined || !isSha256(sha256) || sizeBytes === undefined) return undefined;
  if (rawSizeBytes === undefined || records === undefined) return undefined;
  return Math.max(sizeBytes, rawSizeBytes) > CHUNK_SIZE_BYTES_MAX
    ? undefined
    : { sha256, sizeBytes, rawSizeBytes, records };
}
