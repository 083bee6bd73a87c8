/**
 * The records of an open section within a snapshot's file. A small section has a line a record, for people to read; of a
 * larger one, which may be most of what a snapshot writes, records are compressed by the block:
 *
 *     {"record":{...}}
 *     {"crc32c":"...","kind":"block","records":2048,"raw_size_bytes":262150,"zstd":"<base64>"}
 *
 * A large record has a line of its own in any case: what makes records large is compressed already.
 */
import { Compressor } from 'zstd-napi';
import { naturalField, parseSealedLine, sealDocument, stringField } from '../checksum.ts';
import { plainView } from '../log/line.ts';
import type { PayloadFormat } from '../log/line.ts';
import { parseRecordLine, recordLine } from './record-line.ts';
import { FrameDecompressor } from './zstd.ts';

/** So much is compressed at a time; zstd takes about a millisecond for it. */
const BLOCK_SIZE_BYTES = 256 * 1024;
/** A section smaller than this stays readable. */
const PLAIN_SECTION_SIZE_BYTES_MAX = 16 * 1024;
/** A record of this size is not compressed. */
const LARGE_RECORD_SIZE_BYTES = 128 * 1024;

/** Yields the section's lines in parts, newlines included, and returns the number of records. */
export function* encodeOpenSection(
  records: Iterable<Uint8Array>,
  format: PayloadFormat,
): Generator<Uint8Array, number> {
  const block = new Block();
  let isPlain = true;
  let count = 0;
  for (const record of records) {
    count++;
    if (record.length >= LARGE_RECORD_SIZE_BYTES) {
      if (block.records > 0) yield block.take();
      isPlain = false;
      yield* recordLine(record, format);
      continue;
    }
    if (!block.fits(record)) {
      isPlain = false;
      yield block.take();
    }
    block.add(record);
  }
  if (isPlain && block.sizeBytes <= PLAIN_SECTION_SIZE_BYTES_MAX) {
    for (const record of splitRecords(block.raw())) yield* recordLine(record, format);
  } else if (block.records > 0) {
    yield block.take();
  }
  return count;
}

/** Records that wait to be compressed. */
class Block {
  readonly #compressor = new Compressor();
  readonly #raw = Buffer.allocUnsafeSlow(BLOCK_SIZE_BYTES);
  records = 0;
  sizeBytes = 0;

  fits(record: Uint8Array): boolean {
    return this.sizeBytes + record.length + 1 <= this.#raw.length;
  }

  add(record: Uint8Array): void {
    this.#raw.set(record, this.sizeBytes);
    this.#raw[this.sizeBytes + record.length] = 0x0a;
    this.sizeBytes += record.length + 1;
    this.records++;
  }

  raw(): Uint8Array {
    return this.#raw.subarray(0, this.sizeBytes);
  }

  /** The block's line; the block is empty again. */
  take(): Uint8Array {
    const zstd = this.#compressor.compress(this.raw()).toString('base64');
    const line = sealDocument({ kind: 'block', records: this.records, raw_size_bytes: this.sizeBytes, zstd });
    this.records = 0;
    this.sizeBytes = 0;
    return line;
  }
}

/** The records in a line of an open section, or undefined if it is damaged. Views of memory that stays as it is. */
export function decodeOpenLine(line: Uint8Array): Iterable<Uint8Array> | undefined {
  const block = parseSealedLine(line, 0, line.length);
  if (block === undefined) {
    const record = parseRecordLine(line);
    return record === undefined ? undefined : [record];
  }
  const zstd = stringField(block, 'zstd');
  if (block['kind'] !== 'block' || zstd === undefined) return undefined;
  const rawSizeBytes = naturalField(block, 'raw_size_bytes');
  // Files also come from peers and backups: what a block says of its size must not decide how much memory it takes.
  if (rawSizeBytes === undefined || rawSizeBytes > BLOCK_SIZE_BYTES) return undefined;
  try {
    return splitRecords(new FrameDecompressor().decompress(Buffer.from(zstd, 'base64'), rawSizeBytes));
  } catch {
    return undefined;
  }
}

/** The records in bytes of which each ends with a newline. */
export function* splitRecords(raw: Uint8Array): Generator<Uint8Array> {
  for (let start = 0; start < raw.length;) {
    const end = raw.indexOf(0x0a, start);
    const stop = end < 0 ? raw.length : end;
    yield plainView(raw, start, stop);
    start = stop + 1;
  }
}
