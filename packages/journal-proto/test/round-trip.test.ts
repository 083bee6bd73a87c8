import fc from 'fast-check';
import { isJournalStateError, parseStateDelta } from '@pact-journal/journal-state';
import { describe, expect, it } from 'vitest';
import {
  config,
  effectiveItemFromWire,
  effectiveItemToWire,
  entryFromWire,
  entryToWire,
  identityFromWire,
  identityToWire,
  journal,
  journalEntryFromWire,
  journalEntryToWire,
  newEntryFromFieldedWire,
  newEntryFromWire,
  newEntryToFieldedWire,
  newEntryToWire,
  operationFromWire,
  operationToWire,
  policy as policyMessages,
  policyFromWire,
  policyToWire,
  scopeFromWire,
  scopeToWire,
  stateDeltaFromWire,
  stateDeltaToWire,
  Timestamp,
  timestampFromWire,
  timestampToWire,
} from '../src/index.ts';
import {
  identity,
  newEntry,
  operation,
  policy,
  scope,
  stateDelta,
  storedEntry,
  timestamp,
} from './support/arbitrary.ts';

/** To bytes and back, as over a real connection. */
function overTheWire<Message>(
  codec: { encode(message: Message): { finish(): Uint8Array }; decode(bytes: Uint8Array): Message },
  message: Message,
): Message {
  return codec.decode(codec.encode(message).finish());
}

describe('what goes over the wire comes back the same', () => {
  it('a delta of all seven kinds', () => {
    fc.assert(
      fc.property(stateDelta, (delta) => {
        expect(stateDeltaFromWire(overTheWire(config.StateDelta, stateDeltaToWire(delta)))).toStrictEqual(
          delta,
        );
      }),
    );
  });

  it('an entry to append', () => {
    fc.assert(
      fc.property(newEntry, (entry) => {
        expect(newEntryFromWire(overTheWire(journal.NewEntry, newEntryToWire(entry)))).toStrictEqual(entry);
      }),
    );
  });

  it("a stored entry with this project's own fields", () => {
    fc.assert(
      fc.property(storedEntry, (entry) => {
        expect(
          journalEntryFromWire(overTheWire(journal.JournalEntry, journalEntryToWire(entry))),
        ).toStrictEqual(entry);
      }),
    );
  });

  it('a fielded entry, but for what its message has no place for', () => {
    fc.assert(
      fc.property(storedEntry, ({ hash: _, message, expires: __, ...entry }) => {
        const carried = message === undefined ? entry : { ...entry, message };
        const back = entryFromWire(overTheWire(config.ConfigEntry, entryToWire(carried)));
        expect(back).toStrictEqual({ ...entry, policy_ref: entry.policy_ref ?? (message || null) });
      }),
    );
  });

  it('an operation', () => {
    fc.assert(
      fc.property(operation, (record) => {
        expect(operationFromWire(overTheWire(journal.Operation, operationToWire(record)))).toStrictEqual(
          record,
        );
      }),
    );
  });

  it('a policy', () => {
    fc.assert(
      fc.property(policy, (record) => {
        expect(
          policyFromWire(overTheWire(policyMessages.VClusterPolicy, policyToWire(record))),
        ).toStrictEqual(record);
      }),
    );
  });

  it('scopes, identities and times', () => {
    fc.assert(
      fc.property(scope, identity, timestamp, (where, who, when) => {
        expect(scopeFromWire(overTheWire(config.Scope, scopeToWire(where)))).toStrictEqual(where);
        expect(identityFromWire(overTheWire(config.Identity, identityToWire(who)))).toStrictEqual(who);
        expect(timestampFromWire(overTheWire(Timestamp, timestampToWire(when)))).toBe(when);
      }),
    );
  });

  it('a key in effect', () => {
    fc.assert(
      fc.property(stateDelta, identity, timestamp, (delta, who, when) => {
        for (const { key, value, spec } of [...delta.mounts, ...delta.files]) {
          const item = {
            kind: 'mounts' as const,
            key,
            value,
            ...(spec ? { spec } : {}),
            set_by: 7 as never,
            set_at: when,
            set_author: who,
          };
          expect(
            effectiveItemFromWire(overTheWire(journal.EffectiveItem, effectiveItemToWire(item))),
          ).toStrictEqual(item);
        }
      }),
    );
  });

  it('the message of a commit in policy_ref, for a service with no other place', () => {
    fc.assert(
      fc.property(newEntry, (entry) => {
        const { message, ...rest } = entry;
        const back = newEntryFromFieldedWire(overTheWire(config.ConfigEntry, newEntryToFieldedWire(entry)));
        expect(back).toStrictEqual({ ...rest, policy_ref: rest.policy_ref ?? (message || null) });
      }),
    );
  });
});

describe('whatever the state machine accepts as a delta', () => {
  it('is the same after a way over the wire', () => {
    fc.assert(
      fc.property(stateDelta, (json) => {
        let normal;
        try {
          normal = parseStateDelta(json);
        } catch (error) {
          fc.pre(!isJournalStateError(error));
          throw error;
        }
        const back = stateDeltaFromWire(overTheWire(config.StateDelta, stateDeltaToWire(normal)));
        expect(back).toStrictEqual(normal);
        expect(parseStateDelta(back)).toStrictEqual(normal);
      }),
    );
  });
});
