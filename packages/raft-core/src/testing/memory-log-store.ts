/** A LogStore in memory that keeps what was synced across a close or a crash, and nothing else. */
import { StorageError } from '../core/errors.ts';
import type { Entry, HardState, LogIndex, Term } from '../core/types.ts';
import type { LogAppend, LogStore, LogStoreState } from '../runtime/interfaces.ts';

const EMPTY_HARD_STATE = { term: 0, vote: 0, commit: 0 } as HardState;

/** How a {@link MemoryLogStore} behaves. */
export interface MemoryLogStoreOptions {
  /**
   * Awaited before an append, compaction or reset takes effect: the place to be slow, or to fail. What has not taken
   * effect when {@link MemoryLogStore.crash} is called never does.
   */
  readonly beforeSync?: (operation: MemoryLogOperation) => Promise<void>;
}

/** What is about to become durable. */
export type MemoryLogOperation =
  | { readonly type: 'append'; readonly batch: LogAppend }
  | { readonly type: 'compact'; readonly index: LogIndex }
  | { readonly type: 'reset'; readonly index: LogIndex };

/** What a {@link MemoryLogStore} did since it was made. */
export interface MemoryLogStats {
  /** Appends that became durable. */
  readonly appends: number;
  /** Entries in them. */
  readonly entries: number;
}

/** See {@link LogStore}. May be opened again after `close`; see `crash` for what comes after that. */
export class MemoryLogStore implements LogStore {
  readonly #options: MemoryLogStoreOptions;
  #entries: Entry[] = [];
  /** Entries before this position in `#entries` are compacted and waiting to be cut off. */
  #start = 0;
  #compactedIndex = 0 as LogIndex;
  #compactedTerm = 0 as Term;
  #hardState = EMPTY_HARD_STATE;
  #isOpen = false;
  #crashed = false;
  #appends = 0;
  #appended = 0;

  constructor(options: MemoryLogStoreOptions = {}) {
    this.#options = options;
  }

  open(): Promise<LogStoreState> {
    if (this.#isOpen) return Promise.reject(new Error('opening the log: it is already open'));
    if (this.#crashed)
      return Promise.reject(new Error('opening the log: it crashed; open what crash() returned'));
    this.#isOpen = true;
    return Promise.resolve({
      hardState: this.#hardState,
      compactedIndex: this.#compactedIndex,
      compactedTerm: this.#compactedTerm,
      lastIndex: this.lastIndex(),
    });
  }

  async append(batch: LogAppend): Promise<void> {
    await this.#sync({ type: 'append', batch });
    const first = batch.entries[0];
    if (first !== undefined) this.#write(first.index, batch.entries);
    if (batch.hardState !== undefined) this.#hardState = batch.hardState;
    this.#appends++;
    this.#appended += batch.entries.length;
  }

  firstIndex(): LogIndex {
    return (this.#compactedIndex + 1) as LogIndex;
  }

  lastIndex(): LogIndex {
    return (this.#compactedIndex + this.#entries.length - this.#start) as LogIndex;
  }

  term(index: LogIndex): Term {
    if (index === this.#compactedIndex) return this.#compactedTerm;
    if (index < this.#compactedIndex) throw this.#compacted(index);
    const entry = this.#entries[this.#position(index)];
    if (entry === undefined) throw this.#unavailable(index);
    return entry.term;
  }

  entries(low: LogIndex, high: LogIndex, maxSizeBytes: number): readonly Entry[] {
    if (low <= this.#compactedIndex) throw this.#compacted(low);
    if (high > this.lastIndex() + 1) throw this.#unavailable(high);
    const from = this.#position(low);
    const end = from + Math.max(0, high - low);
    let to = from;
    let bytes = 0;
    for (; to < end; to++) {
      bytes += this.#entries[to]?.data.length ?? 0;
      if (bytes > maxSizeBytes && to > from) break;
    }
    return this.#entries.slice(from, to);
  }

  async compact(index: LogIndex): Promise<void> {
    if (index <= this.#compactedIndex) return;
    const term = this.term(index);
    await this.#sync({ type: 'compact', index });
    this.#start += index - this.#compactedIndex;
    this.#compactedIndex = index;
    this.#compactedTerm = term;
    // Cutting the front of an array costs its length: done when it at least halves it.
    if (this.#start * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }

  async reset(index: LogIndex, term: Term, hardState: HardState): Promise<void> {
    await this.#sync({ type: 'reset', index });
    this.#entries = [];
    this.#start = 0;
    this.#compactedIndex = index;
    this.#compactedTerm = term;
    this.#hardState = hardState;
  }

  close(): Promise<void> {
    this.#isOpen = false;
    return Promise.resolve();
  }

  /**
   * As if the process had died: what is under way never takes effect, and this object fails from now on. Returns the
   * store that the next process opens, with what was durable.
   */
  crash(): MemoryLogStore {
    const next = new MemoryLogStore(this.#options);
    next.#entries = this.#entries;
    next.#start = this.#start;
    next.#compactedIndex = this.#compactedIndex;
    next.#compactedTerm = this.#compactedTerm;
    next.#hardState = this.#hardState;
    this.#entries = [];
    this.#start = 0;
    this.#isOpen = false;
    this.#crashed = true;
    return next;
  }

  /** What was made durable so far. */
  get stats(): MemoryLogStats {
    return { appends: this.#appends, entries: this.#appended };
  }

  /** The durable term, vote and commit index. */
  get hardState(): HardState {
    return this.#hardState;
  }

  #compacted(index: LogIndex): StorageError {
    return new StorageError(
      'compacted',
      `reading the log at ${index}: it was compacted up to ${this.#compactedIndex}`,
    );
  }

  #unavailable(index: LogIndex): StorageError {
    return new StorageError('unavailable', `reading the log at ${index}: it ends at ${this.lastIndex()}`);
  }

  #position(index: LogIndex): number {
    return this.#start + index - this.#compactedIndex - 1;
  }

  #write(firstIndex: LogIndex, entries: readonly Entry[]): void {
    const lastIndex = this.lastIndex();
    if (firstIndex <= this.#compactedIndex || firstIndex > lastIndex + 1) {
      throw new Error(
        `appending at ${firstIndex}: the log holds ${this.#compactedIndex + 1} to ${lastIndex}, an append must touch or follow it`,
      );
    }
    this.#entries.length = this.#position(firstIndex);
    let expected = firstIndex;
    for (const entry of entries) {
      if (entry.index !== expected)
        throw new Error(`appending entry ${entry.index}: ${expected} was due, entries are contiguous`);
      this.#entries.push(entry);
      expected = (expected + 1) as LogIndex;
    }
  }

  async #sync(operation: MemoryLogOperation): Promise<void> {
    if (!this.#isOpen) throw new Error(`${operation.type} on the log: it is not open`);
    await this.#options.beforeSync?.(operation);
    if (this.#crashed)
      throw new Error(`${operation.type} on the log: it crashed before the write was durable`);
  }
}
