/**
 * Committed log entries in one object: a first line that says which, and zstd-compressed JSON Lines, an entry each.
 *
 *     {"index":7,"term":2,"type":"normal","command":{...}}
 *     {"index":8,"term":3,"type":"normal"}                     (a new leader's empty entry)
 *     {"index":9,"term":3,"type":"confChangeV2","data":"<base64>"}
 *
 * Each object names the one before it by its hash, so that none can be left out or put in.
 */
import { decompressBounded } from '@pact-journal/boot-stream';
import { toLogIndex, toTerm, type Entry, type EntryType } from '@pact-journal/raft-core';
import { compress } from 'zstd-napi';
import { damagedObject } from '../errors.ts';
import { Fields, isJsonObject, openObject, sealObject } from './document.ts';
import { parseLogKey } from './keys.ts';

/** What a replica's state was right after an entry. */
export interface Checkpoint {
  readonly index: number;
  readonly digest: string;
  readonly headHash: string;
  /** Number of journal entries. */
  readonly entries: number;
}

export interface BatchHeader {
  readonly clusterId: string;
  /** Who exported it, leading in which term. */
  readonly nodeId: number;
  readonly writerTerm: number;
  readonly firstIndex: number;
  readonly lastIndex: number;
  /** First index since which there is no gap in the exported log. */
  readonly runFirstIndex: number;
  /** Hash of the object that ends right before this one; null at the beginning of a run. */
  readonly previous: string | null;
  /** Times of the first and last command; null where there is no command in it. */
  readonly firstTime: string | null;
  readonly lastTime: string | null;
  /** The state after `lastIndex`; null where the exporting node no longer knew it. */
  readonly checkpoint: Omit<Checkpoint, 'index'> | null;
}

export interface LogBatch extends BatchHeader {
  /** Stands for the object in the next one's `previous`. */
  readonly sha256: string;
  readonly entries: readonly Entry[];
}

/** Entries are put into one object up to this size together, unless one alone is larger. */
export const BATCH_RAW_SIZE_BYTES = 1024 * 1024;
/** No batch is larger, compressed or not: one entry with an overlay in it is the largest. */
export const BATCH_SIZE_BYTES_MAX = 64 * 1024 * 1024;
const COMPRESSION_LEVEL = 3;
const COMMAND_FIELD = ',"command":';

export function encodeBatch(
  header: Omit<BatchHeader, 'firstTime' | 'lastTime'>,
  entries: readonly Entry[],
): { readonly bytes: Uint8Array; readonly sha256: string; readonly rawSizeBytes: number } {
  const raw = Buffer.concat(entries.flatMap(encodeEntry));
  const { checkpoint } = header;
  const sealed = sealObject(
    'log',
    {
      cluster_id: header.clusterId,
      node_id: header.nodeId,
      writer_term: header.writerTerm,
      first_index: header.firstIndex,
      last_index: header.lastIndex,
      run_first_index: header.runFirstIndex,
      previous: header.previous,
      first_time: firstTimeOf(entries) ?? null,
      last_time: firstTimeOf(entries.toReversed()) ?? null,
      checkpoint:
        checkpoint === null
          ? null
          : { digest: checkpoint.digest, head_hash: checkpoint.headHash, entries: checkpoint.entries },
      raw_size_bytes: raw.length,
    },
    compress(raw, { compressionLevel: COMPRESSION_LEVEL }),
  );
  return { ...sealed, rawSizeBytes: raw.length };
}

/** Of the first command among them; only as many entries are looked at as it takes. */
function firstTimeOf(entries: readonly Entry[]): string | undefined {
  for (const entry of entries) {
    const time = commandTime(entry);
    if (time !== undefined) return time;
  }
  return undefined;
}

function encodeEntry({ index, term, type, data }: Entry): Uint8Array[] {
  const head = `{"index":${String(index)},"term":${String(term)},"type":"${type}"`;
  if (data.length === 0) return [Buffer.from(`${head}}\n`)];
  // Commands are canonical JSON on one line; anything else is kept as it is too.
  if (type === 'normal' && data[0] === 0x7b && !data.includes(0x0a))
    return [Buffer.from(head + COMMAND_FIELD), data, Buffer.from('}\n')];
  return [Buffer.from(`${head},"data":"${Buffer.from(data).toString('base64')}"}\n`)];
}

/** Reads a batch back. Throws `damaged` where any byte is not what was written. */
export function decodeBatch(key: string, bytes: Uint8Array): LogBatch {
  const { document, body, sha256 } = openObject(key, 'log', bytes);
  const fields = new Fields(key, document);
  const header = decodeHeader(fields);
  if (parseLogKey(key) !== header.firstIndex)
    throw damagedObject(key, `begins with entry ${String(header.firstIndex)}`);
  const entries = decodeEntries(key, body, fields.count('raw_size_bytes'));
  const { firstIndex, lastIndex } = header;
  const wrong = entries.findIndex(({ index }, at) => index !== firstIndex + at);
  if (wrong >= 0 || entries.length !== lastIndex - firstIndex + 1)
    throw damagedObject(key, `does not hold the entries ${String(firstIndex)} to ${String(lastIndex)}`);
  return { ...header, sha256, entries };
}

function decodeHeader(fields: Fields): BatchHeader {
  const checkpoint = fields.optionalObject('checkpoint');
  return {
    clusterId: fields.text('cluster_id'),
    nodeId: fields.count('node_id', 1),
    writerTerm: fields.count('writer_term'),
    firstIndex: fields.count('first_index', 1),
    lastIndex: fields.count('last_index', 1),
    runFirstIndex: fields.count('run_first_index', 1),
    previous: fields.optionalText('previous'),
    firstTime: fields.optionalText('first_time'),
    lastTime: fields.optionalText('last_time'),
    checkpoint:
      checkpoint === null
        ? null
        : {
            digest: checkpoint.text('digest'),
            headHash: checkpoint.text('head_hash'),
            entries: checkpoint.count('entries'),
          },
  };
}

function decodeEntries(key: string, body: Uint8Array, rawSizeBytes: number): readonly Entry[] {
  let raw: Buffer;
  try {
    raw = decompressBounded(body, Math.min(rawSizeBytes, BATCH_SIZE_BYTES_MAX));
  } catch (error) {
    throw damagedObject(key, `does not decompress to ${String(rawSizeBytes)} bytes`, error);
  }
  if (raw.length !== rawSizeBytes)
    throw damagedObject(
      key,
      `holds ${String(raw.length)} bytes, its first line says ${String(rawSizeBytes)}`,
    );
  const entries: Entry[] = [];
  for (let start = 0; start < raw.length;) {
    const end = raw.indexOf(0x0a, start);
    if (end < 0) throw damagedObject(key, 'its last entry is cut short');
    entries.push(decodeEntry(key, raw.toString('utf8', start, end)));
    start = end + 1;
  }
  return entries;
}

function decodeEntry(key: string, line: string): Entry {
  const at = line.indexOf(COMMAND_FIELD);
  const head = at < 0 ? line : `${line.slice(0, at)}}`;
  const json = parseJson(key, head);
  const [index, term, type, data] = [json['index'], json['term'], json['type'], json['data']];
  if (typeof index !== 'number' || typeof term !== 'number' || !isEntryType(type))
    throw damagedObject(key, 'has a line that is no log entry');
  const bytes =
    at < 0
      ? Buffer.from(typeof data === 'string' ? data : '', 'base64')
      : Buffer.from(line.slice(at + COMMAND_FIELD.length, -1));
  return { index: toLogIndex(index), term: toTerm(term), type, data: bytes };
}

function parseJson(key: string, text: string): Readonly<Record<string, unknown>> {
  try {
    const json: unknown = JSON.parse(text);
    if (isJsonObject(json)) return json;
  } catch (error) {
    throw damagedObject(key, 'has a line that is not JSON', error);
  }
  throw damagedObject(key, 'has a line that is no log entry');
}

function isEntryType(value: unknown): value is EntryType {
  return value === 'normal' || value === 'confChange' || value === 'confChangeV2';
}

const TIME = /"time":"([^"]{20,40})"\}$/u;
/** A command's envelope ends with its time. */
const TIME_FIELD_SIZE_BYTES = 64;

/** The time that the leader gave a command; undefined for entries that are none. */
export function commandTime({ type, data }: Entry): string | undefined {
  if (type !== 'normal' || data.length === 0) return undefined;
  const tail = Buffer.from(data.buffer, data.byteOffset, data.length).toString(
    'latin1',
    Math.max(0, data.length - TIME_FIELD_SIZE_BYTES),
  );
  return TIME.exec(tail)?.[1];
}
