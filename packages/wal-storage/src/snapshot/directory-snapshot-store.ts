/**
 * raft-core's SnapshotStore on a directory. A snapshot costs what changed: sealed sections are stored as chunks that
 * later snapshots share, so only new ones and the open sections are written.
 *
 * A snapshot exists once its file has its name: chunks are durable, names included, before that.
 */
import { join } from 'node:path';
import type {
  SnapshotContent,
  SnapshotMeta,
  SnapshotSource,
  SnapshotStore,
  StoredSnapshot,
} from '@pact-journal/raft-core';
import { WalStorageError, ioError } from '../errors.ts';
import type { WarningHandler } from '../errors.ts';
import type { FileSystem, OpenFile } from '../fs/file-system.ts';
import { chunkFileName, layoutOf } from '../layout.ts';
import type { Layout } from '../layout.ts';
import type { PayloadFormat } from '../log/line.ts';
import { TEMPORARY_SUFFIX } from '../meta/replace-file.ts';
import { Catalogue, chunksOf, recordOf, snapshotPath } from './catalogue.ts';
import type { SnapshotRecord } from './catalogue.ts';
import { ChunkReader, ChunkWriter, isIntact } from './chunks.ts';
import { readLines } from './line-reader.ts';
import { headerDocument } from './manifest.ts';
import type { ChunkInfo, OpenSection, SealedSection } from './manifest.ts';
import { readManifest } from './manifest-reader.ts';
import type { ReadManifest } from './manifest-reader.ts';
import { ManifestWriter } from './manifest-writer.ts';
import { EachRecord } from './each-record.ts';
import { decodeOpenLine } from './open-section.ts';
import { fetchPiece, throwIfAborted } from './receiver.ts';

/** Chunks that are pulled side by side: enough to hide a round trip, little enough for the peer. */
const PARALLEL_FETCHES = 4;
/** A peer gets at most this much per read. */
const SERVED_SIZE_BYTES_MAX = 4 * 1024 * 1024;
const KEY_SIZE_BYTES_MAX = 512;
const RECEIVED_SNAPSHOTS_MAX = 2;

export interface DirectorySnapshotStoreOptions {
  /** Snapshots live in `<dataDir>/raft/snapshots`. */
  readonly dataDir: string;
  readonly clusterId: string;
  /**
   * Snapshots of this cluster are taken as well, and those saved here share their chunks: for a cluster that begins with
   * another one's state.
   */
  readonly sourceClusterId?: string;
  readonly fileSystem: FileSystem;
  readonly onWarning: WarningHandler;
  /** How records of open sections are stored. */
  readonly payload: PayloadFormat;
}

export class DirectorySnapshotStore implements SnapshotStore {
  readonly #options: DirectorySnapshotStoreOptions;
  /** Clusters whose snapshots are taken. */
  readonly #accepted: readonly string[];
  readonly #layout: Layout;
  readonly #fileSystem: FileSystem;
  readonly #catalogue: Catalogue;
  #loading: Promise<void> | undefined;
  readonly #closing = new AbortController();
  /** Completes when the last of the mutations that must not overlap (save, install) has ended. */
  #queue: Promise<unknown> = Promise.resolve();
  /** Completes when the last transfer has ended. */
  #receiving: Promise<unknown> = Promise.resolve();
  /** Received and not yet installed, by hash of the manifest; the newest two, for the others were superseded. */
  readonly #received = new Map<string, ReadManifest>();

  constructor(options: DirectorySnapshotStoreOptions) {
    this.#options = options;
    const { clusterId, sourceClusterId } = options;
    this.#accepted = sourceClusterId === undefined ? [clusterId] : [clusterId, sourceClusterId];
    this.#layout = layoutOf(options.dataDir);
    this.#fileSystem = options.fileSystem;
    this.#catalogue = new Catalogue(options.fileSystem, this.#layout, options.onWarning);
  }

  async open(): Promise<StoredSnapshot | undefined> {
    await this.#load();
    await this.#run('opening the snapshots', () => this.#catalogue.removeTemporaries());
    return this.latest();
  }

  /** The newest usable snapshot, verifying what is there on the first call. For the log's recovery. */
  async newest(): Promise<{ readonly index: number; readonly term: number } | undefined> {
    await this.#load();
    return this.#catalogue.newest?.stored.meta;
  }

  async #load(): Promise<void> {
    this.#loading ??= this.#run('reading the snapshots', async () => {
      for (const path of [this.#layout.chunks, this.#layout.partial])
        await this.#fileSystem.makeDirectory(path);
      await this.#catalogue.load(this.#accepted);
    });
    await this.#loading;
  }

  latest(): StoredSnapshot | undefined {
    return this.#catalogue.newest?.stored;
  }

  save(meta: SnapshotMeta, content: SnapshotContent): Promise<StoredSnapshot> {
    return this.#exclusively(`saving the snapshot of entry ${meta.index}`, () => this.#save(meta, content));
  }

  async #save(meta: SnapshotMeta, content: SnapshotContent): Promise<StoredSnapshot> {
    const previous = new Map<string, SealedSection>();
    for (const section of this.#catalogue.newest?.sections ?? [])
      if (section.kind === 'sealed') previous.set(section.key, section);
    const path = snapshotPath(this.#layout, meta.term, meta.index);
    const temporary = path + TEMPORARY_SUFFIX;
    const pinned: string[] = [];
    const pin = (sha256: string): void => {
      pinned.push(sha256);
      this.#catalogue.pin(sha256);
    };
    try {
      await this.#fileSystem.remove(temporary);
      const file = await this.#fileSystem.open(temporary, 'create');
      let record: SnapshotRecord;
      try {
        record = await this.#write(file, path, meta, content, previous, pin);
      } finally {
        await file.close();
      }
      await this.#fileSystem.syncDirectory(this.#layout.chunks);
      await this.#fileSystem.rename(temporary, path);
      await this.#fileSystem.syncDirectory(this.#layout.snapshots);
      this.#catalogue.add(record);
      await this.#catalogue.collect();
      return record.stored;
    } finally {
      for (const sha256 of pinned) this.#catalogue.unpin(sha256);
    }
  }

  async #write(
    file: OpenFile,
    path: string,
    meta: SnapshotMeta,
    content: SnapshotContent,
    previous: ReadonlyMap<string, SealedSection>,
    pin: (sha256: string) => void,
  ): Promise<SnapshotRecord> {
    const writer = new ManifestWriter(file);
    await writer.document(headerDocument(this.#options.clusterId, meta));
    const chunkWriter = new ChunkWriter(this.#fileSystem, this.#layout.chunks, pin);
    const keys = new Set<string>();
    for (const { key, sealed, records } of content.sections.map(bindRecords)) {
      if (keys.has(key) || Buffer.byteLength(key) > KEY_SIZE_BYTES_MAX) {
        throw new WalStorageError(
          'invalidArgument',
          `saving a snapshot: section key ${JSON.stringify(key.slice(0, 80))} is too long or there twice`,
        );
      }
      keys.add(key);
      if (!sealed) {
        await writer.open(key, records(), this.#options.payload);
        continue;
      }
      const known = previous.get(key);
      for (const chunk of known?.chunks ?? []) pin(chunk.sha256);
      await writer.sealed(
        known ?? {
          kind: 'sealed',
          key,
          chunks: await chunkWriter.write(records()),
        },
      );
    }
    const manifest = await writer.finish();
    return recordOf(path, {
      format: 1,
      clusterId: this.#options.clusterId,
      meta,
      sections: writer.sections,
      manifest,
    });
  }

  receive(stored: StoredSnapshot, source: SnapshotSource, signal: AbortSignal): Promise<void> {
    const doing = `receiving the snapshot of entry ${stored.meta.index}`;
    // One after the other: two transfers may need the same chunk.
    const either = AbortSignal.any([signal, this.#closing.signal]);
    const result = this.#receiving.then(() => this.#run(doing, () => this.#receive(stored, source, either)));
    this.#receiving = result.catch(() => undefined);
    return result;
  }

  async #receive(stored: StoredSnapshot, source: SnapshotSource, signal: AbortSignal): Promise<void> {
    const { sha256 } = stored.manifest;
    if (this.#catalogue.byManifest(sha256) !== undefined || this.#received.has(sha256)) return;
    throwIfAborted(signal);
    const manifestPath = this.#partialManifest(sha256);
    if (!(await isIntact(this.#fileSystem, manifestPath, stored.manifest))) {
      await this.#fileSystem.remove(manifestPath);
      await fetchPiece(this.#fileSystem, source, stored.manifest, this.#layout.partial, manifestPath, signal);
    }
    const read = await this.#checkReceived(manifestPath, stored);
    const chunks = recordOf(manifestPath, read).stored.chunks;
    for (const chunk of chunks) this.#catalogue.pin(chunk.sha256);
    let complete = false;
    try {
      const waiting = chunks.values();
      const fetchNext = async (): Promise<void> => {
        for (const chunk of waiting) {
          throwIfAborted(signal);
          const path = join(this.#layout.chunks, chunkFileName(chunk.sha256));
          if (await isIntact(this.#fileSystem, path, chunk)) continue;
          await fetchPiece(this.#fileSystem, source, chunk, this.#layout.partial, path, signal);
        }
      };
      const outcomes = await Promise.allSettled(Array.from({ length: PARALLEL_FETCHES }, fetchNext));
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      await this.#fileSystem.syncDirectory(this.#layout.chunks);
      await this.#fileSystem.syncDirectory(this.#layout.partial);
      this.#received.set(sha256, read);
      complete = true;
      this.#forgetSuperseded();
    } finally {
      if (!complete) for (const chunk of chunks) this.#catalogue.unpin(chunk.sha256);
    }
  }

  #forgetSuperseded(): void {
    for (const [sha256, read] of this.#received) {
      if (this.#received.size <= RECEIVED_SNAPSHOTS_MAX) return;
      this.#received.delete(sha256);
      for (const chunk of recordOf('', read).stored.chunks) this.#catalogue.unpin(chunk.sha256);
    }
  }

  #partialManifest(sha256: string): string {
    return join(this.#layout.partial, `${sha256}.json`);
  }

  /** What was received must be the snapshot that was announced, and of this cluster. */
  async #checkReceived(path: string, stored: StoredSnapshot): Promise<ReadManifest> {
    const read = await readManifest(this.#fileSystem, path);
    if (!this.#accepted.includes(read.clusterId)) {
      throw new WalStorageError(
        'foreignDirectory',
        `the peer's snapshot belongs to cluster ${read.clusterId}, and this is ${this.#options.clusterId}`,
        { path },
      );
    }
    if (read.meta.index !== stored.meta.index || read.meta.term !== stored.meta.term) {
      throw new WalStorageError(
        'checksumMismatch',
        `the peer announced the snapshot of entry ${stored.meta.index} (term ${stored.meta.term}) and sent that of entry ${read.meta.index} (term ${read.meta.term})`,
        { path },
      );
    }
    return read;
  }

  install(stored: StoredSnapshot): Promise<void> {
    const { manifest, meta } = stored;
    return this.#exclusively(`installing the snapshot of entry ${meta.index}`, async () => {
      if (this.#catalogue.byManifest(manifest.sha256) !== undefined) return;
      const read = this.#received.get(manifest.sha256);
      if (read === undefined) {
        throw new WalStorageError(
          'invalidArgument',
          `installing the snapshot of entry ${meta.index}: it was not received`,
        );
      }
      const path = snapshotPath(this.#layout, read.meta.term, read.meta.index);
      await this.#fileSystem.rename(this.#partialManifest(manifest.sha256), path);
      await this.#fileSystem.syncDirectory(this.#layout.snapshots);
      await this.#fileSystem.syncDirectory(this.#layout.partial);
      const record = recordOf(path, read);
      this.#catalogue.add(record);
      this.#received.delete(manifest.sha256);
      for (const chunk of record.stored.chunks) this.#catalogue.unpin(chunk.sha256);
      await this.#removePartials();
      await this.#catalogue.collect();
    });
  }

  /** What other transfers left behind is of no use once a snapshot is installed, but for those that are complete. */
  async #removePartials(): Promise<void> {
    const wanted = new Set([...this.#received.keys()].map((sha256) => `${sha256}.json`));
    for (const { name, kind } of await this.#fileSystem.list(this.#layout.partial)) {
      if (kind === 'file' && !wanted.has(name))
        await this.#fileSystem.remove(join(this.#layout.partial, name));
    }
  }

  async *load(
    stored: StoredSnapshot,
  ): AsyncGenerator<{ readonly key: string; readonly records: AsyncIterable<Uint8Array> }> {
    const record = this.#catalogue.byManifest(stored.manifest.sha256);
    if (record === undefined) throw this.#unknown(stored.manifest.sha256);
    const chunks = chunksOf(record.sections);
    const pinned = chunks.map((chunk) => chunk.sha256);
    for (const sha256 of pinned) this.#catalogue.pin(sha256);
    const readers: ChunkReader[] = [];
    const following = new Map(chunks.map((chunk, position) => [chunk, chunks[position + 1]]));
    try {
      for (const section of record.sections) {
        const records =
          section.kind === 'sealed'
            ? this.#sealedRecords(section, readers, following)
            : this.#openRecords(record.path, section);
        yield { key: section.key, records: new EachRecord(records) };
      }
    } finally {
      for (const sha256 of pinned) this.#catalogue.unpin(sha256);
    }
  }

  /** `idle` readers are used again, with their buffers; a section that is read beside another gets its own. */
  async *#sealedRecords(
    section: SealedSection,
    idle: ChunkReader[],
    following: ReadonlyMap<ChunkInfo, ChunkInfo | undefined>,
  ): AsyncGenerator<Iterable<Uint8Array>> {
    const reader = idle.pop() ?? new ChunkReader(this.#fileSystem, this.#layout.chunks);
    try {
      for (const chunk of section.chunks) yield await reader.records(chunk, following.get(chunk));
    } finally {
      idle.push(reader);
    }
  }

  async *#openRecords(path: string, section: OpenSection): AsyncGenerator<Iterable<Uint8Array>> {
    const file = await this.#fileSystem.open(path, 'read');
    try {
      for await (const line of readLines(file, section.offset, section.offset + section.sizeBytes)) {
        const records = decodeOpenLine(line.bytes);
        if (records === undefined) {
          const message = `${path}: section ${section.key} was damaged after it was verified`;
          throw new WalStorageError('corrupt', message, { path });
        }
        yield records;
      }
    } finally {
      await file.close();
    }
  }

  async read(sha256: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    const found = this.#catalogue.serve(sha256);
    if (found === undefined) throw this.#unknown(sha256);
    const size = Math.max(0, Math.min(maxBytes, SERVED_SIZE_BYTES_MAX, found.sizeBytes - offset));
    return this.#run('reading from a snapshot', async () => {
      const into = Buffer.allocUnsafe(size);
      const file = await this.#fileSystem.open(found.path, 'read');
      try {
        return into.subarray(0, await file.read(into, offset));
      } finally {
        await file.close();
      }
    });
  }

  #unknown(sha256: string): WalStorageError {
    return new WalStorageError(
      'unknownChunk',
      `no snapshot in ${this.#layout.snapshots} has a piece with the hash ${sha256}`,
    );
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#queue.catch(() => undefined);
    await this.#receiving.catch(() => undefined);
  }

  #exclusively<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
    const result = this.#queue.then(() => this.#run(doing, work));
    this.#queue = result.catch(() => undefined);
    return result;
  }

  async #run<Result>(doing: string, work: () => Promise<Result>): Promise<Result> {
    if (this.#closing.signal.aborted) throw new WalStorageError('closed', `${doing}: the store is closed`);
    try {
      return await work();
    } catch (error) {
      throw isDiskError(error) ? ioError(error, doing, this.#layout.snapshots) : error;
    }
  }
}

/** Errors of the system have a `syscall` or an `errno`; anything else passes as it is. */
function isDiskError(error: unknown): boolean {
  return error instanceof Error && 'errno' in error;
}

function bindRecords(section: SnapshotContent['sections'][number]): {
  readonly key: string;
  readonly sealed: boolean;
  readonly records: () => Iterable<Uint8Array>;
} {
  return { key: section.key, sealed: section.sealed, records: () => section.records() };
}
