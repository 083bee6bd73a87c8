/** What every StateMachine must do. */
import { toLogIndex, toTerm } from '../core/ids.ts';
import type { Entry } from '../core/types.ts';
import type { SnapshotContent, StateMachine } from '../runtime/interfaces.ts';
import { ensure, ensureEqual, type ConformanceCase } from './conformance-case.ts';

/** What the suite feeds the machine. */
export interface StateMachineSuiteOptions {
  /** Data of entries that exercise the machine, at least two; valid and invalid commands alike. */
  readonly commands: readonly Uint8Array[];
}

type Restorable = AsyncIterable<{ readonly key: string; readonly records: AsyncIterable<Uint8Array> }>;

interface Picture {
  readonly key: string;
  readonly sealed: boolean;
  readonly records: readonly Uint8Array[];
}

function capture(content: SnapshotContent): readonly Picture[] {
  return content.sections.map((section) => ({
    key: section.key,
    sealed: section.sealed,
    records: Array.from(section.records(), (record) => record.slice()),
  }));
}

async function* replay(pictures: readonly Picture[]): Restorable {
  for (const { key, records } of pictures) {
    await Promise.resolve();
    yield { key, records: replayRecords(records) };
  }
}

async function* replayRecords(records: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  for (const record of records) {
    await Promise.resolve();
    yield record;
  }
}

/**
 * The suite for implementers of {@link StateMachine}. `create` makes one with nothing applied. Results are compared as
 * JSON.
 */
export function testStateMachine<Result>(
  create: () => StateMachine<Result>,
  options: StateMachineSuiteOptions,
): readonly ConformanceCase[] {
  const entries = options.commands.map((data, offset): Entry => ({
    index: toLogIndex(offset + 1),
    term: toTerm(1),
    type: 'normal',
    data,
  }));
  const half = Math.floor(entries.length / 2);

  const it = (name: string, run: () => Promise<void> | void): ConformanceCase => ({
    name: `StateMachine: ${name}`,
    run: async () => {
      ensure(entries.length >= 2, 'at least two commands to test with');
      await run();
    },
  });

  return [
    it('apply gives one result for each entry, and none for none', () => {
      const machine = create();
      ensureEqual(machine.apply([]).length, 0, 'results for no entries');
      ensureEqual(machine.apply(entries).length, entries.length, 'number of results');
    }),

    it('the same entries in batches of any size give the same results and the same snapshot', () => {
      const whole = create();
      const expected = whole.apply(entries);
      for (const size of [1, 2, 3, 7]) {
        const machine = create();
        const results: Result[] = [];
        for (let from = 0; from < entries.length; from += size)
          results.push(...machine.apply(entries.slice(from, from + size)));
        ensureEqual(results, expected, `results in batches of ${size}`);
        ensureEqual(
          capture(machine.snapshot()),
          capture(whole.snapshot()),
          `snapshot after batches of ${size}`,
        );
      }
    }),

    it('a restored machine has the same snapshot and goes on with the same results', async () => {
      const original = create();
      original.apply(entries.slice(0, half));
      const picture = capture(original.snapshot());
      const restored = create();
      restored.apply(entries.slice(0, 1));
      await restored.restore(replay(picture));
      ensureEqual(capture(restored.snapshot()), picture, 'snapshot of the restored machine');
      ensureEqual(
        restored.apply(entries.slice(half)),
        original.apply(entries.slice(half)),
        'results after the restore',
      );
      ensureEqual(capture(restored.snapshot()), capture(original.snapshot()), 'snapshot after going on');
    }),

    it('an empty machine can be captured and restored', async () => {
      const restored = create();
      restored.apply(entries);
      const picture = capture(create().snapshot());
      await restored.restore(replay(picture));
      ensureEqual(capture(restored.snapshot()), picture, 'snapshot of the restored machine');
      ensureEqual(restored.apply(entries), create().apply(entries), 'results after the restore');
    }),

    it('a snapshot holds still while entries are applied, however late and often it is read', () => {
      const machine = create();
      machine.apply(entries.slice(0, half));
      const expected = capture(machine.snapshot());
      const content = machine.snapshot();
      machine.apply(entries.slice(half));
      ensureEqual(capture(content), expected, 'the snapshot read late');
      ensureEqual(capture(content), expected, 'the snapshot read again');
      content.release();
    }),

    it('a sealed section never changes for its key', () => {
      const machine = create();
      const sealed = new Map<string, string>();
      for (const entry of entries) {
        machine.apply([entry]);
        for (const { key, sealed: isSealed, records } of capture(machine.snapshot())) {
          if (!isSealed) continue;
          const found = records.map((record) => Array.from(record).join()).join('\n');
          ensure((sealed.get(key) ?? found) === found, `sealed section ${key} stays as it was`);
          sealed.set(key, found);
        }
      }
    }),

    it('section keys are unique and records have no newline', () => {
      const machine = create();
      machine.apply(entries);
      const pictures = capture(machine.snapshot());
      ensureEqual(
        new Set(pictures.map((picture) => picture.key)).size,
        pictures.length,
        'number of distinct keys',
      );
      for (const { key, records } of pictures) {
        ensure(new TextEncoder().encode(key).length <= 512, `key ${key} takes at most 512 bytes`);
        ensure(!records.some((record) => record.includes(10)), `records of ${key} have no newline`);
      }
    }),
  ];
}
