import fc from 'fast-check';
import { JournalState, entrySeq } from '@pact-journal/journal-state';
import { aDelta, aCommit, anEnvelope } from '@pact-journal/journal-state/testing';
import { describe, expect, it } from 'vitest';
import { base64DecodedLength, decodeBase64, encodeBase64 } from '../src/base64.ts';
import { SEGMENT_RECORDS_MAX, SEGMENT_SIZE_BYTES_MAX } from '../src/limits.ts';
import { lowerBound } from '../src/log/growable.ts';
import { SegmentLog, segmentRecords } from '../src/log/segment-log.ts';
import { CowTable } from '../src/tables/cow-table.ts';
import { ExpirationQueue } from '../src/tables/expirations.ts';
import { readEntryFacts } from '../src/parse/plain-text.ts';
import { RequestIndex } from '../src/tables/request-index.ts';
import { TableDigest, recordDigest } from '../src/tables/table-digest.ts';
import { msToTimestamp, timestampToMs } from '../src/timestamp.ts';

describe('timestamps', () => {
  it('agree with Date over all of its four-digit years', () => {
    const lowest = Date.UTC(2000, 0, 1) - 2000 * 365.2425 * 86_400_000;
    fc.assert(
      fc.property(fc.integer({ min: Math.ceil(lowest), max: Date.UTC(9999, 11, 31) }), (ms) => {
        const text = new Date(ms).toISOString();
        expect(msToTimestamp(ms)).toBe(text);
        expect(timestampToMs(text)).toBe(ms);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['2026-11-24T08:00:00Z', '2026-11-24T08:00:00.000Z'],
    ['2026-11-24T08:00:00.1Z', '2026-11-24T08:00:00.100Z'],
    ['2026-11-24T08:00:00.123456789Z', '2026-11-24T08:00:00.123Z'],
    ['2026-11-24T10:30:00+02:30', '2026-11-24T08:00:00.000Z'],
    ['2026-11-23t23:00:00-09:00', '2026-11-24T08:00:00.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ])('%s is %s', (text, expected) => {
    expect(msToTimestamp(timestampToMs(text) ?? Number.NaN)).toBe(expected);
  });

  it.each([
    '2026-02-29T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01',
    '2026-01-01T00:00:00',
    '2026-01-01T00:00:00+24:00',
    '0000-01-01T00:00:00+01:00',
    '9999-12-31T23:59:59-01:00',
    ' 2026-01-01T00:00:00Z',
  ])('%j is none', (text) => {
    expect(timestampToMs(text)).toBeUndefined();
  });
});

describe('base64', () => {
  it('is that of everybody else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const text = Buffer.from(bytes).toString('base64');
        expect(encodeBase64(bytes)).toBe(text);
        expect(base64DecodedLength(text)).toBe(bytes.length);
        expect(decodeBase64(text)).toEqual(bytes);
      }),
    );
  });

  it('has one text for a byte string: whatever is decoded encodes to the same text', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'AB/+9=-_ é'), maxLength: 12 }), (text) => {
        const bytes = decodeBase64(text);
        if (bytes !== undefined) expect(encodeBase64(bytes)).toBe(text);
      }),
      { numRuns: 3000 },
    );
  });

  it('encodes more than fits in one piece', () => {
    const bytes = Uint8Array.from({ length: 100_000 }, (_, index) => index % 251);
    expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
  });
});

describe('the segment log', () => {
  const fill = (log: SegmentLog, sizes: readonly number[]): void => {
    for (const size of sizes) log.append(new Uint8Array(size).fill((log.length + 1) % 256));
  };

  it('gives every record back, whatever their sizes', () => {
    const size = fc.oneof(
      { weight: 9, arbitrary: fc.nat({ max: 5000 }) },
      { weight: 1, arbitrary: fc.nat({ max: 3_000_000 }) },
    );
    fc.assert(
      fc.property(fc.array(size, { maxLength: 40 }), (sizes) => {
        const log = new SegmentLog();
        fill(log, sizes);
        sizes.forEach((expected, index) => {
          const record = log.record(index);
          expect(record.length).toBe(expected);
          expect(record.every((byte) => byte === (index + 1) % 256)).toBe(true);
        });
        const { sealed, open } = log.capture();
        expect(
          [...sealed, open].flatMap((segment) => [...segmentRecords(segment)]).map((record) => record.length),
        ).toEqual(sizes);
      }),
      { numRuns: 30 },
    );
  });

  it('seals after so many records or before so many bytes, and never an empty segment', () => {
    const byCount = new SegmentLog();
    fill(byCount, new Array<number>(SEGMENT_RECORDS_MAX * 2 + 1).fill(1));
    expect(byCount.capture().sealed.map((segment) => segment.ends.length)).toEqual([
      SEGMENT_RECORDS_MAX,
      SEGMENT_RECORDS_MAX,
    ]);
    const bySize = new SegmentLog();
    fill(bySize, [SEGMENT_SIZE_BYTES_MAX, 1, SEGMENT_SIZE_BYTES_MAX + 1, SEGMENT_SIZE_BYTES_MAX - 1, 1, 1]);
    expect(bySize.capture().sealed.map((segment) => [segment.first, segment.ends.length])).toEqual([
      [0, 1],
      [1, 1],
      [2, 1],
      [3, 2],
    ]);
  });

  it('keeps little more than the bytes themselves', () => {
    const log = new SegmentLog();
    fill(log, new Array<number>(20_000).fill(600));
    expect(log.sizeBytes).toBeLessThan(20_000 * 600 * 1.1 + SEGMENT_SIZE_BYTES_MAX);
  });
});

describe('a table that is copied when it is written', () => {
  it('gives captures that do not change', () => {
    const step = fc.oneof(
      fc.record({ type: fc.constant('push' as const), value: fc.nat() }),
      fc.record({ type: fc.constant('set' as const), value: fc.nat(), index: fc.nat() }),
      fc.record({ type: fc.constant('capture' as const) }),
    );
    fc.assert(
      fc.property(fc.nat({ max: 3000 }), fc.array(step, { maxLength: 60 }), (start, steps) => {
        const table = new CowTable<number>();
        const model: number[] = [];
        for (let i = 0; i < start; i += 1) model[table.push(i)] = i;
        const captures: [Iterable<number>, number[]][] = [];
        for (const next of steps) {
          if (next.type === 'push') model[table.push(next.value)] = next.value;
          else if (next.type === 'capture') captures.push([table.capture(), model.slice()]);
          else if (model.length > 0) {
            table.set(next.index % model.length, next.value);
            model[next.index % model.length] = next.value;
          }
        }
        expect([...table]).toEqual(model);
        for (const [capture, expected] of captures) expect([...capture]).toEqual(expected);
      }),
    );
  });
});

describe('the queue of ttls', () => {
  it('finds what is due, in order, as a sorted list would', () => {
    const step = fc.oneof(
      { weight: 3, arbitrary: fc.record({ type: fc.constant('add' as const), due: fc.nat({ max: 50 }) }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('remove' as const), choice: fc.nat() }) },
      { weight: 2, arbitrary: fc.record({ type: fc.constant('ask' as const), now: fc.nat({ max: 60 }) }) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120, size: 'max' }), (steps) => {
        const queue = new ExpirationQueue();
        const model = new Map<number, number>();
        steps.forEach((next, sequence) => {
          const pending = [...model].sort((a, b) => a[1] - b[1] || a[0] - b[0]);
          if (next.type === 'add') {
            queue.add(sequence, next.due);
            model.set(sequence, next.due);
          } else if (next.type === 'remove' && pending.length > 0) {
            const [removed] = pending[next.choice % pending.length] ?? [0];
            queue.remove(removed);
            model.delete(removed);
          } else if (next.type === 'ask') {
            expect(queue.dueAt(next.now)).toEqual(
              pending.filter(([, due]) => due <= next.now).map(([pendingSequence]) => pendingSequence),
            );
            expect(queue.nextDueMs).toBe(pending[0]?.[1]);
          }
        });
        expect(queue.size).toBe(model.size);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a table digest', () => {
  it('depends on the records, not on the order in which they came and went', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string()), fc.uniqueArray(fc.string()), (kept, gone) => {
        const digest = new TableDigest();
        for (const text of [...gone, ...kept]) digest.add(recordDigest(text));
        for (const text of gone.toReversed()) digest.remove(recordDigest(text));
        const other = new TableDigest();
        for (const text of kept.toReversed()) other.add(recordDigest(text));
        expect(digest.toString()).toBe(other.toString());
      }),
    );
  });

  it('has no collisions among similar records', () => {
    const seen = new Set<string>();
    for (let i = 0; i < 200_000; i += 1) {
      const { high, low } = recordDigest(`node-${String(i)}`);
      seen.add(`${String(high)} ${String(low)}`);
    }
    expect(seen.size).toBe(200_000);
  });
});

describe('lowerBound', () => {
  it('is the first position that is not below', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 50 })), fc.nat({ max: 60 }), (values, value) => {
        const sorted = values.sort((a, b) => a - b);
        const expected = sorted.findIndex((candidate) => candidate >= value);
        expect(lowerBound(sorted, value)).toBe(expected < 0 ? sorted.length : expected);
      }),
    );
  });
});

describe('the index of request ids', () => {
  it('finds what a map would, also where digests collide or are the same', () => {
    const size = 6;
    const step = fc.record({ id: fc.nat({ max: 12 }), home: fc.constantFrom(0, 1, 15, -1) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const ids = new Array<string>(size).fill('');
        const slots = new Map<string, number>();
        const homes = new Map<string, number>();
        const index = new RequestIndex(size, (slot) => ids[slot] ?? '');
        const digest = (id: string): { high: number; low: number } => ({ high: 7, low: homes.get(id) ?? 0 });
        let next = 0;
        for (const { id: number, home } of steps) {
          const id = String(number);
          if (!homes.has(id)) homes.set(id, home);
          for (const known of homes.keys()) expect(index.find(known, digest(known))).toBe(slots.get(known));
          if (slots.has(id)) continue;
          const slot = next++ % size;
          if (slots.delete(ids[slot] ?? '')) index.remove(slot);
          ids[slot] = id;
          slots.set(id, slot);
          index.add(slot, digest(id));
          expect(index.digestOf(slot)).toEqual(digest(id));
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the facts that a restore reads from an entry', () => {
  it('are those of the parsed entry, whatever its items say', () => {
    const words = [
      '',
      'x',
      'more than a dozen characters',
      'a "quote"',
      '\\',
      '{"',
      '"],"mounts":[]',
      ',"value":"',
      'ü',
      '\ud800',
    ];
    const word = fc.oneof(fc.constantFrom(...words), fc.string({ maxLength: 4 }));
    const item = fc.record(
      {
        action: fc.constantFrom('Add' as const, 'Modify' as const, 'Remove' as const),
        previous: fc.option(word),
        value: fc.option(word),
      },
      { requiredKeys: ['action'] },
    );
    const items = fc.dictionary(
      word.filter((key) => key !== '' && key !== '__proto__'),
      item,
      { maxKeys: 2 },
    );
    const kinds = fc.record({ files: items, kernel: items, services: items }, { requiredKeys: [] });
    fc.assert(
      fc.property(kinds, (declared) => {
        const journal = new JournalState();
        const entry = aCommit({ Node: 'n1' }, declared, { message: ',"state_delta":null' });
        journal.apply(anEnvelope({ type: 'AppendEntry', entry }));
        const appended = journal.entry(entrySeq(0));
        const text = new TextDecoder().decode(
          journal
            .snapshot()
            .sections.flatMap((section) => (section.key === 'entries/open' ? [...section.records()] : []))[0],
        );
        expect(readEntryFacts(text)).toEqual({
          entry_type: 'Commit',
          hash: appended?.hash,
          parent: null,
          principal: 'ada@example.org',
          scope: { Node: 'n1' },
          sequence: 0,
          state_delta: aDelta(declared),
        });
      }),
      { numRuns: 1000 },
    );
  });
});
