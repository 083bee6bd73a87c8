/** What every LogStore must do. */
import { isStorageError } from '../core/errors.ts';
import { toLogIndex, toNodeId, toTerm } from '../core/ids.ts';
import type { Entry, HardState } from '../core/types.ts';
import type { LogStore } from '../runtime/interfaces.ts';
import { ensure, ensureEqual, ensureFails, type ConformanceCase } from './conformance-case.ts';

const encoder = new TextEncoder();

/** A place that a store can be opened on again and again. */
export interface LogStoreFixture {
  /** A store over the same medium each time. The previous one was closed. */
  open(): LogStore;
  /** Removes the medium. */
  dispose?(): Promise<void>;
}

function entry(index: number, term: number, text = `entry ${index} of term ${term}`): Entry {
  return { index: toLogIndex(index), term: toTerm(term), type: 'normal', data: encoder.encode(text) };
}

function range(from: number, to: number, term: number): Entry[] {
  return Array.from({ length: to - from + 1 }, (_, offset) => entry(from + offset, term));
}

function hardState(term: number, vote: number, commit: number): HardState {
  return { term: toTerm(term), vote: toNodeId(vote), commit: toLogIndex(commit) };
}

function all(store: LogStore): readonly Entry[] {
  const entries: Entry[] = [];
  while (store.firstIndex() + entries.length <= store.lastIndex()) {
    const low = toLogIndex(store.firstIndex() + entries.length);
    entries.push(...store.entries(low, toLogIndex(store.lastIndex() + 1), 1 << 20));
  }
  return entries;
}

/**
 * The suite for implementers of {@link LogStore}. `create` makes an empty medium; the suite opens, closes and reopens
 * stores on it. Cases are independent and may run in any order.
 */
export function testLogStore(
  create: () => LogStoreFixture | Promise<LogStoreFixture>,
): readonly ConformanceCase[] {
  const on = (name: string, body: (fixture: LogStoreFixture) => Promise<void>): ConformanceCase => ({
    name: `LogStore: ${name}`,
    run: async () => {
      const fixture = await create();
      try {
        await body(fixture);
      } finally {
        await fixture.dispose?.();
      }
    },
  });

  const opened = (
    name: string,
    body: (store: LogStore, fixture: LogStoreFixture) => Promise<void>,
  ): ConformanceCase =>
    on(name, async (fixture) => {
      const store = fixture.open();
      await store.open();
      try {
        await body(store, fixture);
      } finally {
        await store.close();
      }
    });

  const append = (store: LogStore, entries: readonly Entry[], state?: HardState): Promise<void> =>
    store.append({ entries, hardState: state, mustSync: true });

  const reopen = async (
    store: LogStore,
    fixture: LogStoreFixture,
    check: (again: LogStore) => void | Promise<void>,
  ): Promise<void> => {
    await store.close();
    const again = fixture.open();
    await again.open();
    try {
      await check(again);
    } finally {
      await again.close();
    }
  };

  return [
    on('a new store is empty and has voted for nobody', async (fixture) => {
      const store = fixture.open();
      const state = await store.open();
      ensureEqual(
        state,
        { hardState: hardState(0, 0, 0), compactedIndex: 0, compactedTerm: 0, lastIndex: 0 },
        'the state',
      );
      ensureEqual(
        [store.firstIndex(), store.lastIndex(), store.term(toLogIndex(0))],
        [1, 0, 0],
        'first, last, term before',
      );
      await store.close();
    }),

    opened('what was appended is read back and survives reopening', async (store, fixture) => {
      const entries = [...range(1, 3, 1), entry(4, 2, ''), entry(5, 2, 'line\nbreak, \u0000 and ünïcode')];
      await append(store, entries.slice(0, 2));
      await append(store, entries.slice(2));
      ensureEqual(all(store), entries, 'entries before reopening');
      await reopen(store, fixture, (again) => {
        ensureEqual(all(again), entries, 'entries after reopening');
        ensureEqual(again.term(toLogIndex(4)), 2, 'term of entry 4');
      });
    }),

    opened('binary data and every entry type survive reopening', async (store, fixture) => {
      const bytes = Uint8Array.from({ length: 256 }, (_, value) => value);
      const entries: Entry[] = (['normal', 'confChange', 'confChangeV2'] as const).map((type, offset) => ({
        index: toLogIndex(offset + 1),
        term: toTerm(1),
        type,
        data: bytes,
      }));
      await append(store, entries);
      await reopen(store, fixture, (again) => ensureEqual(all(again), entries, 'entries'));
    }),

    opened('term and vote survive reopening, with and without entries', async (store, fixture) => {
      await append(store, [], hardState(3, 2, 0));
      await append(store, range(1, 2, 3), hardState(4, 1, 0));
      await store.close();
      const again = fixture.open();
      const { hardState: found } = await again.open();
      ensureEqual([found.term, found.vote], [4, 1], 'term and vote');
      await again.close();
    }),

    opened(
      'the commit index found on opening is never beyond what was given nor beyond the log',
      async (store, fixture) => {
        await append(store, range(1, 5, 1), hardState(1, 1, 0));
        await store.append({ entries: [], hardState: hardState(1, 1, 4), mustSync: false });
        await store.close();
        const again = fixture.open();
        const { hardState: found } = await again.open();
        ensure(found.commit <= 4, `a commit index of at most 4, found ${found.commit}`);
        ensureEqual([found.term, found.vote], [1, 1], 'term and vote');
        await again.close();
      },
    ),

    opened('an append that overlaps replaces the suffix, also after reopening', async (store, fixture) => {
      await append(store, range(1, 6, 1));
      await append(store, range(4, 5, 2));
      const expected = [...range(1, 3, 1), ...range(4, 5, 2)];
      ensureEqual([store.lastIndex(), all(store)], [5, expected], 'last index and entries');
      await reopen(store, fixture, (again) => ensureEqual(all(again), expected, 'entries after reopening'));
    }),

    opened('the whole log can be replaced', async (store, fixture) => {
      await append(store, range(1, 3, 1));
      await append(store, range(1, 1, 2));
      await reopen(store, fixture, (again) =>
        ensureEqual(all(again), range(1, 1, 2), 'entries after reopening'),
      );
    }),

    opened('entries() returns at least one entry, then as many as fit', async (store) => {
      await append(
        store,
        Array.from({ length: 10 }, (_, offset) => entry(offset + 1, 1, 'x'.repeat(100))),
      );
      ensureEqual(store.entries(toLogIndex(1), toLogIndex(11), 0).length, 1, 'entries with no room');
      ensureEqual(store.entries(toLogIndex(1), toLogIndex(11), 350).length, 3, 'entries in 350 bytes');
      ensureEqual(
        store.entries(toLogIndex(3), toLogIndex(5), 1 << 20).map((found) => found.index),
        [3, 4],
        'entries in [3, 5)',
      );
    }),

    opened('reading outside the log fails with StorageError', async (store) => {
      await append(store, range(1, 5, 1));
      await store.compact(toLogIndex(2));
      const compacted = await ensureFails(
        () => store.entries(toLogIndex(2), toLogIndex(4), 1000),
        'reading a compacted entry',
      );
      ensure(isStorageError(compacted, 'compacted'), `StorageError compacted, found ${String(compacted)}`);
      const before = await ensureFails(() => store.term(toLogIndex(1)), 'the term of a compacted entry');
      ensure(isStorageError(before, 'compacted'), `StorageError compacted, found ${String(before)}`);
      const beyond = await ensureFails(() => store.term(toLogIndex(6)), 'the term beyond the end');
      ensure(isStorageError(beyond, 'unavailable'), `StorageError unavailable, found ${String(beyond)}`);
    }),

    opened(
      'compaction drops a prefix, keeps its last term, and survives reopening',
      async (store, fixture) => {
        await append(store, [...range(1, 4, 1), ...range(5, 8, 2)], hardState(2, 1, 8));
        await store.compact(toLogIndex(4));
        ensureEqual(
          [store.firstIndex(), store.lastIndex(), store.term(toLogIndex(4))],
          [5, 8, 1],
          'first, last, term before',
        );
        await store.close();
        const again = fixture.open();
        const state = await again.open();
        ensureEqual(
          [state.compactedIndex, state.compactedTerm, state.lastIndex],
          [4, 1, 8],
          'compaction point and end',
        );
        ensureEqual(all(again), range(5, 8, 2), 'entries after reopening');
        await again.close();
      },
    ),

    opened('the log goes on after everything in it was compacted', async (store, fixture) => {
      await append(store, range(1, 3, 1));
      await store.compact(toLogIndex(3));
      ensureEqual([store.firstIndex(), store.lastIndex()], [4, 3], 'first and last');
      await append(store, range(4, 5, 2));
      await reopen(store, fixture, (again) =>
        ensureEqual(all(again), range(4, 5, 2), 'entries after reopening'),
      );
    }),

    opened('compacting twice or backwards changes nothing', async (store) => {
      await append(store, range(1, 5, 1));
      await store.compact(toLogIndex(3));
      await store.compact(toLogIndex(3));
      await store.compact(toLogIndex(1));
      ensureEqual(all(store), range(4, 5, 1), 'entries');
    }),

    opened(
      'reset positions an empty log after a snapshot, also beyond the old end',
      async (store, fixture) => {
        await append(store, range(1, 5, 1), hardState(1, 1, 5));
        await store.reset(toLogIndex(100), toTerm(7), hardState(7, 2, 100));
        ensureEqual(
          [store.firstIndex(), store.lastIndex(), store.term(toLogIndex(100))],
          [101, 100, 7],
          'first, last, term',
        );
        await append(store, range(101, 102, 8));
        await store.close();
        const again = fixture.open();
        const state = await again.open();
        ensureEqual(
          [state.compactedIndex, state.compactedTerm, state.lastIndex],
          [100, 7, 102],
          'compaction point and end',
        );
        ensureEqual([state.hardState.term, state.hardState.vote], [7, 2], 'term and vote');
        ensureEqual(all(again), range(101, 102, 8), 'entries after reopening');
        await again.close();
      },
    ),

    opened('many entries in one append keep their order', async (store, fixture) => {
      const entries = range(1, 2000, 1);
      await append(store, entries);
      await reopen(store, fixture, (again) => ensureEqual(all(again), entries, 'entries after reopening'));
    }),

    opened('close is idempotent and frees the medium', async (store, fixture) => {
      await append(store, range(1, 1, 1));
      await store.close();
      await store.close();
      await reopen(store, fixture, (again) => ensureEqual(again.lastIndex(), 1, 'last index'));
    }),
  ];
}
