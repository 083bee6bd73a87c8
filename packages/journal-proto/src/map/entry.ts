import type { ConfigEntry, EntrySeq, Identity, NewConfigEntry } from '@pact-journal/journal-state';
import type * as config from '../gen/pact/config.ts';
import type { Duration } from '../gen/google/protobuf/duration.ts';
import type { JournalEntry, NewEntry } from '../gen/pact/journal_admin.ts';
import { stateDeltaFromWire, stateDeltaToWire } from './delta.ts';
import { entryTypeFromWire, entryTypeToWire } from './enums.ts';
import { present, required, WireError } from './errors.ts';
import { identityFromWire, identityToWire, scopeFromWire, scopeToWire } from './scope.ts';
import { timestampFromWire, timestampToWire } from './time.ts';

/** An entry as the fielded messages can say it: they have no place for the hash, nor apart for the message. */
export type FieldedEntry = Omit<ConfigEntry, 'hash' | 'message' | 'expires'>;

export interface EntryFromWireOptions {
  /** Takes the place of what the message claims, which is then not even looked at: the token decides. */
  readonly author?: Identity;
}

/** A number on the wire as a sequence: the codec has made sure that it is a safe integer. */
function sequence(value: number): EntrySeq {
  return value as EntrySeq;
}

function durationToWire(seconds: number | null): Duration | undefined {
  return seconds === null ? undefined : { seconds, nanos: 0 };
}

function durationFromWire(duration: Duration | undefined, field: string): number | null {
  if (duration === undefined) return null;
  if (duration.nanos !== 0) throw new WireError('malformed', field, 'must be whole seconds');
  return duration.seconds;
}

function commonToWire(entry: NewConfigEntry, policyRef: string | null): config.ConfigEntry {
  return {
    sequence: 0,
    timestamp: undefined,
    entryType: entryTypeToWire(entry.entry_type),
    scope: scopeToWire(entry.scope),
    author: identityToWire(entry.author),
    parent: entry.parent ?? undefined,
    stateDelta: entry.state_delta === null ? undefined : stateDeltaToWire(entry.state_delta),
    policyRef: policyRef ?? '',
    ttl: durationToWire(entry.ttl_seconds),
    emergencyReason: entry.emergency_reason ?? undefined,
  };
}

function commonFromWire(wire: config.ConfigEntry, at: string, options: EntryFromWireOptions): NewConfigEntry {
  return {
    entry_type: entryTypeFromWire(wire.entryType, `${at}.entry_type`),
    scope: scopeFromWire(wire.scope, `${at}.scope`),
    author: options.author ?? identityFromWire(wire.author, `${at}.author`),
    parent: wire.parent === undefined ? null : sequence(wire.parent),
    state_delta:
      wire.stateDelta === undefined ? null : stateDeltaFromWire(wire.stateDelta, `${at}.state_delta`),
    policy_ref: wire.policyRef === '' ? null : wire.policyRef,
    ttl_seconds: durationFromWire(wire.ttl, `${at}.ttl`),
    emergency_reason: wire.emergencyReason ?? null,
  };
}

/** For the fielded services. The author's words travel in `policy_ref` where that is free. */
export function entryToWire(entry: Omit<ConfigEntry, 'hash'>): config.ConfigEntry {
  return {
    ...commonToWire(entry, entry.policy_ref ?? entry.message ?? null),
    sequence: entry.sequence,
    timestamp: timestampToWire(entry.timestamp, 'entry.timestamp'),
  };
}

/** What a fielded service answered. Fails with `WireError`. */
export function entryFromWire(wire: config.ConfigEntry | undefined, at = 'entry'): FieldedEntry {
  const entry = required(wire, at);
  return {
    ...commonFromWire(entry, at, {}),
    sequence: sequence(entry.sequence),
    timestamp: timestampFromWire(entry.timestamp, `${at}.timestamp`),
  };
}

/** For AppendEntry, which has no place for the message but `policy_ref`. */
export function newEntryToFieldedWire(entry: NewConfigEntry): config.ConfigEntry {
  return commonToWire(entry, entry.policy_ref ?? entry.message ?? null);
}

/** What a client asks AppendEntry to append. Fails with `WireError`. */
export function newEntryFromFieldedWire(
  wire: config.ConfigEntry | undefined,
  options: EntryFromWireOptions = {},
  at = 'entry',
): NewConfigEntry {
  return commonFromWire(required(wire, at), at, options);
}

/** For the append stream. `expires` does not travel: only the journal itself writes it. */
export function newEntryToWire(entry: NewConfigEntry): NewEntry {
  return { entry: commonToWire(entry, entry.policy_ref), message: entry.message };
}

/** What a client asks the append stream to append. Fails with `WireError`. */
export function newEntryFromWire(
  wire: NewEntry | undefined,
  options: EntryFromWireOptions = {},
  at = 'entry',
): NewConfigEntry {
  const entry = required(wire, at);
  return {
    ...commonFromWire(required(entry.entry, `${at}.entry`), `${at}.entry`, options),
    ...present('message', entry.message),
  };
}

/** Nothing gets lost. */
export function journalEntryToWire(entry: ConfigEntry): JournalEntry {
  return {
    entry: {
      ...commonToWire(entry, entry.policy_ref),
      sequence: entry.sequence,
      timestamp: timestampToWire(entry.timestamp, 'entry.timestamp'),
    },
    hash: entry.hash,
    message: entry.message,
    expires: entry.expires,
  };
}

/** Fails with `WireError`. */
export function journalEntryFromWire(wire: JournalEntry | undefined, at = 'entry'): ConfigEntry {
  const entry = required(wire, at);
  return {
    ...entryFromWire(entry.entry, `${at}.entry`),
    hash: entry.hash,
    ...present('message', entry.message),
    ...present('expires', entry.expires === undefined ? undefined : sequence(entry.expires)),
  };
}

/** The author's words, wherever the client put them; null where there are none. */
export function entryMessage(
  entry: Pick<ConfigEntry, 'entry_type' | 'message' | 'policy_ref'>,
): string | null {
  return entry.message ?? (entry.entry_type === 'Commit' ? entry.policy_ref : null);
}
