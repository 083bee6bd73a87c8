import fc from 'fast-check';
import stableStringify from 'fast-json-stable-stringify';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '@pact-journal/journal-state';

describe('canonical JSON', () => {
  it('is what fast-json-stable-stringify makes of any JSON value', () => {
    // Keys that look like numbers are where an engine has an order of its own.
    const key = fc.oneof(fc.constantFrom('9', '10', '01', '', 'a', 'B', '__proto__'), fc.string());
    const value = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.jsonValue({ maxDepth: 0 }),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(key, fc.oneof(tie('value'), fc.constant(undefined)), { maxKeys: 5 }),
      ),
    })).value;
    fc.assert(
      fc.property(value, (given) => {
        expect(canonicalJson(given)).toBe(stableStringify(given));
        const parsed: unknown = JSON.parse(canonicalJson(given));
        expect(canonicalJson(parsed)).toBe(canonicalJson(given));
      }),
      { numRuns: 5_000 },
    );
  });
});
