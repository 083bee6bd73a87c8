/** A SnapshotStore in memory: content-addressed, resumable, and as strict as one on disk. */
import type {
  SnapshotChunkRef,
  SnapshotContent,
  SnapshotMeta,
  SnapshotSource,
  SnapshotStore,
  StoredSnapshot,
} from '../runtime/interfaces.ts';
import { sha256Hex } from './sha256.ts';

const SNAPSHOTS_KEPT = 3;
const READ_SLICE_BYTES = 64 * 1024;
const NEWLINE = 10;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

interface ManifestSection {
  readonly key: string;
  readonly sealed: boolean;
  readonly sha256: string;
}

/** How a {@link MemorySnapshotStore} behaves. */
export interface MemorySnapshotStoreOptions {
  /** Awaited before a save or an install takes effect: the place to be slow, or to fail. */
  readonly beforeSync?: (operation: 'save' | 'install') => Promise<void>;
}

/** See {@link SnapshotStore}. May be opened again after `close`. Keeps the three newest snapshots. */
export class MemorySnapshotStore implements SnapshotStore {
  readonly #options: MemorySnapshotStoreOptions;
  /** By hash: chunks and manifests. */
  readonly #blobs = new Map<string, Uint8Array>();
  /** Chunks of sealed sections by key: their content is read once. */
  readonly #sealed = new Map<string, SnapshotChunkRef>();
  readonly #partial = new Map<string, Uint8Array[]>();
  /** Oldest first. */
  readonly #installed: StoredSnapshot[] = [];
  /** Being received, or received and not installed yet: what they consist of must stay. Oldest first. */
  #arriving: StoredSnapshot[] = [];
  #crashed = false;
  #fetchedBytes = 0;

  constructor(options: MemorySnapshotStoreOptions = {}) {
    this.#options = options;
  }

  open(): Promise<StoredSnapshot | undefined> {
    if (this.#crashed)
      return Promise.reject(
        new Error('opening the snapshots: the store crashed; open what crash() returned'),
      );
    return Promise.resolve(this.latest());
  }

  latest(): StoredSnapshot | undefined {
    return this.#installed.at(-1);
  }

  async save(meta: SnapshotMeta, content: SnapshotContent): Promise<StoredSnapshot> {
    await this.#options.beforeSync?.('save');
    this.#checkAlive('save');
    const sections: ManifestSection[] = [];
    const chunks: SnapshotChunkRef[] = [];
    for (const section of content.sections) {
      const { key, sealed } = section;
      const known = sealed ? this.#sealed.get(key) : undefined;
      const chunk = known ?? this.#keep(joinRecords(section.records()));
      if (sealed) this.#sealed.set(key, chunk);
      chunks.push(chunk);
      sections.push({ key, sealed, sha256: chunk.sha256 });
    }
    const manifest = this.#keep(encoder.encode(JSON.stringify({ meta, sections })));
    const stored: StoredSnapshot = { meta, manifest, chunks };
    this.#adopt(stored);
    return stored;
  }

  async receive(stored: StoredSnapshot, source: SnapshotSource, signal: AbortSignal): Promise<void> {
    const others = this.#arriving.filter(({ manifest }) => manifest.sha256 !== stored.manifest.sha256);
    this.#arriving = [...others, stored].slice(-SNAPSHOTS_KEPT);
    for (const ref of [stored.manifest, ...stored.chunks]) {
      if (!this.#blobs.has(ref.sha256)) await this.#fetch(ref, source, signal);
    }
    signal.throwIfAborted();
  }

  async install(stored: StoredSnapshot): Promise<void> {
    await this.#options.beforeSync?.('install');
    this.#checkAlive('install');
    for (const ref of [stored.manifest, ...stored.chunks]) {
      if (!this.#blobs.has(ref.sha256))
        throw new Error(`installing a snapshot: chunk ${ref.sha256} was not received`);
    }
    this.#arriving = this.#arriving.filter(({ meta }) => meta.index > stored.meta.index);
    this.#adopt(stored);
  }

  async *load(
    stored: StoredSnapshot,
  ): AsyncIterable<{ readonly key: string; readonly records: AsyncIterable<Uint8Array> }> {
    const manifest: unknown = JSON.parse(decoder.decode(this.#blob(stored.manifest.sha256)));
    for (const { key, sha256 } of sectionsOf(manifest)) {
      await Promise.resolve();
      yield { key, records: splitRecords(this.#blob(sha256)) };
    }
  }

  read(sha256: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    const blob = this.#blobs.get(sha256);
    if (blob === undefined)
      return Promise.reject(new Error(`reading chunk ${sha256}: no snapshot here has it`));
    return Promise.resolve(blob.subarray(offset, offset + maxBytes));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * As if the process had died: what is under way never takes effect, and this object fails from now on. Returns the
   * store that the next process opens, with what was durable, parts of a transfer included.
   */
  crash(): MemorySnapshotStore {
    const next = new MemorySnapshotStore(this.#options);
    for (const [hash, blob] of this.#blobs) next.#blobs.set(hash, blob);
    for (const [hash, parts] of this.#partial) next.#partial.set(hash, [...parts]);
    next.#installed.push(...this.#installed);
    next.#arriving = [...this.#arriving];
    this.#crashed = true;
    return next;
  }

  /** Bytes pulled from peers since the store was made. */
  get fetchedBytes(): number {
    return this.#fetchedBytes;
  }

  /** Snapshots held, oldest first. */
  get snapshots(): readonly StoredSnapshot[] {
    return this.#installed;
  }

  async #fetch(ref: SnapshotChunkRef, source: SnapshotSource, signal: AbortSignal): Promise<void> {
    const parts = this.#partial.get(ref.sha256) ?? [];
    this.#partial.set(ref.sha256, parts);
    let offset = parts.reduce((sum, part) => sum + part.length, 0);
    while (offset < ref.sizeBytes) {
      signal.throwIfAborted();
      const part = await source.read(ref.sha256, offset, Math.min(READ_SLICE_BYTES, ref.sizeBytes - offset));
      this.#checkAlive('receive');
      if (part.length === 0) break;
      parts.push(part);
      offset += part.length;
      this.#fetchedBytes += part.length;
    }
    this.#partial.delete(ref.sha256);
    const whole = concat(parts);
    if (sha256Hex(whole) !== ref.sha256)
      throw new Error(`receiving chunk ${ref.sha256}: its content has another hash`);
    this.#blobs.set(ref.sha256, whole);
  }

  #adopt(stored: StoredSnapshot): void {
    this.#installed.push(stored);
    this.#installed.sort((a, b) => a.meta.index - b.meta.index);
    this.#installed.splice(0, Math.max(0, this.#installed.length - SNAPSHOTS_KEPT));
    const wanted = new Set<string>();
    for (const kept of [...this.#installed, ...this.#arriving]) {
      wanted.add(kept.manifest.sha256);
      for (const chunk of kept.chunks) wanted.add(chunk.sha256);
    }
    for (const hash of this.#blobs.keys()) {
      if (!wanted.has(hash)) this.#blobs.delete(hash);
    }
    for (const [key, chunk] of this.#sealed) {
      if (!wanted.has(chunk.sha256)) this.#sealed.delete(key);
    }
  }

  #keep(bytes: Uint8Array): SnapshotChunkRef {
    const sha256 = sha256Hex(bytes);
    if (!this.#blobs.has(sha256)) this.#blobs.set(sha256, bytes);
    return { sha256, sizeBytes: bytes.length };
  }

  #blob(sha256: string): Uint8Array {
    const blob = this.#blobs.get(sha256);
    if (blob === undefined) throw new Error(`loading chunk ${sha256}: no snapshot here has it`);
    return blob;
  }

  #checkAlive(operation: string): void {
    if (this.#crashed) throw new Error(`${operation} of a snapshot: the store crashed before it was durable`);
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

function joinRecords(records: Iterable<Uint8Array>): Uint8Array {
  const parts: Uint8Array[] = [];
  const newline = Uint8Array.of(NEWLINE);
  for (const record of records) {
    if (record.includes(NEWLINE)) throw new Error('saving a snapshot: a record must not contain a newline');
    parts.push(record, newline);
  }
  return concat(parts);
}

async function* splitRecords(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  let from = 0;
  for (let to = bytes.indexOf(NEWLINE); to >= 0; to = bytes.indexOf(NEWLINE, from)) {
    yield bytes.subarray(from, to);
    from = to + 1;
    await Promise.resolve();
  }
}

function sectionsOf(manifest: unknown): readonly ManifestSection[] {
  if (typeof manifest !== 'object' || manifest === null || !('sections' in manifest)) return [];
  return Array.isArray(manifest.sections) ? manifest.sections.filter(isManifestSection) : [];
}

function isManifestSection(value: unknown): value is ManifestSection {
  return (
    typeof value === 'object' && value !== null && 'key' in value && 'sealed' in value && 'sha256' in value
  );
}
