import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeConfChange,
  encodeConfChange,
  isRaftCoreError,
  LEAVE_JOINT,
  toNodeId,
} from '../../src/core/index.ts';
import type { ConfChange } from '../../src/core/index.ts';

const arbitraryChange: fc.Arbitrary<ConfChange> = fc.record({
  transition: fc.constantFrom('auto', 'jointImplicit', 'jointExplicit'),
  changes: fc.array(
    fc.record({
      type: fc.constantFrom('addNode', 'removeNode', 'updateNode', 'addLearnerNode'),
      nodeId: fc.maxSafeNat().map(toNodeId),
    }),
    { maxLength: 12 },
  ),
  context: fc.uint8Array({ maxLength: 64 }),
});

function plain(change: ConfChange): unknown {
  return { ...change, context: [...change.context] };
}

describe('membership change codec', () => {
  it('decodes what it encoded', () => {
    fc.assert(
      fc.property(arbitraryChange, (change) => {
        expect(plain(decodeConfChange(encodeConfChange(change)))).toEqual(plain(change));
      }),
    );
  });

  it('has exactly one encoding for a change: whatever it decodes, it encodes to the same bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        let change: ConfChange;
        try {
          change = decodeConfChange(bytes);
        } catch (error) {
          expect(isRaftCoreError(error, 'malformedConfChange')).toBe(true);
          return;
        }
        if (bytes.length > 0) expect([...encodeConfChange(change)]).toEqual([...bytes]);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses every prefix of an encoding without context as malformed', () => {
    fc.assert(
      fc.property(arbitraryChange, (change) => {
        const encoded = encodeConfChange({ ...change, context: new Uint8Array(0) });
        for (let length = 1; length < encoded.length; length += 1) {
          expect(() => decodeConfChange(encoded.subarray(0, length))).toThrowError(
            /cannot decode a membership change/,
          );
        }
      }),
    );
  });

  it('takes no bytes at all for the change that leaves a joint configuration', () => {
    expect(decodeConfChange(new Uint8Array(0))).toEqual(LEAVE_JOINT);
  });

  it.each([
    ['an unknown version', [2, 0, 0]],
    ['an unknown transition', [1, 3, 0]],
    ['an unknown change type', [1, 0, 1, 4, 1]],
    ['a count beyond any group', [1, 0, 0xff, 0xff, 0x7f]],
    ['a node id beyond 2^53', [1, 0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a number that is not in its shortest form', [1, 0, 1, 0, 0x81, 0x00]],
  ])('refuses %s', (_what, bytes) => {
    expect(() => decodeConfChange(Uint8Array.from(bytes))).toThrowError(/cannot decode a membership change/);
  });
});
