import type { Entry, EntryType } from '@pact-journal/raft-core';
import { toLogIndex, toTerm } from '@pact-journal/raft-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeLine, encodeAppend, entryOf } from '../src/log/line.ts';
import type { PayloadFormat } from '../src/log/line.ts';
import { scanFile } from '../src/log/scan.ts';

const anyData = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.json().map((text) => new TextEncoder().encode(text)),
  fc.string({ unit: 'binary' }).map((text) => new TextEncoder().encode(`{${text}}`)),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Uint8Array.from([0x7b, ...bytes, 0x7d])),
);
const anyEntry = fc.record({
  data: anyData,
  type: fc.constantFrom<EntryType>('normal', 'confChange', 'confChangeV2'),
});

function toEntries(
  from: number,
  term: number,
  parts: readonly { data: Uint8Array; type: EntryType }[],
): Entry[] {
  return parts.map(({ data, type }, offset) => ({
    index: toLogIndex(from + offset),
    term: toTerm(term),
    type,
    data: new Uint8Array(data),
  }));
}

describe('an append', () => {
  it.each<PayloadFormat>(['auto', 'json', 'bytes'])(
    'gives back any entries exactly, stored as %s',
    (format) => {
      const index = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 100 });
      fc.assert(
        fc.property(
          index,
          fc.array(anyEntry, { minLength: 1, maxLength: 8 }),
          fc.nat(),
          (from, parts, seed) => {
            const entries = toEntries(from, 7, parts);
            const { bytes, offsets, lastChecksum } = encodeAppend(entries, seed, format);
            const found: Entry[] = [];
            const places: number[] = [];
            let last = seed;
            const verdict = scanFile(bytes, from, (line, offset) => {
              expect(line.previousChecksum).toBe(last);
              last = line.checksum;
              found.push(entryOf(bytes, line));
              places.push(offset);
            });
            expect(verdict).toEqual({ kind: 'whole' });
            expect(found).toEqual(entries);
            expect(places).toEqual(offsets);
            expect(last).toBe(lastChecksum);
          },
        ),
      );
    },
  );

  it('is lines of valid JSON whatever the data is, where the data is not vouched for', () => {
    fc.assert(
      fc.property(fc.array(anyEntry, { minLength: 1, maxLength: 4 }), (parts) => {
        const { bytes } = encodeAppend(toEntries(1, 1, parts), 0, 'auto');
        const text = bytes.toString('utf8');
        expect(text.endsWith('\n')).toBe(true);
        const lines = text.slice(0, -1).split('\n');
        expect(lines).toHaveLength(parts.length);
        for (const [offset, line] of lines.entries())
          expect(JSON.parse(line)).toMatchObject({ index: offset + 1, term: 1 });
      }),
    );
  });

  it('shows data that is JSON as JSON', () => {
    const data = Buffer.from('{"command":{"type":"AppendEntry"},"time":"2026-11-24T08:00:00.000Z"}');
    const { bytes } = encodeAppend(toEntries(1, 1, [{ data, type: 'normal' }]), 0, 'auto');
    expect(JSON.parse(bytes.toString('utf8'))).toMatchObject({
      index: 1,
      append: { entries: 1, bytes: bytes.length },
      type: 'normal',
      data: { command: { type: 'AppendEntry' } },
    });
  });

  it('cut short at any byte is torn, never whole and never damaged', () => {
    const parts = [1, 2, 3].map((size) => ({
      data: new Uint8Array(size * 50).fill(size),
      type: 'normal' as const,
    }));
    const { bytes } = encodeAppend(toEntries(1, 1, parts), 0, 'auto');
    for (let length = 0; length < bytes.length; length++) {
      expect(scanFile(bytes.subarray(0, length), 1, () => undefined).kind, `${length} bytes`).toBe('torn');
    }
  });
});

describe('a line', () => {
  it('with a wrong form is refused although its checksum is right', async () => {
    const { sealDocument } = await import('../src/checksum.ts');
    const forms = [
      { index: 1, term: 1 },
      { term: 1, index: 1, prev: '00000000', type: 'normal', data: {} },
      { index: 1, term: 1, prev: '0000000G', type: 'normal', data: {} },
      { index: 1, term: 1, prev: '00000000', type: 'strange', data: {} },
      { index: 1, term: 1, prev: '00000000', type: 'normal', payload: {} },
      { index: -1, term: 1, prev: '00000000', type: 'normal', data: {} },
    ];
    for (const form of forms) {
      const line = sealDocument(form);
      expect(decodeLine(line, 0, line.length - 1), JSON.stringify(form)).toBeUndefined();
    }
  });
});
