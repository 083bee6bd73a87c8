/**
 * raft-core's LogStore on a directory.
 *
 * What is durable when: an append resolves after fsync of its file and of the directory, and nearly always its write is
 * under way when the call returns, so that the caller can do something else while the disk works; the vote is replaced before the
 * entries that came with it are written; the commit index is only a hint and never synced. What must never come back
 * after a crash (a conflicting suffix, a compacted prefix) is first declared gone in `bounds.json`, then removed.
 */
import { join } from 'node:path';
import { StorageError } from '@pact-journal/raft-core';
import type {
  Entry,
  HardState,
  LogAppend,
  LogIndex as Index,
  LogStore,
  LogStoreState,
  NodeId,
  Term,
} from '@pact-journal/raft-core';
import { WalStorageError, ioError, isWalStorageError } from '../errors.ts';
import type { WarningHandler } from '../errors.ts';
import type { DirectoryLock, FileSystem } from '../fs/file-system.ts';
import { VOTE_FILE, layoutOf } from '../layout.ts';
import type { Layout } from '../layout.ts';
import { writeBounds, writeVote } from '../meta/metadata.ts';
import type { Bounds, Identity, Vote } from '../meta/metadata.ts';
import { Slices } from '../slices.ts';
import { CommitHint } from './commit-hint.ts';
import { encodeAppend } from './line.ts';
import type { PayloadFormat } from './line.ts';
import { LogIndex } from './log-index.ts';
import { openLog } from './open-log.ts';
import type { NewestSnapshot } from './open-log.ts';
import { readEntries, readLineChecksum, readPreviousChecksum } from './reader.ts';
import { ReadyFiles } from './ready-files.ts';
import { Remover, removeLogFiles } from './remover.ts';
import { Scratch } from './scratch.ts';
import { TailCache } from './tail-cache.ts';
import { replaceLogFile, splitAppend, writeLogFile } from './writer.ts';

/** A synchronous read of old entries stops after this much, so that it blocks for a few milliseconds at most. */
const SYNC_READ_SIZE_BYTES_MAX = 4 * 1024 * 1024;
const SYNC_READ_FILES_MAX = 128;

/** So much of the newest entries is read into the cache when a log is opened: what peers and state machine ask for first. */
const WARM_SIZE_BYTES_MAX = 8 * 1024 * 1024;
const WARM_READ_SIZE_BYTES = 1024 * 1024;

export interface WalLogStoreOptions {
  /** The log lives in `<dataDir>/raft`. */
  readonly dataDir: string;
  readonly identity: Identity;
  readonly fileSystem: FileSystem;
  readonly onWarning: WarningHandler;
  /** At most this many entries a file, at least 1. Each file costs two syncs. */
  readonly entriesPerFile: number;
  /** Newest entries kept in memory, in bytes. */
  readonly tailCacheSizeBytes: number;
  readonly payload: PayloadFormat;
  /** The newest usable snapshot, for holding log and snapshots against each other. Without it they are not. */
  readonly newestSnapshot?: NewestSnapshot;
}

export class WalLogStore implements LogStore {
  readonly #options: WalLogStoreOptions;
  readonly #layout: Layout;
  readonly #fileSystem: FileSystem;
  #lock: DirectoryLock | undefined;
  #state: 'new' | 'open' | 'closed' = 'new';
  #failure: unknown;
  #index = new LogIndex(0, 0);
  #cache: TailCache;
  #vote: Vote = { term: 0, vote: 0 };
  #bounds: Bounds = { compactedIndex: 0, compactedTerm: 0, compactedChecksum: 0, truncateFrom: undefined };
  #lastChecksum = 0;
  #hint: CommitHint;
  #remover: Remover;
  readonly #ready: ReadyFiles;
  /** For what is appended: one append is written before the next one is encoded. */
  readonly #scratch = new Scratch();
  /** Entries of a file that is being rewritten, for readers meanwhile. */
  #pinned: readonly Entry[] = [];

  constructor(options: WalLogStoreOptions) {
    if (!Number.isSafeInteger(options.entriesPerFile) || options.entriesPerFile < 1) {
      throw new WalStorageError(
        'invalidArgument',
        `entriesPerFile is ${options.entriesPerFile}; it must be an integer from 1`,
      );
    }
    this.#options = options;
    this.#fileSystem = options.fileSystem;
    this.#layout = layoutOf(options.dataDir);
    this.#cache = new TailCache(options.tailCacheSizeBytes);
    this.#hint = new CommitHint(this.#fileSystem, this.#layout.raft, options.onWarning);
    this.#remover = new Remover(this.#fileSystem, this.#layout.wal, options.onWarning);
    this.#ready = new ReadyFiles(
      this.#fileSystem,
      this.#layout.wal,
      () => this.#remover.take(),
      options.onWarning,
    );
  }

  async open(): Promise<LogStoreState> {
    if (this.#state !== 'new')
      throw new WalStorageError('closed', `opening ${this.#layout.raft}: this store was opened before`);
    this.#lock = await this.#fileSystem.lock(this.#layout.raft);
    try {
      const opened = await openLog(this.#fileSystem, this.#layout, this.#options);
      this.#index = opened.index;
      this.#vote = opened.vote;
      this.#bounds = opened.bounds;
      this.#lastChecksum = opened.lastChecksum;
      this.#hint.recovered(opened.commit);
      await this.#warmCache();
      this.#state = 'open';
      return {
        hardState: {
          term: opened.vote.term as Term,
          vote: opened.vote.vote as NodeId,
          commit: opened.commit as Index,
        },
        compactedIndex: opened.bounds.compactedIndex as Index,
        compactedTerm: opened.bounds.compactedTerm as Term,
        lastIndex: opened.index.lastIndex as Index,
      };
    } catch (error) {
      this.#state = 'closed';
      await this.#releaseLock();
      throw error;
    }
  }

  /** Reads some of the newest entries back into the cache. */
  async #warmCache(): Promise<void> {
    const slices = new Slices();
    const { firstIndex, lastIndex } = this.#index;
    let from = lastIndex + 1;
    let budget = Math.min(this.#options.tailCacheSizeBytes, WARM_SIZE_BYTES_MAX);
    while (from > firstIndex && budget > 0) {
      const slice = this.#index.locate(from - 1);
      budget -= slice.sizeBytes;
      from = Math.max(slice.file, firstIndex);
    }
    while (from <= lastIndex) {
      const entries = this.#readFromDisk(from, lastIndex + 1, WARM_READ_SIZE_BYTES);
      for (const entry of entries) this.#cache.push(entry);
      from += entries.length;
      await slices.breathe();
    }
  }

  append(batch: LogAppend): Promise<void> {
    return this.#mutate(`appending to ${this.#layout.wal}`, async () => {
      const { entries, hardState } = batch;
      const first = entries[0];
      if (first !== undefined) this.#checkAppend(entries, first);
      if (hardState !== undefined && !this.#isVoteOf(hardState)) await this.#persistVote(hardState);
      if (first !== undefined) {
        if (first.index <= this.#index.lastIndex) await this.#truncate(first.index);
        for (const part of splitAppend(entries, this.#options.entriesPerFile)) await this.#appendFile(part);
      }
      if (hardState !== undefined) this.#noteCommit(hardState.commit);
    });
  }

  #checkAppend(entries: readonly Entry[], first: Entry): void {
    const { firstIndex, lastIndex } = this.#index;
    const refuse = (why: string): never => {
      throw new WalStorageError('invalidArgument', `appending entries from ${first.index} on: ${why}`);
    };
    if (first.index > lastIndex + 1) refuse(`the log ends with entry ${lastIndex}, so there would be a hole`);
    if (first.index < firstIndex) refuse(`entries up to ${firstIndex - 1} are compacted`);
    if (first.index <= this.#hint.index)
      refuse(`entries up to ${this.#hint.index} are committed and cannot be replaced`);
    let index = first.index - 1;
    let term = this.#index.term(index) ?? 0;
    for (const entry of entries) {
      index++;
      if (entry.index !== index) refuse(`entry ${entry.index} stands where ${index} belongs`);
      if (entry.term < term) refuse(`the term of entry ${index} goes back from ${term} to ${entry.term}`);
      term = entry.term;
    }
  }

  #isVoteOf({ term, vote }: HardState): boolean {
    return term === this.#vote.term && vote === this.#vote.vote;
  }

  async #persistVote({ term, vote }: HardState): Promise<void> {
    const path = join(this.#layout.raft, VOTE_FILE);
    if (term < this.#vote.term || (term === this.#vote.term && this.#vote.vote !== 0)) {
      const message = `replacing ${path}: term ${this.#vote.term} with vote ${this.#vote.vote} cannot become term ${term} with vote ${vote}`;
      throw new WalStorageError('invalidArgument', message, { path });
    }
    await writeVote(this.#fileSystem, this.#layout.raft, { term, vote });
    this.#vote = { term, vote };
  }

  #noteCommit(commit: number): void {
    const index = Math.min(commit, this.#index.lastIndex);
    this.#hint.note(index, this.#index.term(index) ?? 0);
  }

  async #appendFile(entries: readonly Entry[]): Promise<void> {
    const first = entries[0];
    if (first === undefined) return;
    const encoded = encodeAppend(entries, this.#lastChecksum, this.#options.payload, this.#scratch.take);
    await writeLogFile(this.#fileSystem, this.#layout.wal, first.index, encoded, this.#ready.take());
    if (this.#state === 'open') this.#ready.refill();
    this.#index.addFile(first.index, encoded.bytes.length);
    entries.forEach((entry, position) => {
      this.#index.addEntry(encoded.offsets[position] ?? 0, entry.term);
      this.#cache.push(entry);
    });
    this.#lastChecksum = encoded.lastChecksum;
  }

  /**
   * Removes entries from `from` on. Declared first: a crash anywhere in between ends, after recovery, with all of them
   * gone, and the declaration is withdrawn before entries with these indexes can be appended again.
   */
  async #truncate(from: number): Promise<void> {
    await this.#setBounds({ ...this.#bounds, truncateFrom: from });
    this.#lastChecksum =
      from - 1 <= this.#bounds.compactedIndex
        ? this.#bounds.compactedChecksum
        : readLineChecksum(this.#fileSystem, this.#layout.wal, this.#index, from - 1);
    const { file, kept, previousChecksum } = this.#keptOfCutFile(from);
    this.#pinned = kept;
    const { removed } = this.#index.truncate(from);
    this.#cache.truncate(from);
    await this.#removeFiles(removed);
    if (kept.length > 0) {
      const encoded = encodeAppend(kept, previousChecksum, this.#options.payload);
      await replaceLogFile(this.#fileSystem, this.#layout.wal, file, encoded);
      this.#index.replaceLastFile(encoded.offsets, encoded.bytes.length);
      this.#lastChecksum = encoded.lastChecksum;
    }
    this.#pinned = [];
    await this.#setBounds({ ...this.#bounds, truncateFrom: undefined });
  }

  /** The entries that stay of the file in the middle of which `from` is; none if a file begins with it. */
  #keptOfCutFile(from: number): {
    readonly file: number;
    readonly kept: readonly Entry[];
    readonly previousChecksum: number;
  } {
    const { file } = this.#index.locate(from);
    if (file === from) return { file, kept: [], previousChecksum: 0 };
    return {
      file,
      kept: readEntries(this.#fileSystem, this.#layout.wal, this.#index, file, from, Infinity),
      previousChecksum: readPreviousChecksum(this.#fileSystem, this.#layout.wal, this.#index, file),
    };
  }

  async #removeFiles(files: readonly number[]): Promise<void> {
    try {
      await removeLogFiles(this.#fileSystem, this.#layout.wal, files);
    } catch (error) {
      throw ioError(error, 'removing log files', this.#layout.wal);
    }
    await this.#syncNames();
  }

  async #syncNames(): Promise<void> {
    try {
      await this.#fileSystem.syncDirectory(this.#layout.wal);
    } catch (error) {
      throw ioError(error, 'removing log files', this.#layout.wal);
    }
  }

  async #setBounds(bounds: Bounds): Promise<void> {
    await writeBounds(this.#fileSystem, this.#layout.raft, bounds);
    this.#bounds = bounds;
  }

  firstIndex(): Index {
    return this.#index.firstIndex as Index;
  }

  lastIndex(): Index {
    return this.#index.lastIndex as Index;
  }

  /** Size of the log's files. */
  get sizeBytes(): number {
    return this.#index.fileBytes;
  }

  term(index: Index): Term {
    const term = this.#index.term(index);
    if (term === undefined) throw this.#outOfRange(index, index < this.#index.firstIndex);
    return term as Term;
  }

  #outOfRange(index: number, compacted: boolean): StorageError {
    const { firstIndex, lastIndex } = this.#index;
    return new StorageError(
      compacted ? 'compacted' : 'unavailable',
      `reading entry ${index}: the log holds entries ${firstIndex} to ${lastIndex}`,
    );
  }

  entries(low: Index, high: Index, maxSizeBytes: number): readonly Entry[] {
    if (low < this.#index.firstIndex) throw this.#outOfRange(low, true);
    if (high > this.#index.lastIndex + 1) throw this.#outOfRange(high - 1, false);
    const newest = this.#cache.range(low, high, maxSizeBytes);
    if (newest !== undefined) return newest;
    const found: Entry[] = [];
    let sizeBytes = 0;
    let next: number = low;
    let files = 0;
    while (next < high) {
      const cached = this.#cache.get(next) ?? this.#pinned[next - (this.#pinned[0]?.index ?? Infinity)];
      const some = cached === undefined ? this.#readSlice(next, high, maxSizeBytes - sizeBytes) : [cached];
      for (const entry of some) {
        sizeBytes += entry.data.length;
        if (found.length > 0 && sizeBytes > maxSizeBytes) return found;
        found.push(entry);
        next++;
      }
      if (cached === undefined && (++files === SYNC_READ_FILES_MAX || sizeBytes >= SYNC_READ_SIZE_BYTES_MAX))
        break;
    }
    return found;
  }

  #readSlice(low: number, high: number, sizeBytes: number): Entry[] {
    const end = Math.min(high, this.#cache.firstIndex, this.#pinned[0]?.index ?? Infinity);
    return this.#readFromDisk(low, Math.max(end, low + 1), Math.min(sizeBytes, SYNC_READ_SIZE_BYTES_MAX));
  }

  #readFromDisk(low: number, high: number, sizeBytes: number): Entry[] {
    return readEntries(this.#fileSystem, this.#layout.wal, this.#index, low, high, sizeBytes);
  }

  compact(index: Index): Promise<void> {
    return this.#mutate(`compacting ${this.#layout.wal}`, async () => {
      if (index < this.#index.firstIndex) return;
      const term = this.term(index);
      await this.#setBounds({
        compactedIndex: index,
        compactedTerm: term,
        compactedChecksum: readLineChecksum(this.#fileSystem, this.#layout.wal, this.#index, index),
        truncateFrom: undefined,
      });
      this.#cache.compact(index);
      this.#remover.add(this.#index.compact(index));
    });
  }

  reset(index: Index, term: Term, hardState: HardState): Promise<void> {
    return this.#mutate(`resetting ${this.#layout.wal}`, async () => {
      if (!this.#isVoteOf(hardState)) await this.#persistVote(hardState);
      await this.#ready.clear();
      await this.#syncNames();
      await this.#remover.removeAll();
      const bounds = { compactedIndex: index, compactedTerm: term, compactedChecksum: 0 };
      await this.#setBounds({ ...bounds, truncateFrom: index + 1 });
      this.#cache.clear();
      this.#lastChecksum = 0;
      await this.#removeFiles(this.#index.reset(index, term));
      await this.#setBounds({ ...bounds, truncateFrom: undefined });
      // The log holds nothing beyond the snapshot yet, whatever else is known to be committed.
      this.#hint.reset(Math.min(hardState.commit, index), term);
    });
  }

  /** Resolves when nothing is under way in the background (files of compacted entries and for appends, the commit hint). */
  async idle(): Promise<void> {
    await this.#ready.idle();
    await this.#remover.idle();
    await this.#hint.idle();
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    await this.#ready.clear();
    // Only once no emptied file can come back are those after it removed; a sync that failed is not repeated.
    const synced =
      this.#failure === undefined &&
      (await this.#syncNames().then(
        () => true,
        () => false,
      ));
    await this.#remover.stop(synced);
    await this.#hint.close();
    this.#cache.clear();
    await this.#releaseLock();
  }

  async #releaseLock(): Promise<void> {
    const lock = this.#lock;
    this.#lock = undefined;
    await lock?.release();
  }

  /** Runs one mutation. After one has failed on the disk, the store refuses all others: an fsync is never repeated. */
  async #mutate(doing: string, work: () => Promise<void>): Promise<void> {
    if (this.#state !== 'open') throw new WalStorageError('closed', `${doing}: the store is not open`);
    if (this.#failure !== undefined) {
      const message = `${doing}: an earlier operation failed, and this instance does nothing any more; restart the node`;
      throw new WalStorageError('failed', message, { cause: this.#failure });
    }
    try {
      await work();
    } catch (error) {
      // A call that was refused has touched nothing.
      if (!isWalStorageError(error, 'invalidArgument')) this.#failure = error;
      throw error;
    }
  }
}
