/** What every SnapshotStore must do. */
import { toLogIndex, toNodeId, toTerm } from '../core/ids.ts';
import type {
  SnapshotContent,
  SnapshotMeta,
  SnapshotSource,
  SnapshotStore,
  StoredSnapshot,
} from '../runtime/interfaces.ts';
import { ensure, ensureEqual, ensureFails, type ConformanceCase } from './conformance-case.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A place that a store can be opened on again and again. */
export interface SnapshotStoreFixture {
  /** A store over the same medium each time. The previous one was closed. */
  open(): SnapshotStore;
  /** Removes the medium. */
  dispose?(): Promise<void>;
}

interface Section {
  readonly key: string;
  readonly sealed: boolean;
  readonly records: readonly string[];
}

const SECTIONS: readonly Section[] = [
  { key: 'entries/0000', sealed: true, records: ['one', '', 'three'] },
  {
    key: 'entries/0001',
    sealed: true,
    records: Array.from({ length: 500 }, (_, i) => `record ${i} ${'x'.repeat(300)}`),
  },
  { key: 'empty', sealed: false, records: [] },
  { key: 'state', sealed: false, records: ['{"ünï":"code"}'] },
];

function meta(index: number, term = 3): SnapshotMeta {
  return {
    index: toLogIndex(index),
    term: toTerm(term),
    confState: {
      voters: [toNodeId(1), toNodeId(2)],
      votersOutgoing: [],
      learners: [toNodeId(3)],
      learnersNext: [],
      autoLeave: false,
    },
    members: [
      { id: toNodeId(1), address: 'one:1', attributes: { client: 'one:2' } },
      { id: toNodeId(2), address: 'two:1', attributes: {} },
      { id: toNodeId(3), address: 'three:1', attributes: {} },
    ],
  };
}

function content(sections: readonly Section[], onRelease: () => void = () => undefined): SnapshotContent {
  return {
    sections: sections.map(({ key, sealed, records }) => ({
      key,
      sealed,
      *records() {
        for (const record of records) yield encoder.encode(record);
      },
    })),
    release: onRelease,
  };
}

async function read(
  store: SnapshotStore,
  stored: StoredSnapshot,
): Promise<{ key: string; records: string[] }[]> {
  const found: { key: string; records: string[] }[] = [];
  for await (const { key, records } of store.load(stored)) {
    const texts: string[] = [];
    for await (const record of records) texts.push(decoder.decode(record));
    found.push({ key, records: texts });
  }
  return found;
}

function plain(sections: readonly Section[]): { key: string; records: readonly string[] }[] {
  return sections.map(({ key, records }) => ({ key, records }));
}

/** A source over another store that breaks after so many bytes, and counts them. */
class FlakySource implements SnapshotSource {
  readonly #store: SnapshotStore;
  readonly #failAfterBytes: number;
  readBytes = 0;

  constructor(store: SnapshotStore, failAfterBytes: number = Number.POSITIVE_INFINITY) {
    this.#store = store;
    this.#failAfterBytes = failAfterBytes;
  }

  async read(sha256: string, offset: number, maxBytes: number): Promise<Uint8Array> {
    if (this.readBytes >= this.#failAfterBytes) throw new Error('the connection broke');
    const bytes = await this.#store.read(sha256, offset, Math.min(maxBytes, 10_000));
    this.readBytes += bytes.length;
    return bytes;
  }
}

/**
 * The suite for implementers of {@link SnapshotStore}. `create` makes an empty medium; the suite opens, closes and
 * reopens stores on it, and copies snapshots from one to another. Cases are independent.
 */
export function testSnapshotStore(
  create: () => SnapshotStoreFixture | Promise<SnapshotStoreFixture>,
): readonly ConformanceCase[] {
  const withStores = (
    name: string,
    body: (
      open: () => Promise<SnapshotStore>,
      reopen: (store: SnapshotStore) => Promise<SnapshotStore>,
    ) => Promise<void>,
  ): ConformanceCase => ({
    name: `SnapshotStore: ${name}`,
    run: async () => {
      const fixtures: SnapshotStoreFixture[] = [];
      const homes = new Map<SnapshotStore, SnapshotStoreFixture>();
      const start = async (fixture: SnapshotStoreFixture): Promise<SnapshotStore> => {
        const store = fixture.open();
        await store.open();
        homes.set(store, fixture);
        return store;
      };
      try {
        await body(
          async () => {
            const fixture = await create();
            fixtures.push(fixture);
            return await start(fixture);
          },
          async (store) => {
            const fixture = homes.get(store);
            if (fixture === undefined) throw new Error('the store is not one of this case');
            homes.delete(store);
            await store.close();
            return await start(fixture);
          },
        );
      } finally {
        for (const store of homes.keys()) await store.close();
        for (const fixture of fixtures) await fixture.dispose?.();
      }
    },
  });

  const never = new AbortController().signal;

  return [
    withStores('a new store has no snapshot', async (open) => {
      ensureEqual((await open()).latest(), undefined, 'the latest snapshot');
    }),

    withStores(
      'what was saved is latest, is read back in order, and survives reopening',
      async (open, reopen) => {
        const store = await open();
        const stored = await store.save(meta(10), content(SECTIONS));
        ensureEqual(stored.meta, meta(10), 'the stored metadata');
        ensureEqual(store.latest(), stored, 'the latest snapshot');
        ensureEqual(await read(store, stored), plain(SECTIONS), 'the content');
        const again = await reopen(store);
        ensureEqual(again.latest(), stored, 'the latest snapshot after reopening');
        ensureEqual(await read(again, stored), plain(SECTIONS), 'the content after reopening');
      },
    ),

    withStores(
      'the newest of several is latest, and older ones are forgotten in time',
      async (open, reopen) => {
        let store = await open();
        for (let index = 10; index <= 80; index += 10) await store.save(meta(index), content(SECTIONS));
        ensureEqual(store.latest()?.meta.index, 80, 'index of the latest');
        store = await reopen(store);
        ensureEqual(store.latest()?.meta.index, 80, 'index of the latest after reopening');
      },
    ),

    withStores('sealed sections are stored once', async (open) => {
      const store = await open();
      const first = await store.save(meta(10), content(SECTIONS));
      const second = await store.save(
        meta(20),
        content([...SECTIONS.slice(0, 3), { key: 'state', sealed: false, records: ['other'] }]),
      );
      const known = new Set(first.chunks.map((chunk) => chunk.sha256));
      const fresh = second.chunks.filter((chunk) => !known.has(chunk.sha256));
      const freshBytes = fresh.reduce((sum, chunk) => sum + chunk.sizeBytes, 0);
      const totalBytes = second.chunks.reduce((sum, chunk) => sum + chunk.sizeBytes, 0);
      ensure(
        totalBytes === 0 || freshBytes < totalBytes,
        `the second snapshot shares chunks (${freshBytes} of ${totalBytes} bytes are new)`,
      );
    }),

    withStores('ranged reads give the whole of a chunk, and an unknown hash fails', async (open) => {
      const store = await open();
      const stored = await store.save(meta(10), content(SECTIONS));
      for (const ref of [stored.manifest, ...stored.chunks]) {
        let size = 0;
        while (size < ref.sizeBytes) {
          const part = await store.read(ref.sha256, size, 1000);
          ensure(
            part.length > 0 && part.length <= 1000,
            `a part of 1 to 1000 bytes at ${size} of ${ref.sizeBytes}, found ${part.length}`,
          );
          size += part.length;
        }
        ensureEqual(size, ref.sizeBytes, `size of ${ref.sha256}`);
      }
      await ensureFails(() => store.read('0'.repeat(64), 0, 10), 'reading an unknown hash');
    }),

    withStores(
      'a received snapshot becomes latest only when installed, and survives reopening',
      async (open, reopen) => {
        const [from, to] = [await open(), await open()];
        const stored = await from.save(meta(10), content(SECTIONS));
        await to.receive(stored, new FlakySource(from), never);
        ensureEqual(to.latest(), undefined, 'the latest snapshot before installing');
        await to.install(stored);
        ensureEqual(to.latest(), stored, 'the latest snapshot');
        ensureEqual(await read(to, stored), plain(SECTIONS), 'the content');
        const again = await reopen(to);
        ensureEqual(again.latest(), stored, 'the latest snapshot after reopening');
        ensureEqual(await read(again, stored), plain(SECTIONS), 'the content after reopening');
      },
    ),

    withStores('chunks that are here already are not fetched again', async (open) => {
      const [from, to] = [await open(), await open()];
      const first = await from.save(meta(10), content(SECTIONS));
      await to.receive(first, new FlakySource(from), never);
      await to.install(first);
      const second = await from.save(
        meta(20),
        content([...SECTIONS, { key: 'more', sealed: false, records: ['more'] }]),
      );
      const source = new FlakySource(from);
      await to.receive(second, source, never);
      const known = new Set(first.chunks.map((chunk) => chunk.sha256));
      const missing = second.chunks
        .filter((chunk) => !known.has(chunk.sha256))
        .reduce((sum, chunk) => sum + chunk.sizeBytes, 0);
      ensure(
        source.readBytes <= missing + second.manifest.sizeBytes,
        `at most ${missing + second.manifest.sizeBytes} bytes are fetched, found ${source.readBytes}`,
      );
    }),

    withStores('a broken transfer is resumed, and installs whole', async (open) => {
      const [from, to] = [await open(), await open()];
      const stored = await from.save(meta(10), content(SECTIONS));
      const total = [stored.manifest, ...stored.chunks].reduce((sum, ref) => sum + ref.sizeBytes, 0);
      let fetched = 0;
      let attempts = 0;
      for (let done = false; !done; attempts++) {
        ensure(attempts < 1000, 'the transfer makes progress with every attempt');
        const source = new FlakySource(from, 1);
        done = await to.receive(stored, source, never).then(
          () => true,
          () => false,
        );
        fetched += source.readBytes;
      }
      ensure(
        fetched <= total + 10_000,
        `at most ${total} bytes and one slice are fetched in all, found ${fetched}`,
      );
      await to.install(stored);
      ensureEqual(await read(to, stored), plain(SECTIONS), 'the content');
    }),

    withStores('a snapshot saved in the middle of a transfer takes nothing of it away', async (open) => {
      const [from, to] = [await open(), await open()];
      const stored = await from.save(meta(40), content(SECTIONS));
      let index = 0;
      const interrupted: SnapshotSource = {
        read: async (sha256, offset, maxBytes) => {
          const sections = [{ key: 'own', sealed: false, records: [`state at ${++index}`] }];
          if (index < 10) await to.save(meta(index), content(sections));
          return await from.read(sha256, offset, Math.min(maxBytes, 50_000));
        },
      };
      await to.receive(stored, interrupted, never);
      await to.save(meta(20), content([{ key: 'own', sealed: false, records: ['state at 20'] }]));
      await to.install(stored);
      ensureEqual(await read(to, stored), plain(SECTIONS), 'the content');
    }),

    withStores('a snapshot received after another one leaves that installable', async (open) => {
      const [from, to] = [await open(), await open()];
      const first = await from.save(meta(10), content(SECTIONS));
      const second = await from.save(
        meta(20),
        content([{ key: 'state', sealed: false, records: ['other'] }]),
      );
      await to.receive(first, new FlakySource(from), never);
      await to.receive(second, new FlakySource(from), never);
      await to.install(first);
      ensureEqual(await read(to, first), plain(SECTIONS), 'the content of the first');
      await to.install(second);
      ensureEqual(to.latest(), second, 'the latest snapshot');
    }),

    withStores('an aborted transfer rejects and leaves the latest snapshot alone', async (open) => {
      const [from, to] = [await open(), await open()];
      const stored = await from.save(meta(10), content(SECTIONS));
      const abort = new AbortController();
      abort.abort(new Error('enough'));
      await ensureFails(
        () => to.receive(stored, new FlakySource(from), abort.signal),
        'receiving after an abort',
      );
      ensureEqual(to.latest(), undefined, 'the latest snapshot');
    }),

    withStores('a chunk whose content has another hash is refused', async (open) => {
      const [from, to] = [await open(), await open()];
      const stored = await from.save(meta(10), content(SECTIONS));
      const lying: SnapshotSource = {
        read: async (sha256, offset, maxBytes) => {
          const bytes = Uint8Array.from(await from.read(sha256, offset, maxBytes));
          if (offset === 0 && bytes.length > 0) bytes[0] = (bytes[0] ?? 0) ^ 1;
          return bytes;
        },
      };
      await ensureFails(() => to.receive(stored, lying, never), 'receiving damaged bytes');
      ensureEqual(to.latest(), undefined, 'the latest snapshot');
      await to.receive(stored, new FlakySource(from), never);
      await to.install(stored);
      ensureEqual(await read(to, stored), plain(SECTIONS), 'the content from an honest source');
    }),

    withStores('a snapshot can be saved after one was installed', async (open) => {
      const [from, to] = [await open(), await open()];
      const first = await from.save(meta(10), content(SECTIONS));
      await to.receive(first, new FlakySource(from), never);
      await to.install(first);
      const second = await to.save(meta(30), content(SECTIONS.slice(0, 1)));
      ensureEqual(to.latest(), second, 'the latest snapshot');
      ensureEqual(await read(to, second), plain(SECTIONS.slice(0, 1)), 'the content');
    }),
  ];
}
