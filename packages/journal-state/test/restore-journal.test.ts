/** Restoring on two threads comes to what restoring on one does. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RestoreBuilder, findBrokenLink, isJournalStateError } from '@pact-journal/journal-state';
import type { ChainStretch, JournalSnapshot, JournalState } from '@pact-journal/journal-state';
import { nativeSha256, restoreJournal } from '@pact-journal/journal-state/node';
import type { SnapshotSections } from '@pact-journal/journal-state/node';
import { JournalFixture, aCommit, anOperation, node } from '@pact-journal/journal-state/testing';
import { RestoreThread } from '../src/node/restore-thread.ts';

type Sections = readonly { readonly key: string; readonly records: readonly Buffer[] }[];

/** About 2.5 MiB of entries: two sealed segments and an open one. */
const ENTRIES = 2_500;

const journal = (() => {
  const fixture = new JournalFixture();
  for (let i = 0; i < ENTRIES; i += 1) {
    const value = `ä${String(i)}`.padEnd(600, 'x');
    fixture.append(aCommit(node(`n${String(i % 50)}`), { kernel: { [`k${String(i % 20)}`]: value } }));
  }
  for (let i = 0; i < 20; i += 1) fixture.record(anOperation(`op${String(i)}`));
  return fixture.journal;
})();

function sectionsOf(snapshot: JournalSnapshot): Sections {
  return snapshot.sections.map(({ key, records }) => ({
    key,
    records: Array.from(records(), (record) => Buffer.from(record)),
  }));
}

const whole = sectionsOf(journal.snapshot());

async function* stream(sections: Sections): SnapshotSections {
  for (const { key, records } of sections) {
    yield {
      key,
      records: (async function* () {
        yield* records;
      })(),
    };
  }
}

function onOneThread(sections: Sections): JournalState {
  const builder = new RestoreBuilder({ sha256: nativeSha256 });
  for (const { key, records } of sections) {
    builder.section(key);
    for (const record of records) builder.record(record);
  }
  return builder.finish();
}

/** What the restore says: the digest, or what is wrong and with which entry. */
async function outcome(restore: () => JournalState | Promise<JournalState>): Promise<string> {
  try {
    return (await restore()).digest();
  } catch (error) {
    if (!isJournalStateError(error)) throw error;
    return `${error.code} ${error.message.replace(/section entries\S*:/, 'section entries:')}`;
  }
}

/** The sections with one record of the entries replaced. */
function altered(sequence: number, alter: (record: Buffer) => Buffer): Sections {
  let first = 0;
  return whole.map((section) => {
    if (!section.key.startsWith('entries/')) return section;
    const at = sequence - first;
    first += section.records.length;
    return { ...section, records: section.records.map((record, i) => (i === at ? alter(record) : record)) };
  });
}

/** The entries as one stretch. */
function stretch(sections: Sections): ChainStretch {
  const records = sections.flatMap(({ key, records }) => (key.startsWith('entries/') ? records : []));
  let end = 0;
  const ends = Uint32Array.from(records, (record) => (end += record.length));
  const previousHash = `sha256:${String(nativeSha256(new Uint8Array()))}`;
  return { first: 0, previousHash, bytes: Uint8Array.from(Buffer.concat(records)), ends };
}

const replace =
  (from: RegExp, to: string) =>
  (record: Buffer): Buffer =>
    Buffer.from(record.toString().replace(from, to));

describe('restoreJournal', () => {
  it('restores to a journal of the same digest, with the same sections, that goes on in the same way', async () => {
    expect(whole.filter(({ key }) => key.startsWith('entries/')).length).toBe(3);
    const restored = await restoreJournal(stream(whole));
    expect(restored.digest()).toBe(journal.digest());
    expect(sectionsOf(restored.snapshot())).toEqual(whole);
    const again = onOneThread(whole);
    const time = '2027-01-01T00:00:00.000Z';
    for (let i = 0; i < 3_000; i += 1) {
      const entry = aCommit(node('n1'), { kernel: { z: String(i).padEnd(600, 'y') } });
      const envelope = { command: { type: 'AppendEntry', entry }, time } as const;
      expect(restored.apply(envelope).result).toEqual(again.apply(envelope).result);
    }
    expect(restored.digest()).toBe(again.digest());
    expect(sectionsOf(restored.snapshot())).toEqual(sectionsOf(again.snapshot()));
  });

  it.each([
    ['the first entry', 0],
    ['the first segment', 700],
    ['the second segment', 1_800],
    ['the open segment', ENTRIES - 1],
  ])('refuses an entry of %s that was changed, and says which', async (_, sequence) => {
    const changed = altered(sequence, replace(/xxx"/, 'xyx"'));
    const said = await outcome(() => restoreJournal(stream(changed)));
    expect(said).toBe(
      `snapshotDamaged snapshot section entries: entry ${String(sequence)} does not have the hash that follows from it and its predecessor`,
    );
    expect(await outcome(() => onOneThread(changed))).toBe(said);
  });

  it.each([
    ['another hash', replace(/"hash":"sha256:./, '"hash":"sha256:g')],
    ['no hash', replace(/,"hash":"[^"]*"/, '')],
    ['a hash without a scheme', replace(/"hash":"sha256:/, '"hash":"sha256=')],
    ['another sequence', replace(/"sequence":700/, '"sequence":701')],
    ['no JSON', (record: Buffer) => record.subarray(1)],
    [
      'no UTF-8',
      (record: Buffer) => Buffer.concat([record.subarray(0, 20), Buffer.from([0xff]), record.subarray(21)]),
    ],
    ['nothing', () => Buffer.alloc(0)],
  ])('refuses an entry with %s as one thread does', async (_, alter) => {
    const changed = altered(700, alter);
    const said = await outcome(() => restoreJournal(stream(changed)));
    expect(said).toContain('snapshotDamaged');
    expect(await outcome(() => onOneThread(changed))).toBe(said);
  });

  it('fails with what reading the sections fails with', async () => {
    const torn = async function* (): SnapshotSections {
      for await (const section of stream(whole)) {
        if (section.key.startsWith('operations/')) throw new Error('the disk is gone');
        yield section;
      }
    };
    await expect(restoreJournal(torn())).rejects.toThrow('the disk is gone');
  });
});

describe('findBrokenLink', () => {
  it('finds nothing in what a journal wrote', () => {
    expect(findBrokenLink(stretch(whole), nativeSha256)).toBe(-1);
    expect(findBrokenLink({ ...stretch(whole), first: 17 }, nativeSha256)).toBe(-1);
  });

  it('finds any byte that is another one, in its record', () => {
    const [entries] = whole.filter(({ key }) => key.startsWith('entries/'));
    const sections = [{ key: 'entries/', records: entries?.records.slice(0, 20) ?? [] }];
    const { bytes, ends, ...rest } = stretch(sections);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = bytes.slice();
        changed[at] = (changed[at] ?? 0) ^ change;
        const record = ends.findIndex((end) => at < end);
        expect(findBrokenLink({ ...rest, bytes: changed, ends }, nativeSha256)).toBe(record);
      }),
      { numRuns: 2_000 },
    );
  });

  it('finds a record that does not follow the one before it', () => {
    const { previousHash: _, ...rest } = stretch(whole);
    const other = `sha256:${'0'.repeat(64)}`;
    expect(findBrokenLink({ ...rest, previousHash: other, first: 5 }, nativeSha256)).toBe(5);
  });
});

it('what is too much for the second thread is done by both', async () => {
  const thread = new RestoreThread();
  const broken = stretch(altered(700, replace(/xxx"/, 'xyx"')));
  for (let i = 0; i < 12; i += 1) thread.verify({ ...stretch(whole), first: 10_000 * (i + 1) });
  thread.verify(broken);
  await thread.verified();
  expect(thread.broken).toBe(700);
  expect(new Set(Array.from({ length: 20 }, () => thread.allocate(1_000).buffer)).size).toBe(20);
  await thread.close();
});

describe('without its second thread', () => {
  const missing = new URL('./no-such-worker.mjs', import.meta.url);
  const ending = new URL('./ending-worker.mjs', import.meta.url);

  it.each([
    ['that cannot be loaded', missing],
    ['that cannot be started', new URL('https://example.org/worker.mjs')],
    ['that ends', ending],
  ])('the first one verifies: one %s', async (_, workerUrl) => {
    const thread = new RestoreThread(workerUrl);
    const broken = stretch(altered(700, replace(/xxx"/, 'xyx"')));
    for (const each of [stretch(whole), broken, { ...stretch(whole), first: 10_000 }]) thread.verify(each);
    await thread.verified();
    expect(thread.broken).toBe(700);
    expect(thread.allocate(1_000_000).length).toBeGreaterThanOrEqual(1_000_000);
    thread.verify({ ...broken, previousHash: broken.previousHash.replace(/.$/, '!') });
    expect(thread.broken).toBe(0);
    await thread.close();
  });
});
