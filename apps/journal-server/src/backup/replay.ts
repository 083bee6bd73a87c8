/** From a snapshot and the log after it to the state at a point, every hash checked on the way. */
import { isJournalStateError, type JournalState } from '@pact-journal/journal-state';
import type { Entry, StoredSnapshot } from '@pact-journal/raft-core';
import type { DirectorySnapshotStore } from '@pact-journal/wal-storage';
import { JournalMachine } from '../server/journal-machine.ts';
import { damagedObject } from './errors.ts';
import { commandTime, type LogBatch } from './format/log-batch.ts';
import { snapshotKey } from './format/keys.ts';
import type { SnapshotRecord } from './format/snapshot-record.ts';
import { asDamage } from './pieces.ts';

/** A journal's snapshot has its entries, a record each, in the sections whose keys begin so. */
const ENTRIES = 'entries/';
const ENTRIES_TOLD = 4_096;

/** Where to stop. */
export type Target =
  | { readonly kind: 'end' }
  /** Right after the entry of this sequence was appended. */
  | { readonly kind: 'sequence'; readonly sequence: number }
  /** Before the first command with a later time. */
  | { readonly kind: 'time'; readonly time: string };

/** A state that is brought forward entry by entry. */
export class Replay {
  readonly #machine: JournalMachine;
  #index: number;
  #term: number;

  private constructor(machine: JournalMachine, index: number, term: number) {
    this.#machine = machine;
    this.#index = index;
    this.#term = term;
  }

  /**
   * Begins with a snapshot that was fetched. Rejects with `damaged` where its content is not whole: its hash chains, its
   * digest, and that of the record. `onEntries` is told now and then, and at the end, how many entries have been read.
   */
  static async from(
    snapshots: DirectorySnapshotStore,
    stored: StoredSnapshot,
    record: SnapshotRecord,
    onEntries: (entries: number) => void = () => undefined,
  ): Promise<Replay> {
    const key = snapshotKey(record.index, record.term);
    const machine = new JournalMachine();
    try {
      await machine.restore(counted(snapshots.load(stored), onEntries));
    } catch (error) {
      if (isJournalStateError(error)) throw damagedObject(key, error.message, error);
      throw asDamage(error, key);
    }
    const { state } = machine;
    if (state.digest() !== record.digest || state.entryCount !== record.entries)
      throw damagedObject(key, 'its content is another state than it says');
    if (stored.meta.index !== record.index || stored.meta.term !== record.term)
      throw damagedObject(key, 'its content is of another index than it says');
    return new Replay(machine, record.index, record.term);
  }

  /** The last log entry in the state. */
  get index(): number {
    return this.#index;
  }

  get term(): number {
    return this.#term;
  }

  get state(): JournalState {
    return this.#machine.state;
  }

  /** For a snapshot of what was reached. */
  get machine(): JournalMachine {
    return this.#machine;
  }

  /** True once the target is reached, or would be passed by the next command. */
  reached(target: Target): boolean {
    return target.kind === 'sequence' && this.state.entryCount > target.sequence;
  }

  /**
   * Applies a batch's entries that are not in the state yet, up to the target. True where the target was reached.
   * `visit` is called after each entry. Throws `damaged` where the result is not the state that the batch says.
   */
  apply(key: string, batch: LogBatch, target: Target, visit?: (replay: Replay) => void): boolean {
    for (const entry of batch.entries) {
      if (entry.index <= this.#index) continue;
      if (entry.index !== this.#index + 1)
        throw damagedObject(key, `begins after a gap: entry ${String(this.#index + 1)} is missing`);
      if (this.reached(target) || isBeyond(target, entry)) return true;
      this.#step(entry);
      visit?.(this);
    }
    this.#compare(key, batch);
    return this.reached(target);
  }

  #step(entry: Entry): void {
    if (entry.type === 'normal' && entry.data.length > 0) this.#machine.apply([entry]);
    this.#index = entry.index;
    this.#term = entry.term;
  }

  #compare(key: string, { checkpoint, lastIndex }: LogBatch): void {
    if (checkpoint === null || lastIndex !== this.#index) return;
    const { state } = this;
    if (state.headHash !== checkpoint.headHash || state.entryCount !== checkpoint.entries)
      throw damagedObject(
        key,
        `entry ${String(lastIndex)} leads to another hash chain than the exporting node had`,
      );
    if (state.digest() !== checkpoint.digest)
      throw damagedObject(
        key,
        `entry ${String(lastIndex)} leads to another state than the exporting node had`,
      );
  }
}

function isBeyond(target: Target, entry: Entry): boolean {
  if (target.kind !== 'time') return false;
  const time = commandTime(entry);
  return time !== undefined && time > target.time;
}

type Sections = ReturnType<DirectorySnapshotStore['load']>;

/** The same sections; counts the entries in them while they are read. */
async function* counted(sections: Sections, onEntries: (entries: number) => void): Sections {
  let entries = 0;
  for await (const { key, records } of sections) {
    if (!key.startsWith(ENTRIES)) {
      yield { key, records };
      continue;
    }
    yield {
      key,
      records: (async function* () {
        for await (const record of records) {
          entries += 1;
          if (entries % ENTRIES_TOLD === 0) onEntries(entries);
          yield record;
        }
      })(),
    };
  }
  onEntries(entries);
}
