/** Which snapshots and chunks are here, who needs them, and which can go. */
import { join } from 'node:path';
import type { SnapshotChunkRef, StoredSnapshot } from '@pact-journal/raft-core';
import { isWalStorageError } from '../errors.ts';
import type { WarningHandler } from '../errors.ts';
import type { FileSystem } from '../fs/file-system.ts';
import { chunkFileName, parseChunkFileName, parseSnapshotFileName, snapshotFileName } from '../layout.ts';
import type { Layout } from '../layout.ts';
import { TEMPORARY_SUFFIX } from '../meta/replace-file.ts';
import { isIntact } from './chunks.ts';
import type { ChunkInfo, Section } from './manifest.ts';
import { readManifest } from './manifest-reader.ts';
import type { ReadManifest } from './manifest-reader.ts';

/** So many of the newest snapshots are kept. */
export const KEPT_SNAPSHOTS = 3;
/** A snapshot that a peer has read from is kept this long after the last read, though newer ones push it out. */
const LEASE_MS = 10 * 60 * 1000;
/** At most so many snapshots are kept for peers only. */
const LEASED_SNAPSHOTS_MAX = 3;

export interface SnapshotRecord {
  readonly path: string;
  readonly stored: StoredSnapshot;
  readonly sections: readonly Section[];
}

export function chunksOf(sections: readonly Section[]): readonly ChunkInfo[] {
  return sections.flatMap((section) => (section.kind === 'sealed' ? section.chunks : []));
}

export function recordOf(path: string, read: ReadManifest): SnapshotRecord {
  const unique = new Map<string, SnapshotChunkRef>();
  for (const { sha256, sizeBytes } of chunksOf(read.sections)) unique.set(sha256, { sha256, sizeBytes });
  return {
    path,
    sections: read.sections,
    stored: { meta: read.meta, manifest: read.manifest, chunks: [...unique.values()] },
  };
}

export class Catalogue {
  readonly #fileSystem: FileSystem;
  readonly #layout: Layout;
  readonly #warn: WarningHandler;
  /** By index, newest first. */
  #records: SnapshotRecord[] = [];
  /** Chunks that a snapshot needs which is being written or received; counted, for several may need the same. */
  readonly #pins = new Map<string, number>();
  /** When a peer last read from a snapshot, by manifest; monotonic milliseconds. */
  readonly #leases = new Map<string, number>();

  constructor(fileSystem: FileSystem, layout: Layout, warn: WarningHandler) {
    this.#fileSystem = fileSystem;
    this.#layout = layout;
    this.#warn = warn;
  }

  get newest(): SnapshotRecord | undefined {
    return this.#records[0];
  }

  /** Usable snapshots here. */
  get count(): number {
    return this.#records.length;
  }

  byManifest(sha256: string): SnapshotRecord | undefined {
    return this.#records.find((record) => record.stored.manifest.sha256 === sha256);
  }

  /** Reads all snapshots here; the newest whose chunks are all intact comes first, damaged ones are left out. */
  async load(clusterIds: readonly string[]): Promise<void> {
    const items = await this.#fileSystem.list(this.#layout.snapshots);
    const found = items.flatMap(({ name, kind }) => {
      const id = kind === 'file' ? parseSnapshotFileName(name) : undefined;
      return id === undefined ? [] : [{ name, ...id }];
    });
    found.sort((a, b) => b.index - a.index || b.term - a.term);
    for (const { name, index, term } of found) {
      const path = join(this.#layout.snapshots, name);
      const record = await this.#verify(path, index, term, clusterIds);
      if (record !== undefined) this.#records.push(record);
    }
    this.#warnOfForeign(items.map((item) => item.name));
  }

  /** Removes what writes that a crash interrupted have left over. */
  async removeTemporaries(): Promise<void> {
    await this.#removeTemporaries(this.#layout.snapshots);
    await this.#removeTemporaries(this.#layout.chunks);
  }

  #warnOfForeign(names: readonly string[]): void {
    for (const name of names) {
      const known =
        name === 'chunks' ||
        name === 'partial' ||
        name.endsWith(TEMPORARY_SUFFIX) ||
        parseSnapshotFileName(name) !== undefined;
      const path = join(this.#layout.snapshots, name);
      if (!known)
        this.#warn({ code: 'foreignFile', message: `${path} is not a snapshot; it is left alone`, path });
    }
  }

  /** The snapshot in the file, or undefined, with a warning, if it cannot be used. */
  async #verify(
    path: string,
    index: number,
    term: number,
    clusterIds: readonly string[],
  ): Promise<SnapshotRecord | undefined> {
    try {
      const read = await readManifest(this.#fileSystem, path);
      const problem =
        this.#mismatch(read, index, term, clusterIds) ?? (await this.#damagedChunk(read.sections));
      if (problem === undefined) return recordOf(path, read);
      this.#ignore(path, index, problem);
    } catch (error) {
      if (!isWalStorageError(error, 'corrupt')) throw error;
      this.#ignore(path, index, error.message);
    }
    return undefined;
  }

  #mismatch(
    read: ReadManifest,
    index: number,
    term: number,
    clusterIds: readonly string[],
  ): string | undefined {
    if (!clusterIds.includes(read.clusterId)) return `it belongs to cluster ${read.clusterId}`;
    return read.meta.index === index && read.meta.term === term
      ? undefined
      : `it is one of term ${read.meta.term} and index ${read.meta.index}`;
  }

  async #damagedChunk(sections: readonly Section[]): Promise<string | undefined> {
    // Older snapshots share most chunks with the newest, which is verified first.
    const verified = new Set(
      this.#records.flatMap((record) => record.stored.chunks.map((chunk) => chunk.sha256)),
    );
    for (const chunk of chunksOf(sections)) {
      if (verified.has(chunk.sha256)) continue;
      const path = join(this.#layout.chunks, chunkFileName(chunk.sha256));
      if (!(await isIntact(this.#fileSystem, path, chunk))) return `its chunk ${path} is missing or damaged`;
    }
    return undefined;
  }

  #ignore(path: string, index: number, reason: string): void {
    this.#warn({ code: 'snapshotIgnored', message: `${path} cannot be used: ${reason}`, path, index });
  }

  async #removeTemporaries(directory: string): Promise<void> {
    for (const { name } of await this.#fileSystem.list(directory)) {
      if (!name.endsWith(TEMPORARY_SUFFIX)) continue;
      const path = join(directory, name);
      await this.#fileSystem.remove(path);
      this.#warn({
        code: 'temporaryRemoved',
        message: `${path} was left over by a write that a crash interrupted; it is removed`,
        path,
      });
    }
  }

  add(record: SnapshotRecord): void {
    this.#records = [record, ...this.#records.filter((other) => other.path !== record.path)];
    this.#records.sort(
      (a, b) => b.stored.meta.index - a.stored.meta.index || b.stored.meta.term - a.stored.meta.term,
    );
  }

  /** Keeps a chunk from being collected until {@link unpin}. */
  pin(sha256: string): void {
    this.#pins.set(sha256, (this.#pins.get(sha256) ?? 0) + 1);
  }

  unpin(sha256: string): void {
    const count = (this.#pins.get(sha256) ?? 0) - 1;
    if (count > 0) this.#pins.set(sha256, count);
    else this.#pins.delete(sha256);
  }

  /** Where the bytes with that hash are, if they are part of a snapshot here. Notes that somebody reads them. */
  serve(sha256: string): { readonly path: string; readonly sizeBytes: number } | undefined {
    let found: { path: string; sizeBytes: number } | undefined;
    for (const { path, stored } of this.#records) {
      const chunk = stored.chunks.find((candidate) => candidate.sha256 === sha256);
      if (stored.manifest.sha256 === sha256) found = { path, sizeBytes: stored.manifest.sizeBytes };
      else if (chunk !== undefined)
        found ??= { path: join(this.#layout.chunks, chunkFileName(sha256)), sizeBytes: chunk.sizeBytes };
      else continue;
      this.#leases.set(stored.manifest.sha256, performance.now());
    }
    return found;
  }

  /**
   * Removes snapshots that are neither among the newest nor read by a peer, then chunks that nothing needs. Failing to
   * is no harm, and only warned of.
   */
  async collect(): Promise<void> {
    try {
      const since = performance.now() - LEASE_MS;
      const [kept, rest] = [this.#records.slice(0, KEPT_SNAPSHOTS), this.#records.slice(KEPT_SNAPSHOTS)];
      const leased = rest
        .filter((record) => (this.#leases.get(record.stored.manifest.sha256) ?? -Infinity) > since)
        .slice(0, LEASED_SNAPSHOTS_MAX);
      this.#records = [...kept, ...leased];
      await this.#removeSnapshots(rest.filter((record) => !leased.includes(record)));
      await this.#removeChunks();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const path = this.#layout.snapshots;
      this.#warn({
        code: 'notCollected',
        message: `collecting old snapshots in ${path}: ${reason}; it is tried again after the next snapshot`,
        path,
      });
    }
  }

  async #removeSnapshots(records: readonly SnapshotRecord[]): Promise<void> {
    for (const record of records) {
      await this.#fileSystem.remove(record.path);
      this.#leases.delete(record.stored.manifest.sha256);
    }
    // Before a chunk goes, the last name that refers to it must be gone for good.
    if (records.length > 0) await this.#fileSystem.syncDirectory(this.#layout.snapshots);
  }

  async #removeChunks(): Promise<void> {
    const needed = new Set(
      this.#records.flatMap((record) => record.stored.chunks.map((chunk) => chunk.sha256)),
    );
    for (const { name } of await this.#fileSystem.list(this.#layout.chunks)) {
      const sha256 = parseChunkFileName(name);
      if (sha256 === undefined || needed.has(sha256) || this.#pins.has(sha256)) continue;
      await this.#fileSystem.remove(join(this.#layout.chunks, name));
    }
  }
}

/** Path of the snapshot with that term and index. */
export function snapshotPath(layout: Layout, term: number, index: number): string {
  return join(layout.snapshots, snapshotFileName(term, index));
}
