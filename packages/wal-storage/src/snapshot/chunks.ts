/** Chunks: pieces of sealed sections, compressed, named by their content, written once. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { WalStorageError, ioError } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { chunkFileName } from '../layout.ts';
import { TEMPORARY_SUFFIX } from '../meta/replace-file.ts';
import { Slices } from '../slices.ts';
import type { ChunkInfo } from './manifest.ts';
import { splitRecords } from './open-section.ts';
import { FrameCompressor, FrameDecompressor, atLeast } from './zstd.ts';

/** A chunk is closed once its records have this size together, so it is larger only by its last record. */
const CHUNK_RAW_SIZE_BYTES = 1024 * 1024;
const READ_SIZE_BYTES = 1024 * 1024;

/** Writes sections as chunks. */
export class ChunkWriter {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #onChunk: (sha256: string) => void;
  readonly #compressor = new FrameCompressor();
  readonly #slices = new Slices();
  #raw: Buffer = Buffer.alloc(0);
  #rawSizeBytes = 0;
  #records = 0;

  /** `onChunk` sees each chunk before it has its name. */
  constructor(fileSystem: FileSystem, directory: string, onChunk: (sha256: string) => void) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
    this.#onChunk = onChunk;
  }

  /** Writes a section's records. Contents are durable when it resolves, names are not. */
  async write(records: Iterable<Uint8Array>): Promise<readonly ChunkInfo[]> {
    const chunks: ChunkInfo[] = [];
    for (const record of records) {
      this.#add(record);
      if (this.#rawSizeBytes >= CHUNK_RAW_SIZE_BYTES) chunks.push(await this.#flush());
      if (this.#slices.isUsedUp) await this.#slices.breathe();
    }
    if (this.#records > 0) chunks.push(await this.#flush());
    return chunks;
  }

  #add(record: Uint8Array): void {
    const end = this.#rawSizeBytes + record.length;
    const room = atLeast(this.#raw, Math.max(end + 1, CHUNK_RAW_SIZE_BYTES));
    if (room !== this.#raw) {
      room.set(this.#raw.subarray(0, this.#rawSizeBytes));
      this.#raw = room;
    }
    room.set(record, this.#rawSizeBytes);
    room[end] = 0x0a;
    this.#rawSizeBytes = end + 1;
    this.#records++;
  }

  async #flush(): Promise<ChunkInfo> {
    const raw = this.#raw.subarray(0, this.#rawSizeBytes);
    const records = this.#records;
    this.#rawSizeBytes = 0;
    this.#records = 0;
    const content = await this.#compressor.compress(raw, () => this.#slices.breathe());
    const sha256 = createHash('sha256').update(content).digest('hex');
    this.#onChunk(sha256);
    const info: ChunkInfo = { sha256, sizeBytes: content.length, rawSizeBytes: raw.length, records };
    const path = join(this.#directory, chunkFileName(sha256));
    if (!(await isIntact(this.#fileSystem, path, info)))
      await writeChunkFile(this.#fileSystem, path, content);
    return info;
  }
}

async function writeChunkFile(fileSystem: FileSystem, path: string, content: Uint8Array): Promise<void> {
  const temporary = path + TEMPORARY_SUFFIX;
  await fileSystem.remove(temporary);
  const file = await fileSystem.open(temporary, 'create');
  try {
    await file.write(content, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await fileSystem.rename(temporary, path);
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

/** Reads chunks, one at a time, and the next one's file ahead. */
export class ChunkReader {
  readonly #fileSystem: FileSystem;
  readonly #directory: string;
  readonly #decompressor = new FrameDecompressor();
  /** One to work on and one to read into. */
  #buffers: readonly [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
  #ahead: { readonly chunk: ChunkInfo; readonly content: Promise<Uint8Array> } | undefined;

  constructor(fileSystem: FileSystem, directory: string) {
    this.#fileSystem = fileSystem;
    this.#directory = directory;
  }

  /**
   * The records of a chunk, verified, valid until the next chunk; begins to read `next`. Fails with `corrupt`,
   * `permission` or `io`.
   */
  async records(chunk: ChunkInfo, next: ChunkInfo | undefined): Promise<Iterable<Uint8Array>> {
    const path = join(this.#directory, chunkFileName(chunk.sha256));
    const content = await (this.#ahead?.chunk === chunk ? this.#ahead.content : this.#read(chunk));
    this.#ahead = next === undefined ? undefined : { chunk: next, content: this.#read(next) };
    // If nobody asks for it after all, nobody is to be told that it failed.
    this.#ahead?.content.catch(() => undefined);
    if (createHash('sha256').update(content).digest('hex') !== chunk.sha256) {
      const message = `${path} is damaged: its content does not have the hash that its name says`;
      throw new WalStorageError('corrupt', message, { path });
    }
    return splitRecords(this.#decompress(path, content, chunk));
  }

  async #read(chunk: ChunkInfo): Promise<Uint8Array> {
    const path = join(this.#directory, chunkFileName(chunk.sha256));
    const [free, used] = this.#buffers;
    const buffer = atLeast(free, chunk.sizeBytes);
    this.#buffers = [used, buffer];
    const content = buffer.subarray(0, chunk.sizeBytes);
    try {
      const file = await this.#fileSystem.open(path, 'read');
      try {
        return content.subarray(0, await file.read(content, 0));
      } finally {
        await file.close();
      }
    } catch (error) {
      throw ioError(error, 'reading a chunk of a snapshot', path);
    }
  }

  #decompress(path: string, content: Uint8Array, chunk: ChunkInfo): Uint8Array {
    try {
      return this.#decompressor.decompress(content, chunk.rawSizeBytes);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new WalStorageError('corrupt', `${path} does not hold what the snapshot says: ${reason}`, {
        path,
        cause: error,
      });
    }
  }
}
