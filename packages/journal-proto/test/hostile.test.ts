import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  config,
  isWireError,
  journal,
  newEntryFromFieldedWire,
  newEntryToFieldedWire,
} from '../src/index.ts';
import { newEntry } from './support/arbitrary.ts';

/** Reads bytes as a server does: decoding may throw, mapping may only throw `WireError`. */
function read(bytes: Uint8Array): void {
  let wire: config.ConfigEntry;
  try {
    wire = config.ConfigEntry.decode(bytes);
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return;
  }
  try {
    newEntryFromFieldedWire(wire);
  } catch (error) {
    if (!isWireError(error)) throw error;
  }
}

describe('whatever bytes come in', () => {
  it('random ones are read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => read(bytes)),
      { numRuns: 2_000 },
    );
  });

  it('an entry with any byte changed is read as something else or refused', () => {
    fc.assert(
      fc.property(newEntry, fc.nat(), fc.nat({ max: 255 }), (entry, at, value) => {
        const bytes = config.ConfigEntry.encode(newEntryToFieldedWire(entry)).finish();
        bytes[at % bytes.length] = value;
        read(bytes);
      }),
      { numRuns: 500 },
    );
  });

  it('an entry cut anywhere is read as something else or refused', () => {
    fc.assert(
      fc.property(newEntry, fc.nat(), (entry, at) => {
        const bytes = config.ConfigEntry.encode(newEntryToFieldedWire(entry)).finish();
        read(bytes.subarray(0, at % bytes.length));
      }),
    );
  });

  it('fields that this version does not know are skipped', () => {
    const known = journal.AppendEntryResponse.encode({ sequence: 7 }).finish();
    const newer = Uint8Array.of(...known, 0xf8, 0x06, 0x01);
    expect(journal.AppendEntryResponse.decode(newer)).toEqual({ sequence: 7 });
  });
});
