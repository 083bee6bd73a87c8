/** Brings a node's snapshot into a backup: what the backup has already is not sent again. */
import type { SnapshotChunkRef, SnapshotStore, StoredSnapshot } from '@pact-journal/raft-core';
import { parseChunkKey } from '../format/keys.ts';
import type { Repository } from '../format/repository.ts';
import { piecesOf, type SnapshotRecord } from '../format/snapshot-record.ts';

export interface SnapshotUploadOptions {
  readonly repository: Repository;
  readonly clusterId: string;
  readonly nodeId: number;
  readonly snapshots: Pick<SnapshotStore, 'read' | 'load'>;
  /** A snapshot of everything that is applied here now. */
  readonly take: () => Promise<StoredSnapshot>;
  /** Now, as a timestamp. */
  readonly now: () => string;
}

export interface SnapshotUpload {
  readonly record: SnapshotRecord;
  readonly sizeBytes: number;
  /** Bytes that had to be sent because the backup did not have them. */
  readonly sentBytes: number;
}

const PARALLEL_WRITES = 3;

/** One upload at a time. */
export class SnapshotUploader {
  readonly #options: SnapshotUploadOptions;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(options: SnapshotUploadOptions) {
    this.#options = options;
  }

  /** Takes a snapshot now (or the given one) and uploads it. Resolves when it is a restore point. */
  upload(given: StoredSnapshot | undefined, signal: AbortSignal): Promise<SnapshotUpload> {
    const result = this.#queue.then(async () => {
      signal.throwIfAborted();
      return this.#upload(given ?? (await this.#options.take()), signal);
    });
    this.#queue = result.catch(() => undefined);
    return result;
  }

  async #upload(stored: StoredSnapshot, signal: AbortSignal): Promise<SnapshotUpload> {
    const { repository, clusterId, now } = this.#options;
    await repository.claim(clusterId, now());
    const record = await this.#recordOf(stored);
    const pieces = piecesOf(record);
    const sizeBytes = sum(pieces);
    const newest = await repository.newestSnapshot();
    // Only what the newest restore point needs is sure to stay: an unused piece may be on its way out.
    const known = new Set(newest === undefined ? [] : piecesOf(newest).map(({ sha256 }) => sha256));
    const missing = pieces.filter(({ sha256 }) => !known.has(sha256));
    await this.#send(missing, signal);
    await repository.createSnapshot(record);
    // Retention may have removed pieces of the snapshot that was the newest while this one was on its way.
    const lost = await this.#missingPieces(pieces);
    await this.#send(lost, signal);
    return { record, sizeBytes, sentBytes: sum(missing) + sum(lost) };
  }

  async #send(pieces: readonly SnapshotChunkRef[], signal: AbortSignal): Promise<void> {
    const { repository, snapshots } = this.#options;
    const waiting = pieces.values();
    const next = async (): Promise<void> => {
      for (const { sha256, sizeBytes } of waiting) {
        signal.throwIfAborted();
        const read = (offset: number, maxBytes: number): Promise<Uint8Array> =>
          snapshots.read(sha256, offset, maxBytes);
        await repository.writeChunk(sha256, { sizeBytes, read }, signal);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_WRITES }, next));
  }

  async #missingPieces(pieces: readonly SnapshotChunkRef[]): Promise<readonly SnapshotChunkRef[]> {
    const there = new Set<string>();
    for await (const { key } of this.#options.repository.chunks()) there.add(parseChunkKey(key) ?? '');
    return pieces.filter(({ sha256 }) => !there.has(sha256));
  }

  async #recordOf(stored: StoredSnapshot): Promise<SnapshotRecord> {
    const { clusterId, nodeId, now } = this.#options;
    const { index, term } = stored.meta;
    const summary = await this.#summary(stored);
    const { manifest, chunks } = stored;
    return { clusterId, index, term, ...summary, createdAt: now(), nodeId, manifest, chunks };
  }

  /** A journal's snapshot begins with what it adds up to. */
  async #summary(
    stored: StoredSnapshot,
  ): Promise<Pick<SnapshotRecord, 'entries' | 'operations' | 'clock' | 'digest'>> {
    for await (const { records } of this.#options.snapshots.load(stored)) {
      for await (const bytes of records) {
        const { entries, operations, clock, digest } = JSON.parse(Buffer.from(bytes).toString('utf8')) as {
          readonly [Name in 'entries' | 'operations' | 'clock' | 'digest']: unknown;
        };
        if (
          typeof entries === 'number' &&
          typeof operations === 'number' &&
          typeof clock === 'string' &&
          typeof digest === 'string'
        )
          return { entries, operations, clock, digest };
      }
      break;
    }
    throw new Error(
      `assertion failed: the snapshot of entry ${String(stored.meta.index)} begins with a summary`,
    );
  }
}

function sum(pieces: readonly SnapshotChunkRef[]): number {
  return pieces.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
}
