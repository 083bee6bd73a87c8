/** A backup in a store: what is in it, and how it is read and added to. */
import type { ByteSource, ObjectInfo, ObjectStore } from '../store/object-store.ts';
import { listAll } from '../store/object-store.ts';
import { BackupError, isBackupError } from '../errors.ts';
import { Fields, openObject, sealObject } from './document.ts';
import {
  CHUNKS,
  chunkKey,
  IDENTITY_KEY,
  LOG,
  logKey,
  parseLogKey,
  parseSnapshotKey,
  parseWriterKey,
  SNAPSHOTS,
  snapshotKey,
  writerKey,
  WRITERS,
} from './keys.ts';
import { BATCH_SIZE_BYTES_MAX, decodeBatch, type LogBatch } from './log-batch.ts';
import {
  decodeSnapshotRecord,
  encodeSnapshotRecord,
  SNAPSHOT_RECORD_SIZE_BYTES_MAX,
  type SnapshotRecord,
} from './snapshot-record.ts';

const SMALL_OBJECT_SIZE_BYTES_MAX = 64 * 1024;

/** A log object in the listing: which entry it begins with is in its name. */
export interface ListedBatch extends ObjectInfo {
  readonly firstIndex: number;
}

/** A snapshot in the listing. */
export interface ListedSnapshot extends ObjectInfo {
  readonly index: number;
  readonly term: number;
}

export interface BackupIdentity {
  readonly clusterId: string;
  readonly createdAt: string;
}

export class Repository {
  readonly store: ObjectStore;

  constructor(store: ObjectStore) {
    this.store = store;
  }

  get url(): string {
    return this.store.url;
  }

  /** Whose backup it is; undefined where there is none. */
  async identity(): Promise<BackupIdentity | undefined> {
    let bytes: Uint8Array;
    try {
      bytes = await this.store.get(IDENTITY_KEY, SMALL_OBJECT_SIZE_BYTES_MAX);
    } catch (error) {
      if (isBackupError(error, 'notFound')) return undefined;
      throw error;
    }
    const fields = new Fields(IDENTITY_KEY, openObject(IDENTITY_KEY, 'backup', bytes).document);
    return { clusterId: fields.text('cluster_id'), createdAt: fields.text('created_at') };
  }

  /** The same where there must be one. Rejects with `notFound`. */
  async requireIdentity(): Promise<BackupIdentity> {
    const found = await this.identity();
    if (found !== undefined) return found;
    throw new BackupError('notFound', `${this.url}: there is no backup here (no ${IDENTITY_KEY})`);
  }

  /** Makes it this cluster's backup, or finds that it is. Rejects with `foreignCluster` where it is another's. */
  async claim(clusterId: string, now: string): Promise<void> {
    const found = (await this.identity()) ?? (await this.#createIdentity(clusterId, now));
    if (found === undefined || found.clusterId === clusterId) return;
    throw new BackupError(
      'foreignCluster',
      `${this.url} is the backup of cluster ${found.clusterId}, and this is cluster ${clusterId}; give each cluster a place of its own`,
    );
  }

  async #createIdentity(clusterId: string, now: string): Promise<BackupIdentity | undefined> {
    const { bytes } = sealObject('backup', { cluster_id: clusterId, created_at: now });
    try {
      await this.store.create(IDENTITY_KEY, bytes);
      return undefined;
    } catch (error) {
      if (!isBackupError(error, 'exists')) throw error;
      return this.identity();
    }
  }

  /** The highest term that a writer has announced; 0 for none. */
  async latestWriter(): Promise<number> {
    const terms = (await listAll(this.store, WRITERS)).map(({ key }) => parseWriterKey(key) ?? 0);
    return Math.max(0, ...terms);
  }

  /** Announces a writer. Earlier ones find out and stop. Rejects with `fenced` where a later one has announced itself. */
  async announceWriter(term: number, nodeId: number, now: string): Promise<void> {
    await this.checkWriter(term);
    const { bytes } = sealObject('writer', { term, node_id: nodeId, started_at: now });
    await this.store.create(writerKey(term), bytes).catch((error: unknown) => {
      // A term has one leader: it is this node's own announcement, from before a failure.
      if (!isBackupError(error, 'exists')) throw error;
    });
  }

  /** Rejects with `fenced` where a writer of a later term has announced itself. */
  async checkWriter(term: number): Promise<void> {
    const latest = await this.latestWriter();
    if (latest <= term) return;
    throw new BackupError(
      'fenced',
      `the leader of term ${String(latest)} writes to ${this.url}, this node led in term ${String(term)}`,
    );
  }

  /** By index, oldest first. */
  async snapshots(): Promise<readonly ListedSnapshot[]> {
    const found: ListedSnapshot[] = [];
    for await (const info of this.store.list(SNAPSHOTS)) {
      const named = parseSnapshotKey(info.key);
      if (named !== undefined) found.push({ ...info, ...named });
    }
    return found;
  }

  /** Rejects with `damaged`, and with `foreignCluster` where it is of another cluster than the backup. */
  async snapshot(key: string, clusterId?: string): Promise<SnapshotRecord> {
    const record = decodeSnapshotRecord(key, await this.#get(key, SNAPSHOT_RECORD_SIZE_BYTES_MAX));
    this.#requireCluster(key, record.clusterId, clusterId);
    return record;
  }

  /** The newest snapshot that can be read, if any. */
  async newestSnapshot(): Promise<SnapshotRecord | undefined> {
    const newest = (await this.snapshots()).at(-1);
    return newest === undefined ? undefined : this.snapshot(newest.key);
  }

  /** False where there is a snapshot of that index and term already. */
  async createSnapshot(record: SnapshotRecord): Promise<boolean> {
    try {
      await this.store.create(snapshotKey(record.index, record.term), encodeSnapshotRecord(record));
      return true;
    } catch (error) {
      if (isBackupError(error, 'exists')) return false;
      throw error;
    }
  }

  /** Log objects, oldest first, those that begin after `afterIndex`. */
  async *batches(afterIndex = 0): AsyncGenerator<ListedBatch> {
    for await (const info of this.store.list(LOG, afterIndex === 0 ? undefined : logKey(afterIndex))) {
      const firstIndex = parseLogKey(info.key);
      if (firstIndex !== undefined) yield { ...info, firstIndex };
    }
  }

  async batch(key: string, clusterId?: string): Promise<LogBatch> {
    const batch = decodeBatch(key, await this.#get(key, BATCH_SIZE_BYTES_MAX));
    this.#requireCluster(key, batch.clusterId, clusterId);
    return batch;
  }

  /** Pieces of snapshots that are there, by hash, with what the listing says. */
  async *chunks(): AsyncGenerator<ObjectInfo> {
    yield* this.store.list(CHUNKS);
  }

  async writeChunk(sha256: string, source: ByteSource, signal?: AbortSignal): Promise<void> {
    await this.store.write(chunkKey(sha256), source, signal);
  }

  /** An object that the others say must be there. */
  async #get(key: string, maxBytes: number): Promise<Uint8Array> {
    return this.store.get(key, maxBytes).catch((error: unknown) => {
      if (!isBackupError(error, 'notFound')) throw error;
      throw new BackupError('damaged', `${key}: is missing`, { key, cause: error });
    });
  }

  #requireCluster(key: string, found: string, expected: string | undefined): void {
    if (expected === undefined || found === expected) return;
    throw new BackupError(
      'foreignCluster',
      `${key}: belongs to cluster ${found}, the backup to cluster ${expected}`,
      { key },
    );
  }
}
