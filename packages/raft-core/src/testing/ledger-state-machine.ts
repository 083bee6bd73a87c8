/** A state machine that remembers everything it was told, for tests of what consensus delivers. */
import type { Entry, LogIndex } from '../core/types.ts';
import type { SnapshotContent, SnapshotSection, StateMachine } from '../runtime/interfaces.ts';

const SEALED_RECORDS = 256;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** One applied entry. */
export interface LedgerRecord {
  /** Index of the entry. */
  readonly index: LogIndex;
  /** Its data. */
  readonly text: string;
}

/**
 * Keeps the data of every applied entry as UTF-8 text (without newlines), in order. `apply` answers with how many
 * records there are. Its snapshots seal every 256 records, so that stores can share them.
 */
export class LedgerStateMachine implements StateMachine<number> {
  #records: LedgerRecord[] = [];

  /** Everything applied, oldest first. */
  get records(): readonly LedgerRecord[] {
    return this.#records;
  }

  /** The texts alone. */
  get texts(): readonly string[] {
    return this.#records.map((record) => record.text);
  }

  apply(entries: readonly Entry[]): readonly number[] {
    return entries.map((entry) => {
      const last = this.#records.at(-1);
      if (last !== undefined && last.index >= entry.index) {
        throw new Error(`applying entry ${entry.index}: entry ${last.index} was applied before it`);
      }
      return this.#records.push({ index: entry.index, text: decoder.decode(entry.data) });
    });
  }

  snapshot(): SnapshotContent {
    // Records are immutable and only ever appended: their number is all that a picture needs to hold still.
    const records = this.#records;
    const count = records.length;
    const sections: SnapshotSection[] = [];
    for (let from = 0; from < count || from === 0; from += SEALED_RECORDS) {
      const to = Math.min(count, from + SEALED_RECORDS);
      sections.push({
        key: `records/${String(from).padStart(12, '0')}`,
        sealed: to - from === SEALED_RECORDS,
        records: () => encodeRecords(records, from, to),
      });
    }
    return { sections, release: () => undefined };
  }

  async restore(
    sections: AsyncIterable<{ readonly key: string; readonly records: AsyncIterable<Uint8Array> }>,
  ): Promise<void> {
    const restored: LedgerRecord[] = [];
    for await (const { records } of sections) {
      for await (const record of records) restored.push(decodeRecord(decoder.decode(record)));
    }
    this.#records = restored;
  }
}

function* encodeRecords(records: readonly LedgerRecord[], from: number, to: number): Iterable<Uint8Array> {
  for (const { index, text } of records.slice(from, to)) yield encoder.encode(`${index} ${text}`);
}

function decodeRecord(line: string): LedgerRecord {
  const space = line.indexOf(' ');
  return { index: Number(line.slice(0, space)) as LogIndex, text: line.slice(space + 1) };
}
