import fc from 'fast-check';
import stableStringify from 'fast-json-stable-stringify';
import { describe, expect, it } from 'vitest';
import { DELTA_KINDS } from '@pact-journal/journal-state';
import type { EffectiveConfig, EffectiveItem, EntrySeq } from '@pact-journal/journal-state';
import { canonicalContent } from '../src/index.ts';
import type { OverlayContent } from '../src/index.ts';
import { policyOf } from './journal.ts';

const text = fc.string({ unit: 'binary', maxLength: 20 });
const spec = fc.oneof(
  fc.record(
    { fs_type: text, source: text, options: text, read_only: fc.boolean() },
    { requiredKeys: ['fs_type', 'source', 'options', 'read_only'] },
  ),
  fc.record({ mode: fc.integer({ min: 0, max: 0o7777 }), owner: text }, { requiredKeys: [] }),
);
const item: fc.Arbitrary<EffectiveItem> = fc
  .record({ value: fc.option(text), spec: fc.option(spec, { nil: undefined }) })
  .map(({ value, spec: present }) => ({
    value,
    set_by: 0 as EntrySeq,
    ...(present === undefined ? {} : { spec: present }),
  }));
const items = fc.array(fc.tuple(text, item), { maxLength: 12 }).map((pairs) => new Map(pairs));
const config = fc
  .record(Object.fromEntries(DELTA_KINDS.map((kind) => [kind, items])))
  .map((kinds) => kinds as unknown as EffectiveConfig);
const content: fc.Arbitrary<OverlayContent> = fc
  .record({
    vcluster_id: text,
    version: fc.maxSafeNat(),
    config,
    sensitivity: fc.double({ noNaN: true, noDefaultInfinity: true }),
  })
  .map(({ vcluster_id, version, config: declared, sensitivity }) => ({
    vcluster_id,
    version,
    config: declared,
    policy: { ...policyOf(vcluster_id), drift_sensitivity: sensitivity },
  }));

/** The plain way to the same document. */
function documentOf({ vcluster_id, version, config: declared, policy }: OverlayContent): unknown {
  const arrays = DELTA_KINDS.map((kind) => [
    kind,
    [...declared[kind]]
      .sort(([left], [right]) => (left < right ? -1 : left > right ? 1 : 0))
      .map(([key, { value, spec: present }]) => ({
        action: 'Add',
        key,
        value,
        previous: null,
        ...(present === undefined ? {} : { spec: present }),
      })),
  ]);
  return { vcluster_id, version, policy, ...Object.fromEntries(arrays) };
}

describe('canonical content', () => {
  it('is what a stable stringify makes of the same document', () => {
    fc.assert(
      fc.property(content, (input) => {
        expect(new TextDecoder().decode(canonicalContent(input))).toBe(
          Buffer.from(stableStringify(documentOf(input))).toString(),
        );
      }),
      { numRuns: 300 },
    );
  });

  it('does not depend on the order in which keys were set', () => {
    fc.assert(
      fc.property(content, fc.infiniteStream(fc.nat()), (input, numbers) => {
        const shuffle = (map: ReadonlyMap<string, EffectiveItem>): ReadonlyMap<string, EffectiveItem> => {
          const ranked = [...map].map((pair) => ({ pair, rank: Number(numbers.next().value) }));
          return new Map(ranked.sort((left, right) => left.rank - right.rank).map(({ pair }) => pair));
        };
        const shuffled = Object.fromEntries(DELTA_KINDS.map((kind) => [kind, shuffle(input.config[kind])]));
        const other = { ...input, config: shuffled as unknown as EffectiveConfig };
        expect(canonicalContent(other)).toEqual(canonicalContent(input));
      }),
    );
  });

  it('has all seven arrays when nothing is declared', () => {
    const empty = Object.fromEntries(
      DELTA_KINDS.map((kind) => [kind, new Map()]),
    ) as unknown as EffectiveConfig;
    const parsed: unknown = JSON.parse(
      new TextDecoder().decode(
        canonicalContent({ vcluster_id: 'v', version: 0, config: empty, policy: policyOf('v') }),
      ),
    );
    expect(parsed).toMatchObject(Object.fromEntries(DELTA_KINDS.map((kind) => [kind, []])));
  });
});
