/**
 * Continuous export by the leader: a snapshot to begin with, the log after it in small batches as it is committed, and
 * further snapshots from time to time. Where it goes on is what the store holds, so a new leader leaves no gap and
 * repeats nothing; writers of different terms are told apart by the store itself.
 *
 * It reads what is committed and applied; nothing that commits ever waits for it. At most one batch, and a few pieces
 * of a snapshot, are in memory.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Entry, StoredSnapshot } from '@pact-journal/raft-core';
import { BackupError, isBackupError } from '../errors.ts';
import { logKey } from '../format/keys.ts';
import { BATCH_RAW_SIZE_BYTES, encodeBatch, type LogBatch } from '../format/log-batch.ts';
import type { Repository } from '../format/repository.ts';
import type { SnapshotRecord } from '../format/snapshot-record.ts';
import { prune, type Retention } from '../retention.ts';
import { couldHaveClock, type CommittedLog } from './committed-log.ts';
import type { SnapshotUploader } from './snapshot-upload.ts';

export interface ExporterOptions {
  readonly repository: Repository;
  readonly clusterId: string;
  readonly nodeId: number;
  readonly log: CommittedLog;
  readonly uploader: SnapshotUploader;
  readonly take: () => Promise<StoredSnapshot>;
  /** Commits this close together are exported in one object. */
  readonly intervalMs: number;
  readonly snapshotIntervalMs: number;
  readonly retention: Retention;
  readonly observer: ExportObserver;
  /** Why this replica must not be exported now; undefined while nothing speaks against it. */
  readonly refusal: () => string | undefined;
}

/** Told what happens. Must not throw. */
export interface ExportObserver {
  /** Everything up to this index can be restored. */
  exported(index: number): void;
  sent(sizeBytes: number): void;
  snapshot(index: number, sentBytes: number): void;
  /** A part of the export has failed and will be tried again. */
  failed(part: ExportPart, error: unknown): void;
  recovered(part: ExportPart): void;
}

export type ExportPart = 'log' | 'snapshot';

const RETRY_MS = { first: 500, last: 30_000 } as const;
/** How often it is looked whether a snapshot is due and whether another leader has taken over. */
const CHORES_MS = 10_000;

/** Where the exported log ends. */
interface Cursor {
  readonly lastIndex: number;
  /** Hash of the last object; null where a run begins. */
  readonly sha256: string | null;
  readonly runFirstIndex: number;
}

export class Exporter {
  readonly #options: ExporterOptions;
  #running: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;

  constructor(options: ExporterOptions) {
    this.#options = options;
  }

  /** To be called when this node leads in `term` and has applied what was committed before. */
  start(term: number): void {
    void this.stop();
    const stop = new AbortController();
    this.#running = { stop, done: new Leadership(this.#options, term, stop.signal).run() };
  }

  /** Resolves when nothing is written any more. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    running?.stop.abort();
    await running?.done;
  }
}

/** The export during one leadership. */
class Leadership {
  readonly #options: ExporterOptions;
  readonly #term: number;
  readonly #signal: AbortSignal;
  /** Whether a snapshot stands at the beginning of the exported log, without which it leads nowhere. */
  #anchored = false;
  #uploading: Promise<void> | undefined;
  #snapshotDueMs = 0;
  #shippedIndex = 0;

  constructor(options: ExporterOptions, term: number, signal: AbortSignal) {
    this.#options = options;
    this.#term = term;
    this.#signal = signal;
  }

  /**
   * Never rejects. Ends when the signal says so. That a later leader has taken over is no reason: either this node is
   * told so soon, or another life of the cluster writes here, which somebody must be told of.
   */
  async run(): Promise<void> {
    await this.#untilStopped('log', () => this.#session());
    await this.#uploading;
  }

  /** Runs `work` until it succeeds, with back-off. */
  async #untilStopped(part: ExportPart, work: () => Promise<void>): Promise<void> {
    const { observer } = this.#options;
    for (let delayMs: number = RETRY_MS.first; !this.#signal.aborted;) {
      const startedMs = performance.now();
      try {
        await work();
        observer.recovered(part);
        return;
      } catch (error) {
        if (this.#signal.aborted) return;
        observer.failed(part, error);
        // After a time of success it begins anew.
        if (performance.now() - startedMs > RETRY_MS.last) delayMs = RETRY_MS.first;
      }
      await this.#pause(delayMs * (0.75 + Math.random() / 2));
      delayMs = Math.min(delayMs * 2, RETRY_MS.last);
    }
  }

  async #session(): Promise<void> {
    const { repository, clusterId, nodeId } = this.#options;
    const now = new Date().toISOString();
    await repository.claim(clusterId, now);
    await repository.announceWriter(this.#term, nodeId, now);
    let cursor = await this.#resume();
    this.#tell(cursor);
    this.#options.observer.recovered('log');
    let choresDueMs = performance.now() + CHORES_MS;
    while (!this.#signal.aborted) {
      const startedMs = performance.now();
      const before = cursor.lastIndex;
      if (this.#options.log.appliedIndex() > before) {
        cursor = await this.#ship(cursor);
        this.#tell(cursor);
      }
      if (performance.now() > choresDueMs) {
        await repository.checkWriter(this.#term);
        choresDueMs = performance.now() + CHORES_MS;
      }
      this.#snapshotIfDue();
      if (this.#options.log.appliedIndex() === cursor.lastIndex) await this.#untilApplied(CHORES_MS);
      else if (cursor.lastIndex - before > 1_000) continue;
      await this.#pause(this.#options.intervalMs - (performance.now() - startedMs));
    }
  }

  /** Where to go on. Without a place that the log still leads on from, a snapshot takes the place of what is missing. */
  async #resume(): Promise<Cursor> {
    const { log, repository } = this.#options;
    const last = await this.#lastBatch();
    if (last !== undefined) this.#requireSameHistory(last);
    const continues = last !== undefined && log.firstIndex() <= last.lastIndex + 1;
    // The snapshot that is on its way may be the place to go on from.
    if (!continues) await this.#uploading;
    const newest = await repository.newestSnapshot();
    if (continues) {
      this.#goOnFrom(newest, last.runFirstIndex);
      return { lastIndex: last.lastIndex, sha256: last.sha256, runFirstIndex: last.runFirstIndex };
    }
    const first = await this.#firstLeadingOn(last?.lastIndex ?? 0);
    if (newest === undefined || first === undefined) return this.#startRun();
    for (const record of [first, newest]) this.#requireSameState(record);
    this.#goOnFrom(newest, first.index + 1);
    return { lastIndex: first.index, sha256: null, runFirstIndex: first.index + 1 };
  }

  /** The first snapshot after an index from which the log here leads on: every later point is reached from it. */
  async #firstLeadingOn(after: number): Promise<SnapshotRecord | undefined> {
    const { log, repository, clusterId } = this.#options;
    const first = (await repository.snapshots()).find(
      ({ index }) => index > after && log.firstIndex() <= index + 1,
    );
    return first === undefined ? undefined : repository.snapshot(first.key, clusterId);
  }

  #goOnFrom(newest: SnapshotRecord | undefined, runFirstIndex: number): void {
    this.#anchored = newest !== undefined && newest.index >= runFirstIndex - 1;
    const ageMs = newest === undefined ? Infinity : Date.now() - Date.parse(newest.createdAt);
    // Where the clocks differ, one interval is the longest that the next snapshot is put off.
    const leftMs = this.#options.snapshotIntervalMs - Math.max(0, ageMs);
    this.#snapshotDueMs = this.#anchored ? performance.now() + leftMs : 0;
  }

  /** A snapshot of now, uploaded beside what follows it. */
  async #startRun(): Promise<Cursor> {
    const stored = await this.#options.take();
    this.#anchored = false;
    const { index } = stored.meta;
    const cursor = { lastIndex: index, sha256: null, runFirstIndex: index + 1 };
    this.#upload(stored);
    return cursor;
  }

  /** The last log object. The log may be long, so it is looked for from the newest snapshot on. */
  async #lastBatch(): Promise<LogBatch | undefined> {
    const { repository, clusterId } = this.#options;
    const from = (await repository.snapshots()).map(({ index }) => index).toReversed();
    for (const index of [...from, 0]) {
      let last: string | undefined;
      for await (const { key } of repository.batches(index)) last = key;
      if (last !== undefined) return repository.batch(last, clusterId);
    }
    return undefined;
  }

  /** A cluster that was restored under its old id must not go on in a backup that another life of it has written. */
  #requireSameHistory({ lastIndex, entries }: LogBatch): void {
    const exported = entries.at(-1);
    const ours = this.#ownEntry(lastIndex);
    const differs = ours !== undefined && exported !== undefined && !sameEntry(ours, exported);
    if (lastIndex > this.#options.log.appliedIndex() || differs) throw this.#anotherHistory(lastIndex);
  }

  /** The same by a snapshot, of which only the sums are at hand. */
  #requireSameState({ index, term, clock, digest }: SnapshotRecord): void {
    const { log } = this.#options;
    const ours = this.#ownEntry(index);
    const known = log.checkpoint(index);
    const differs =
      (ours !== undefined && ours.term !== term) ||
      !couldHaveClock(log, index, clock) ||
      (known?.index === index && known.digest !== digest);
    if (index > log.appliedIndex() || differs) throw this.#anotherHistory(index);
  }

  /** Undefined where the log does not hold it. */
  #ownEntry(index: number): Entry | undefined {
    const { log } = this.#options;
    if (index < log.firstIndex() || index > log.appliedIndex()) return undefined;
    return log.entries(index, index + 1, 1)[0];
  }

  #anotherHistory(upTo: number): BackupError {
    return new BackupError(
      'foreignCluster',
      `${this.#options.repository.url} holds another history of this cluster (up to entry ${String(upTo)}); give this one a place of its own`,
    );
  }

  async #ship(cursor: Cursor): Promise<Cursor> {
    const { log, clusterId, nodeId, observer, refusal } = this.#options;
    const reason = refusal();
    if (reason !== undefined) throw new BackupError('astray', reason);
    const firstIndex = cursor.lastIndex + 1;
    if (log.firstIndex() > firstIndex) {
      throw new BackupError(
        'unavailable',
        `the log was compacted up to ${String(log.firstIndex() - 1)} before entry ${String(firstIndex)} could be exported: a snapshot takes its place, and the points between cannot be restored`,
      );
    }
    const { entries, checkpoint } = this.#take(firstIndex);
    const lastIndex = firstIndex + entries.length - 1;
    const { bytes, sha256 } = encodeBatch(
      {
        clusterId,
        nodeId,
        writerTerm: this.#term,
        firstIndex,
        lastIndex,
        runFirstIndex: cursor.runFirstIndex,
        previous: cursor.sha256,
        checkpoint,
      },
      entries,
    );
    const key = logKey(firstIndex);
    try {
      await this.#create(key, bytes);
    } catch (error) {
      if (!isBackupError(error, 'exists')) throw error;
      return this.#adopt(key);
    }
    observer.sent(bytes.length);
    return { ...cursor, lastIndex, sha256 };
  }

  /**
   * Where the store cannot tell two writers apart, the announcements of writers do: before, so that a later one's object
   * is not replaced, but for a write that is on its way; after, because a later one that announced itself meanwhile may
   * not have seen this object, and it must not be reported then.
   */
  async #create(key: string, bytes: Uint8Array): Promise<void> {
    const { repository } = this.#options;
    const checkWriter = async (): Promise<void> => {
      if (!repository.store.exclusive) await repository.checkWriter(this.#term);
    };
    await checkWriter();
    await repository.store.create(key, bytes, this.#signal);
    await checkWriter();
  }

  /** An object is there that this node did not know of: its own, whose acknowledgement was lost, or another leader's. */
  async #adopt(key: string): Promise<Cursor> {
    const { repository, clusterId } = this.#options;
    await repository.checkWriter(this.#term);
    const batch = await repository.batch(key, clusterId);
    this.#requireSameHistory(batch);
    return { lastIndex: batch.lastIndex, sha256: batch.sha256, runFirstIndex: batch.runFirstIndex };
  }

  /** Entries for one object, ending where the state is known, so that whoever replays them can compare. */
  #take(firstIndex: number): {
    readonly entries: readonly Entry[];
    readonly checkpoint: {
      readonly digest: string;
      readonly headHash: string;
      readonly entries: number;
    } | null;
  } {
    const { log } = this.#options;
    const entries = log.entries(firstIndex, log.appliedIndex() + 1, BATCH_RAW_SIZE_BYTES);
    const known = log.checkpoint(firstIndex + entries.length - 1);
    if (known === undefined) return { entries, checkpoint: null };
    const after = entries.slice(Math.max(0, known.index - firstIndex + 1));
    // Entries that are no commands leave the state as it is.
    if (after.every(({ type, data }) => type !== 'normal' || data.length === 0))
      return { entries, checkpoint: known };
    if (known.index < firstIndex) return { entries, checkpoint: null };
    return { entries: entries.slice(0, known.index - firstIndex + 1), checkpoint: known };
  }

  #tell({ lastIndex }: Cursor): void {
    this.#shippedIndex = lastIndex;
    if (this.#anchored) this.#options.observer.exported(lastIndex);
  }

  #snapshotIfDue(): void {
    if (this.#uploading !== undefined || performance.now() < this.#snapshotDueMs) return;
    this.#upload(undefined);
  }

  /** Beside the log, for it may take long; tried again by itself. */
  #upload(given: StoredSnapshot | undefined): void {
    const { uploader, observer, repository, retention, snapshotIntervalMs } = this.#options;
    let stored = given;
    const uploading = this.#untilStopped('snapshot', async () => {
      const { record, sentBytes } = await uploader.upload(stored, this.#signal).catch((error: unknown) => {
        // It may have been superseded here in the meantime; any later one does as well.
        stored = undefined;
        throw error;
      });
      this.#snapshotDueMs = performance.now() + snapshotIntervalMs;
      this.#anchored = true;
      observer.snapshot(record.index, sentBytes);
      // Log that was exported in the meantime led nowhere before.
      observer.exported(Math.max(record.index, this.#shippedIndex));
      await prune(repository, retention, Date.now());
    });
    this.#uploading = uploading.then(() => {
      this.#uploading = undefined;
    });
  }

  async #untilApplied(timeoutMs: number): Promise<void> {
    const { log } = this.#options;
    const waiting = new AbortController();
    const off = log.onApplied(() => waiting.abort());
    try {
      await sleep(timeoutMs, undefined, { signal: AbortSignal.any([waiting.signal, this.#signal]) });
    } catch {
      // Woken before the time.
    } finally {
      off();
    }
  }

  async #pause(delayMs: number): Promise<void> {
    if (delayMs <= 0) return;
    await sleep(delayMs, undefined, { signal: this.#signal }).catch(() => undefined);
  }
}

function sameEntry(left: Entry, right: Entry): boolean {
  return left.term === right.term && left.type === right.type && Buffer.from(left.data).equals(right.data);
}
