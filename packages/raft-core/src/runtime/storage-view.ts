/** What the core sees of the two stores. */
import { isStorageError, StorageError } from '../core/errors.ts';
import { NO_BYTES } from '../core/message.ts';
import type { ConfState, Entry, HardState, LogIndex, Snapshot, Storage, Term } from '../core/types.ts';
import { describeError, RaftError } from './errors.ts';
import type { LogStore, SnapshotStore } from './interfaces.ts';

/**
 * The core's synchronous Storage. Snapshots carry no data here: a receiver pulls the content through its Transport,
 * so a `MsgSnap` stays small.
 */
export class StorageView implements Storage {
  readonly #logStore: LogStore;
  readonly #snapshotStore: SnapshotStore;
  readonly #initial: { readonly hardState: HardState; readonly confState: ConfState };

  constructor(logStore: LogStore, snapshotStore: SnapshotStore, hardState: HardState, confState: ConfState) {
    this.#logStore = logStore;
    this.#snapshotStore = snapshotStore;
    this.#initial = { hardState, confState };
  }

  initialState(): { readonly hardState: HardState; readonly confState: ConfState } {
    return this.#initial;
  }

  firstIndex(): LogIndex {
    return this.#logStore.firstIndex();
  }

  lastIndex(): LogIndex {
    return this.#logStore.lastIndex();
  }

  term(index: LogIndex): Term {
    return read(() => this.#logStore.term(index), `reading the term of entry ${index}`);
  }

  entries(low: LogIndex, high: LogIndex, maxSizeBytes: number): readonly Entry[] {
    return read(
      () => this.#logStore.entries(low, high, maxSizeBytes),
      `reading entries from ${low} to ${high - 1}`,
    );
  }

  snapshot(): Snapshot {
    const latest = this.#snapshotStore.latest();
    if (latest === undefined) {
      throw new StorageError('snapshotTemporarilyUnavailable', 'sending a snapshot: none was taken yet');
    }
    const { index, term, confState } = latest.meta;
    return { metadata: { index, term, confState }, data: NO_BYTES };
  }
}

/** A StorageError is an answer that the core can deal with; anything else is a disk that failed. */
function read<Value>(call: () => Value, doing: string): Value {
  try {
    return call();
  } catch (error) {
    if (isStorageError(error)) throw error;
    throw new RaftError('storageFailed', `${doing}: ${describeError(error)}`, error);
  }
}
