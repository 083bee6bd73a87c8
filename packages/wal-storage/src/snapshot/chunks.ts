/** Chunks: pieces of sealed sections, compressed, named by their content, written once. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { CompressStream, Decompressor } from 'zstd-napi';
import { WalStorageError, ioError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { chunkFileName } from '../layout.ts';
import { TEMPORARY_SUFFIX } from '../meta/replace-file.ts';
import { Slices } from '../slices.ts';
import type { ChunkInfo } from './manifest.ts';
import { splitRecords } from './open-section.ts';

/** A chunk is closed once its records have this size together, so it is larger only by its last record. */
const CHUNK_RAW_SIZE_BYTES = 1024 * 1024;
/** What is compressed at a stretch; zstd takes a millisecond or two for it. */
const COMPRESS_SLICE_SIZE_BYTES = 256 * 1024;
/** zstd's own default: the speed is that of a disk, and journal JSON shrinks to a fifth or less. */
const COMPRESSION_LEVEL = 3;
const READ_SIZE_BYTES = 1024 * 1024;

const NEWLINE = Buffer.from('\n', 'latin1');

/** Compresses without holding the event loop for long. */
async function compress(parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const stream = new CompressStream({ compressionLevel: COMPRESSION_LEVEL, checksumFlag: true });
  const output: Uint8Array[] = [];
  const ended = new Promise<void>((resolve, reject) => {
    stream.on('data', (piece: Uint8Array) => output.push(piece));
    stream.on('end', resolve);
    stream.on('error', reject);
  });
  const slices = new Slices();
  const joined = Buffer.concat(parts);
  for (let from = 0; from < joined.length; from += COMPRESS_SLICE_SIZE_BYTES) {
    const piece = joined.subarray(from, from + COMPRESS_SLICE_SIZE_BYTES);
    await new Promise<void>((resolve, reject) => {
      stream.write(piece, (error) => (error === null || error === undefined ? resolve() : reject(error)));
    });
    await slices.breathe();
  }
  stream.end();
  await ended;
  return Buffer.concat(output);
}

/** Writes the records of a section as chunks, their names not yet durable. `onChunk` sees each before it has its name. */
export async function writeChunks(
  fileSystem: FileSystem,
  directory: string,
  records: Iterable<Uint8Array>,
  onChunk: (sha256: string) => void,
): Promise<readonly ChunkInfo[]> {
  const chunks: ChunkInfo[] = [];
  let parts: Uint8Array[] = [];
  let count = 0;
  let rawSizeBytes = 0;
  const slices = new Slices();
  const flush = async (): Promise<void> => {
    chunks.push(await writeChunk(fileSystem, directory, parts, count, rawSizeBytes, onChunk));
    parts = [];
    count = 0;
    rawSizeBytes = 0;
  };
  for (const record of records) {
    parts.push(record, NEWLINE);
    count++;
    rawSizeBytes += record.length + 1;
    if (rawSizeBytes >= CHUNK_RAW_SIZE_BYTES) await flush();
    await slices.breathe();
  }
  if (count > 0) await flush();
  return chunks;
}

async function writeChunk(
  fileSystem: FileSystem,
  directory: string,
  parts: readonly Uint8Array[],
  records: number,
  rawSizeBytes: number,
  onChunk: (sha256: string) => void,
): Promise<ChunkInfo> {
  const output = await compress(parts);
  const sha256 = createHash('sha256').update(output).digest('hex');
  onChunk(sha256);
  const path = join(directory, chunkFileName(sha256));
  const info: ChunkInfo = { sha256, sizeBytes: output.length, rawSizeBytes, records };
  if (await isIntact(fileSystem, path, info)) return info;
  const temporary = path + TEMPORARY_SUFFIX;
  await fileSystem.remove(temporary);
  const file = await fileSystem.open(temporary, 'create');
  try {
    await file.write(output, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await fileSystem.rename(temporary, path);
  return info;
}

/** SHA-256 of a file's contents, in lower-case hex. */
export async function hashFile(fileSystem: FileSystem, path: string): Promise<string> {
  const hash = createHash('sha256');
  const slices = new Slices();
  const file = await fileSystem.open(path, 'read');
  try {
    const into = Buffer.allocUnsafe(READ_SIZE_BYTES);
    for (let position = 0; ;) {
      const count = await file.read(into, position);
      if (count === 0) break;
      hash.update(into.subarray(0, count));
      position += count;
      await slices.breathe();
    }
  } finally {
    await file.close();
  }
  return hash.digest('hex');
}

/** Whether the file has the content that its chunk's name says. */
export async function isIntact(
  fileSystem: FileSystem,
  path: string,
  chunk: { readonly sha256: string; readonly sizeBytes: number },
): Promise<boolean> {
  if ((await fileSystem.size(path)) !== chunk.sizeBytes) return false;
  return (await hashFile(fileSystem, path)) === chunk.sha256;
}

/** The records of a chunk, verified. Fails with `corrupt`, `permission` or `io`. */
export async function* readChunk(
  fileSystem: FileSystem,
  directory: string,
  chunk: ChunkInfo,
): AsyncGenerator<Uint8Array> {
  const path = join(directory, chunkFileName(chunk.sha256));
  const bytes = Buffer.allocUnsafe(chunk.sizeBytes);
  try {
    const file = await fileSystem.open(path, 'read');
    try {
      await file.read(bytes, 0);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw ioError(error, 'reading a chunk of a snapshot', path);
  }
  if (createHash('sha256').update(bytes).digest('hex') !== chunk.sha256) {
    throw new WalStorageError(
      'corrupt',
      `${path} is damaged: its content does not have the hash that its name says`,
      { path },
    );
  }
  const raw = new Decompressor().decompress(bytes);
  if (raw.length !== chunk.rawSizeBytes) {
    throw new WalStorageError(
      'corrupt',
      `${path} holds ${raw.length} bytes where ${chunk.rawSizeBytes} were announced`,
      { path },
    );
  }
  const slices = new Slices();
  for (const record of splitRecords(raw)) {
    yield record;
    await slices.breathe();
  }
}
