import { NO_INDEX, NO_NODE, NO_TERM, StorageError, toLogIndex } from '../src/core/index.ts';
import type { Entry, HardState, LogIndex, SeededRandom, Term } from '../src/core/index.ts';
import type { LogAppend, LogStore, LogStoreState } from '../src/runtime/interfaces.ts';
import type { NodeClock } from './sim-clock.ts';

/** What a failed sync or read says. */
export const INJECTED_FAILURE = 'input/output error';

const NEW: HardState = { term: NO_TERM, vote: NO_NODE, commit: NO_INDEX };

/** A log with its position and its vote: what is on a disk, or what a process believes to be there. */
export class LogImage {
  entries: Entry[] = [];
  compactedIndex: LogIndex = NO_INDEX;
  compactedTerm: Term = NO_TERM;
  hardState: HardState = NEW;

  get lastIndex(): LogIndex {
    return toLogIndex(this.compactedIndex + this.entries.length);
  }

  /** Undefined where nothing is known. */
  term(index: LogIndex): Term | undefined {
    if (index === this.compactedIndex) return this.compactedTerm;
    return this.entries[index - this.compactedIndex - 1]?.term;
  }

  /** True when the log has this entry, or had it before it was compacted. */
  contains(term: Term, index: LogIndex): boolean {
    return index < this.compactedIndex || this.term(index) === term;
  }

  write(entries: readonly Entry[]): void {
    const [first] = entries;
    if (first === undefined) return;
    // After a hole nothing can be found again.
    if (first.index > this.lastIndex + 1 || first.index <= this.compactedIndex) return;
    this.entries.length = first.index - this.compactedIndex - 1;
    for (const entry of entries) this.entries.push(entry);
  }

  compact(index: LogIndex): void {
    if (index <= this.compactedIndex || index > this.lastIndex) return;
    this.compactedTerm = this.term(index) ?? NO_TERM;
    this.entries = this.entries.slice(index - this.compactedIndex);
    this.compactedIndex = index;
  }

  reset(index: LogIndex, term: Term, hardState: HardState): void {
    this.entries = [];
    this.compactedIndex = index;
    this.compactedTerm = term;
    this.hardState = hardState;
  }

  copy(): LogImage {
    const copy = new LogImage();
    copy.entries = [...this.entries];
    copy.compactedIndex = this.compactedIndex;
    copy.compactedTerm = this.compactedTerm;
    copy.hardState = this.hardState;
    return copy;
  }
}

/** What can go wrong with a disk, drawn anew for every operation. */
export interface DiskBehaviour {
  /** How long the operation that begins now takes. */
  latencyMs(operation: 'append' | 'compact' | 'reset'): number;
  /** True when the next sync fails. */
  syncFails(): boolean;
  /** True when the read that begins now fails. */
  readFails(): boolean;
}

/**
 * A LogStore on a simulated disk. What a process reads is what it wrote; what the next process finds is what was synced.
 *
 * A crash keeps any prefix of the entries under way, the vote or not, and forgets commit indexes that were not synced.
 * A failed sync leaves the pages clean: the process goes on reading what it wrote, later syncs succeed, and the data is
 * gone.
 */
export class SimLogStore implements LogStore {
  /** What survives the process. */
  readonly disk: LogImage;
  readonly #clock: NodeClock;
  readonly #behaviour: DiskBehaviour;
  #memory = new LogImage();
  #underWay: LogAppend | undefined;
  /** Called when a batch is durable. */
  onDurable: (batch: LogAppend) => void = () => undefined;

  constructor(disk: LogImage, clock: NodeClock, behaviour: DiskBehaviour) {
    this.disk = disk;
    this.#clock = clock;
    this.#behaviour = behaviour;
  }

  open(): Promise<LogStoreState> {
    this.#memory = this.disk.copy();
    const { hardState, compactedIndex, compactedTerm, lastIndex } = this.#memory;
    const commit = hardState.commit < lastIndex ? hardState.commit : lastIndex;
    this.#memory.hardState = { ...hardState, commit };
    return Promise.resolve({ hardState: this.#memory.hardState, compactedIndex, compactedTerm, lastIndex });
  }

  async append(batch: LogAppend): Promise<void> {
    this.#underWay = batch;
    await this.#clock.sleep(this.#behaviour.latencyMs('append'));
    this.#underWay = undefined;
    const failed = batch.mustSync && this.#behaviour.syncFails();
    this.#memory.write(batch.entries);
    if (batch.hardState !== undefined) this.#memory.hardState = batch.hardState;
    if (failed) throw new Error(INJECTED_FAILURE);
    this.disk.write(batch.entries);
    const { hardState } = batch;
    if (hardState !== undefined) {
      // Without a sync the commit index reaches the disk some time or other; here it does not before the next one.
      this.disk.hardState = batch.mustSync ? hardState : { ...hardState, commit: this.disk.hardState.commit };
    }
    this.onDurable(batch);
  }

  firstIndex(): LogIndex {
    return toLogIndex(this.#memory.compactedIndex + 1);
  }

  lastIndex(): LogIndex {
    return this.#memory.lastIndex;
  }

  term(index: LogIndex): Term {
    const term = this.#memory.term(index);
    if (term !== undefined) return term;
    throw new StorageError(
      index < this.#memory.compactedIndex ? 'compacted' : 'unavailable',
      `no entry ${index} in this log`,
    );
  }

  entries(low: LogIndex, high: LogIndex, maxSizeBytes: number): readonly Entry[] {
    if (this.#behaviour.readFails()) throw new Error(INJECTED_FAILURE);
    const { compactedIndex, entries, lastIndex } = this.#memory;
    if (low <= compactedIndex) throw new StorageError('compacted', `entry ${low} is compacted`);
    if (high > lastIndex + 1) throw new StorageError('unavailable', `the log ends at ${lastIndex}`);
    const from = low - compactedIndex - 1;
    let bytes = 0;
    let to = from;
    for (; to < from + (high - low); to += 1) {
      bytes += entries[to]?.data.length ?? 0;
      if (bytes > maxSizeBytes && to > from) break;
    }
    return entries.slice(from, to);
  }

  async compact(index: LogIndex): Promise<void> {
    await this.#clock.sleep(this.#behaviour.latencyMs('compact'));
    this.#memory.compact(index);
    this.disk.compact(index);
  }

  async reset(index: LogIndex, term: Term, hardState: HardState): Promise<void> {
    await this.#clock.sleep(this.#behaviour.latencyMs('reset'));
    this.#memory.reset(index, term, hardState);
    this.disk.reset(index, term, hardState);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** The process dies, perhaps in the middle of a write. */
  crash(random: SeededRandom): void {
    const batch = this.#underWay;
    if (batch === undefined) return;
    const kept = random.nextInt(batch.entries.length + 1);
    this.disk.write(batch.entries.slice(0, kept));
    if (batch.hardState !== undefined && batch.mustSync && random.nextInt(2) === 0) {
      this.disk.hardState = { ...batch.hardState, commit: this.disk.hardState.commit };
    }
  }
}
