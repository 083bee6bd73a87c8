import type {
  ApprovalOutcome,
  ConfigEntry,
  Decision,
  EntrySeq,
  Identity,
  NewConfigEntry,
  Proposal,
} from '@pact-journal/journal-state';
import type * as config from '../gen/pact/config.ts';
import type { Duration } from '../gen/google/protobuf/duration.ts';
import type {
  ApprovalDecision,
  ApprovalProposal,
  JournalEntry,
  NewEntry,
} from '../gen/pact/journal_admin.ts';
import { stateDeltaFromWire, stateDeltaToWire } from './delta.ts';
import { entryTypeFromWire, entryTypeToWire } from './enums.ts';
import { present, required, WireError } from './errors.ts';
import { policyFromWire, policyToWire } from './policy.ts';
import { identityFromWire, identityToWire, scopeFromWire, scopeToWire } from './scope.ts';
import { timestampFromWire, timestampToWire } from './time.ts';

/** An entry as the fielded messages can say it: they have no place for the hash, nor apart for the message. */
export type FieldedEntry = Omit<
  ConfigEntry,
  'hash' | 'message' | 'expires' | 'policy' | 'proposal' | 'decision'
>;

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

/** Its keys, like those of everything in it, are in canonical order: that spares whoever encodes it the sorting. */
function commonFromWire(
  wire: config.ConfigEntry,
  at: string,
  options: EntryFromWireOptions,
  message?: string,
): NewConfigEntry {
  return {
    author: options.author ?? identityFromWire(wire.author, `${at}.author`),
    emergency_reason: wire.emergencyReason ?? null,
    entry_type: entryTypeFromWire(wire.entryType, `${at}.entry_type`),
    ...present('message', message),
    parent: wire.parent === undefined ? null : sequence(wire.parent),
    policy_ref: wire.policyRef === '' ? null : wire.policyRef,
    scope: scopeFromWire(wire.scope, `${at}.scope`),
    state_delta:
      wire.stateDelta === undefined ? null : stateDeltaFromWire(wire.stateDelta, `${at}.state_delta`),
    ttl_seconds: durationFromWire(wire.ttl, `${at}.ttl`),
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
  return commonFromWire(required(entry.entry, `${at}.entry`), `${at}.entry`, options, entry.message);
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
    policy: entry.policy === undefined ? undefined : policyToWire(entry.policy),
    proposal: entry.proposal === undefined ? undefined : proposalToWire(entry.proposal),
    decision: entry.decision === undefined ? undefined : decisionToWire(entry.decision),
  };
}

function proposalToWire({ entry_type, expires_at }: Proposal): ApprovalProposal {
  return {
    entryType: entryTypeToWire(entry_type),
    expiresAt: timestampToWire(expires_at, 'entry.proposal.expires_at'),
  };
}

function proposalFromWire({ entryType, expiresAt }: ApprovalProposal, at: string): Proposal {
  return {
    entry_type: entryTypeFromWire(entryType, `${at}.entry_type`),
    expires_at: timestampFromWire(expiresAt, `${at}.expires_at`),
  };
}

function decisionToWire({ by, outcome, pending, reason }: Decision): ApprovalDecision {
  return { by: identityToWire(by), outcome, pending, reason: reason ?? undefined };
}

function decisionFromWire({ by, outcome, pending, reason }: ApprovalDecision, at: string): Decision {
  return {
    by: identityFromWire(by, `${at}.by`),
    outcome: approvalOutcomeFromWire(outcome, `${at}.outcome`),
    pending: sequence(pending),
    reason: reason ?? null,
  };
}

const approvalOutcomes: readonly ApprovalOutcome[] = ['approved', 'rejected', 'expired'];

function approvalOutcomeFromWire(value: string, field: string): ApprovalOutcome {
  const outcome = approvalOutcomes.find((candidate) => candidate === value);
  if (outcome !== undefined) return outcome;
  const given = JSON.stringify(value.slice(0, 40));
  throw new WireError('malformed', field, `must be approved, rejected or expired, not ${given}`);
}

/** The decision that a person gives. Fails with `WireError`. */
export function decisionGivenFromWire(value: string, field = 'decision'): 'approved' | 'rejected' {
  if (value === 'approved' || value === 'rejected') return value;
  const given = JSON.stringify(value.slice(0, 40));
  throw new WireError('malformed', field, `must be approved or rejected, not ${given}`);
}

/** Fails with `WireError`. */
export function journalEntryFromWire(wire: JournalEntry | undefined, at = 'entry'): ConfigEntry {
  const entry = required(wire, at);
  return {
    ...entryFromWire(entry.entry, `${at}.entry`),
    hash: entry.hash,
    ...present('message', entry.message),
    ...present('expires', entry.expires === undefined ? undefined : sequence(entry.expires)),
    ...present('policy', entry.policy && policyFromWire(entry.policy, `${at}.policy`)),
    ...present('proposal', entry.proposal && proposalFromWire(entry.proposal, `${at}.proposal`)),
    ...present('decision', entry.decision && decisionFromWire(entry.decision, `${at}.decision`)),
  };
}

/** The author's words, wherever the client put them; null where there are none. */
export function entryMessage(
  entry: Pick<ConfigEntry, 'entry_type' | 'message' | 'policy_ref'>,
): string | null {
  return entry.message ?? (entry.entry_type === 'Commit' ? entry.policy_ref : null);
}
