/** Checks a backup whole: every object, every hash, what they add up to. Changes nothing. */
import { createHash } from 'node:crypto';
import type { JournalState } from '@pact-journal/journal-state';
import { fetchBatches } from './batches.ts';
import { isBackupError } from './errors.ts';
import { openObject } from './format/document.ts';
import { CHUNKS, chunkKey, IDENTITY_KEY, parseChunkKey, WRITERS } from './format/keys.ts';
import type { LogBatch } from './format/log-batch.ts';
import type { ListedSnapshot, Repository } from './format/repository.ts';
import { piecesOf, type SnapshotRecord } from './format/snapshot-record.ts';
import { fetchSnapshot, TemporarySnapshots } from './pieces.ts';
import { Replay } from './replay.ts';
import { listAll } from './store/object-store.ts';
import { checkOverlays } from './overlays.ts';
import { checkSuccession, readTimeline, type Timeline } from './timeline.ts';

export interface BackupFinding {
  /** The object; the backup's address where it is about the whole. */
  readonly key: string;
  readonly message: string;
}

export interface BackupVerification {
  readonly clusterId: string | undefined;
  /** Empty: the backup is whole. */
  readonly findings: readonly BackupFinding[];
  readonly objects: number;
  readonly sizeBytes: number;
  readonly snapshots: number;
  readonly logObjects: number;
  /** Places where the log could not be exported in full and a snapshot stands for what is missing. */
  readonly gaps: number;
  /** The newest state that the backup leads to; undefined where it could not be reached. */
  readonly state: JournalState | undefined;
  readonly index: number;
}

export interface VerifyOptions {
  /** False: every object is checked for itself and in its order, but no state is built from them. True by default. */
  readonly replay?: boolean;
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
}

const READ_SIZE_BYTES = 1024 * 1024;
const SMALL_OBJECT_SIZE_BYTES_MAX = 64 * 1024;
/** Objects read side by side. */
const PARALLEL_READS = 4;

/** Rejects where the store cannot be read; damage is what it reports. */
export async function verifyBackup(
  repository: Repository,
  options: VerifyOptions = {},
): Promise<BackupVerification> {
  return new Verifier(repository, options).run();
}

class Verifier {
  readonly #repository: Repository;
  readonly #onProgress: (doneBytes: number, totalBytes: number) => void;
  readonly #replays: boolean;
  readonly #findings: BackupFinding[] = [];
  #objects = 0;
  #doneBytes = 0;
  #totalBytes = 0;
  #gaps = 0;

  constructor(repository: Repository, { onProgress, replay }: VerifyOptions) {
    this.#replays = replay ?? true;
    this.#repository = repository;
    this.#onProgress = onProgress ?? ((): void => undefined);
  }

  async run(): Promise<BackupVerification> {
    const timeline = await this.#attempt(IDENTITY_KEY, () => readTimeline(this.#repository));
    if (timeline === undefined) return this.#report(undefined, undefined);
    const chunks = await listAll(this.#repository.store, CHUNKS);
    this.#totalBytes = [...chunks, ...timeline.batches].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    this.#objects = 1 + chunks.length + timeline.batches.length + timeline.snapshots.length;
    await this.#checkWriters();
    const records = await this.#readRecords(timeline);
    await this.#checkChunks(chunks, records);
    const replay = await this.#replay(timeline, records);
    if (replay !== undefined) {
      for (const message of checkOverlays(replay.state)) this.#find(this.#repository.url, message);
    }
    return this.#report(timeline, replay);
  }

  #report(timeline: Timeline | undefined, replay: Replay | undefined): BackupVerification {
    return {
      clusterId: timeline?.identity.clusterId,
      findings: this.#findings,
      objects: this.#objects,
      sizeBytes: this.#doneBytes,
      snapshots: timeline?.snapshots.length ?? 0,
      logObjects: timeline?.batches.length ?? 0,
      gaps: this.#gaps,
      state: replay?.state,
      index: replay?.index ?? 0,
    };
  }

  #find(key: string, message: string): void {
    if (!this.#findings.some((known) => known.key === key)) this.#findings.push({ key, message });
  }

  /** What `work` gives; undefined, with a finding, where it finds damage. */
  async #attempt<Result>(key: string, work: () => Promise<Result> | Result): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      const damaged =
        isBackupError(error, 'damaged') ||
        isBackupError(error, 'foreignCluster') ||
        isBackupError(error, 'checksumMismatch');
      if (!damaged) throw error;
      this.#find(error.key ?? key, error.message);
      return undefined;
    }
  }

  #advance(sizeBytes: number): void {
    this.#doneBytes += sizeBytes;
    this.#onProgress(this.#doneBytes, this.#totalBytes);
  }

  async #checkWriters(): Promise<void> {
    const { store } = this.#repository;
    for (const { key, sizeBytes } of await listAll(store, WRITERS)) {
      this.#objects += 1;
      this.#advance(sizeBytes);
      await this.#attempt(key, async () =>
        openObject(key, 'writer', await store.get(key, SMALL_OBJECT_SIZE_BYTES_MAX)),
      );
    }
  }

  async #readRecords({ snapshots, identity }: Timeline): Promise<ReadonlyMap<string, SnapshotRecord>> {
    const records = new Map<string, SnapshotRecord>();
    for (const { key } of snapshots) {
      const record = await this.#attempt(key, () => this.#repository.snapshot(key, identity.clusterId));
      if (record !== undefined) records.set(key, record);
    }
    return records;
  }

  async #checkChunks(
    chunks: readonly { readonly key: string; readonly sizeBytes: number }[],
    records: ReadonlyMap<string, SnapshotRecord>,
  ): Promise<void> {
    const sizes = new Map(chunks.map(({ key, sizeBytes }) => [key, sizeBytes]));
    for (const [key, record] of records) {
      for (const piece of piecesOf(record)) {
        const found = sizes.get(chunkKey(piece.sha256));
        if (found === undefined) this.#find(chunkKey(piece.sha256), `is missing, and ${key} needs it`);
        else if (found !== piece.sizeBytes)
          this.#find(
            chunkKey(piece.sha256),
            `has ${String(found)} bytes, must have ${String(piece.sizeBytes)}`,
          );
      }
    }
    const waiting = chunks.values();
    const next = async (): Promise<void> => {
      for (const { key, sizeBytes } of waiting) {
        const expected = parseChunkKey(key);
        if (expected === undefined) this.#find(key, 'is no name of a piece of a snapshot');
        else if ((await this.#hash(key, sizeBytes)) !== expected)
          this.#find(key, 'its content does not have the hash that its name says');
        this.#advance(sizeBytes);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_READS }, next));
  }

  async #hash(key: string, sizeBytes: number): Promise<string> {
    const hash = createHash('sha256');
    for (let offset = 0; offset < sizeBytes;) {
      const bytes = await this.#attempt(key, () => this.#repository.store.read(key, offset, READ_SIZE_BYTES));
      if (bytes === undefined || bytes.length === 0) break;
      hash.update(bytes);
      offset += bytes.length;
    }
    return hash.digest('hex');
  }

  /** Loads every snapshot and replays all log, comparing where they meet. The newest state that was reached. */
  async #replay(
    timeline: Timeline,
    records: ReadonlyMap<string, SnapshotRecord>,
  ): Promise<Replay | undefined> {
    const temporary = await TemporarySnapshots.create();
    try {
      return await new Walk(timeline, records, {
        load: (record) =>
          this.#replays ? this.#load(temporary, timeline, record) : Promise.resolve(undefined),
        attempt: (key, work) => this.#attempt(key, work),
        find: (key, message) => this.#find(key, message),
        gap: () => (this.#gaps += 1),
        advance: (sizeBytes) => this.#advance(sizeBytes),
      }).run(this.#repository);
    } finally {
      await temporary.remove();
    }
  }

  async #load(
    temporary: TemporarySnapshots,
    { identity }: Timeline,
    record: SnapshotRecord,
  ): Promise<Replay | undefined> {
    const broken = piecesOf(record).some(({ sha256 }) =>
      this.#findings.some(({ key }) => key === chunkKey(sha256)),
    );
    if (broken) return undefined;
    const store = await temporary.open(identity.clusterId);
    try {
      return await this.#attempt(chunkKey(record.manifest.sha256), async () =>
        Replay.from(store, await fetchSnapshot(this.#repository, record, store, () => undefined), record),
      );
    } finally {
      await store.close();
    }
  }
}

interface WalkHooks {
  readonly load: (record: SnapshotRecord) => Promise<Replay | undefined>;
  readonly attempt: <Result>(
    key: string,
    work: () => Promise<Result> | Result,
  ) => Promise<Result | undefined>;
  readonly find: (key: string, message: string) => void;
  readonly gap: () => void;
  readonly advance: (sizeBytes: number) => void;
}

/** One way through the whole timeline, oldest first. */
class Walk {
  readonly #timeline: Timeline;
  readonly #records: ReadonlyMap<string, SnapshotRecord>;
  readonly #hooks: WalkHooks;
  /** Snapshots that the replay has not come to yet, oldest first. */
  #ahead: readonly ListedSnapshot[];
  #replay: Replay | undefined;

  constructor(timeline: Timeline, records: ReadonlyMap<string, SnapshotRecord>, hooks: WalkHooks) {
    this.#timeline = timeline;
    this.#records = records;
    this.#hooks = hooks;
    this.#ahead = timeline.snapshots;
  }

  async run(repository: Repository): Promise<Replay | undefined> {
    const { batches, identity, snapshots } = this.#timeline;
    const oldest = snapshots[0]?.index;
    await this.#loadUpTo(oldest ?? 0);
    let before: LogBatch | undefined;
    for await (const { listed, batch } of fetchBatches(repository, batches, identity.clusterId)) {
      const read = await this.#hooks.attempt(listed.key, () => batch);
      this.#hooks.advance(listed.sizeBytes);
      if (read === undefined) {
        before = undefined;
        this.#replay = undefined;
        continue;
      }
      const cut = before === undefined && listed !== batches[0];
      const startsRun = await this.#hooks.attempt(listed.key, () =>
        cut ? false : checkSuccession(listed.key, read, before),
      );
      const firstNeeded = (oldest ?? 0) + 1;
      if (listed === batches[0] && startsRun === false && read.firstIndex > firstNeeded)
        this.#hooks.find(listed.key, `the log from entry ${String(firstNeeded)} on is missing before it`);
      before = read;
      await this.#follow(listed.key, read, startsRun === true);
    }
    await this.#loadUpTo(Infinity);
    return this.#replay;
  }

  async #follow(key: string, batch: LogBatch, startsRun: boolean): Promise<void> {
    await this.#loadUpTo(batch.firstIndex - 1);
    if (startsRun && this.#replay !== undefined && batch.firstIndex > this.#replay.index + 1) {
      this.#hooks.gap();
      this.#replay = undefined;
    }
    const replay = this.#replay;
    if (replay === undefined || replay.index + 1 < batch.firstIndex) return this.#loadUpTo(batch.lastIndex);
    const applied = await this.#hooks.attempt(key, () =>
      replay.apply(key, batch, { kind: 'end' }, (now) => this.#compare(now)),
    );
    if (applied === undefined) this.#replay = undefined;
    await this.#loadUpTo(batch.lastIndex);
  }

  /** Where the replay comes to a snapshot's index, both must be the same state. */
  #compare(replay: Replay): void {
    for (const { key, index } of this.#ahead) {
      if (index > replay.index) return;
      const record = this.#records.get(key);
      if (index !== replay.index || record === undefined) continue;
      const { state } = replay;
      if (record.digest !== state.digest() || record.entries !== state.entryCount)
        this.#hooks.find(key, 'is another state than the log before it leads to');
    }
  }

  /** Loads each snapshot up to an index for its own sake, and goes on from the last one where the log does not lead on. */
  async #loadUpTo(index: number): Promise<void> {
    for (let next = this.#ahead[0]; next !== undefined && next.index <= index; next = this.#ahead[0]) {
      this.#ahead = this.#ahead.slice(1);
      const record = this.#records.get(next.key);
      const loaded = record === undefined ? undefined : await this.#hooks.load(record);
      if (loaded === undefined) continue;
      const reached = this.#replay?.index;
      if (reached !== undefined && reached < loaded.index) this.#hooks.gap();
      if (reached === undefined || reached < loaded.index) this.#replay = loaded;
    }
  }
}
