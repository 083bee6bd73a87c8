import { JournalStateError } from '../errors.ts';
import { IDENTITY_SIZE_BYTES_MAX, TEXT_SIZE_BYTES_MAX, TTL_SECONDS_MAX, TTL_SECONDS_MIN } from '../limits.ts';
import type { EntryType, Identity, NewConfigEntry, PrincipalType } from '../types.ts';
import { parseStateDelta } from './delta.ts';
import { entrySeqOrNull, oneOf, record, refuse, show, text, textOrNull } from './fields.ts';
import { parseScope } from './scope.ts';

/** All entry types, in the order of their numbers on the wire. */
export const ENTRY_TYPES: readonly EntryType[] = [
  'Commit',
  'Rollback',
  'AutoConverge',
  'DriftDetected',
  'CapabilityChange',
  'PolicyUpdate',
  'BootConfig',
  'EmergencyStart',
  'EmergencyEnd',
  'ExecLog',
  'ShellSession',
  'ServiceLifecycle',
  'PendingApproval',
];

/** True for the entry types that change configuration. */
export function changesConfiguration(type: EntryType): boolean {
  return type === 'Commit' || type === 'Rollback' || type === 'AutoConverge' || type === 'BootConfig';
}

export const PRINCIPAL_TYPES: readonly PrincipalType[] = ['Human', 'Agent', 'Service'];
const IDENTITY_FIELDS = ['principal', 'principal_type', 'role'];
const ENTRY_FIELDS = [
  'entry_type',
  'scope',
  'author',
  'parent',
  'state_delta',
  'policy_ref',
  'ttl_seconds',
  'emergency_reason',
  'message',
  'expires',
  // What the journal adds: an entry read from it may be handed back as it is.
  'sequence',
  'timestamp',
  'hash',
  'policy',
  'proposal',
  'decision',
];

/** J3: who did it is always named. */
function named(value: unknown, path: string): string {
  const name = value === undefined || value === null ? '' : text(value, path, IDENTITY_SIZE_BYTES_MAX);
  if (name.trim() === '') {
    throw new JournalStateError(
      'anonymousAuthor',
      `${path}: must not be empty, nothing is recorded without its author`,
      { path },
    );
  }
  return name;
}

/**
 * Reads an identity. J3: principal and role are never empty.
 * @throws JournalStateError `anonymousAuthor`, `malformed` or `tooLarge`
 */
export function parseIdentity(json: unknown, path = 'author'): Identity {
  if (json === undefined || json === null) {
    throw new JournalStateError(
      'anonymousAuthor',
      `${path}: is missing, nothing is recorded without its author`,
      { path },
    );
  }
  const fields = record(json, path, IDENTITY_FIELDS);
  return {
    principal: named(fields['principal'], `${path}.principal`),
    principal_type: oneOf(fields['principal_type'], `${path}.principal_type`, PRINCIPAL_TYPES),
    role: named(fields['role'], `${path}.role`),
  };
}

/** ND1 and ND2: a ttl is between 15 minutes and 10 days. */
function parseTtl(value: unknown, path: string): number | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'number' || !Number.isInteger(value))
    return refuse(path, 'whole seconds or null', value);
  if (value < TTL_SECONDS_MIN || value > TTL_SECONDS_MAX) {
    const range = `${String(TTL_SECONDS_MIN)} (15 minutes) to ${String(TTL_SECONDS_MAX)} (10 days)`;
    throw new JournalStateError('ttlOutOfRange', `${path}: must be ${range} seconds, not ${show(value)}`, {
      path,
    });
  }
  return value;
}

const joined = (path: string, field: string): string => (path === '' ? field : `${path}.${field}`);

/** How messages name the fields of an entry at `path`: made once, because a million entries are at the same one. */
function fieldPaths(path: string): FieldPaths {
  return {
    author: joined(path, 'author'),
    emergencyReason: joined(path, 'emergency_reason'),
    entryType: joined(path, 'entry_type'),
    expires: joined(path, 'expires'),
    message: joined(path, 'message'),
    parent: joined(path, 'parent'),
    policyRef: joined(path, 'policy_ref'),
    scope: joined(path, 'scope'),
    stateDelta: joined(path, 'state_delta'),
    ttlSeconds: joined(path, 'ttl_seconds'),
  };
}

interface FieldPaths {
  readonly author: string;
  readonly emergencyReason: string;
  readonly entryType: string;
  readonly expires: string;
  readonly message: string;
  readonly parent: string;
  readonly policyRef: string;
  readonly scope: string;
  readonly stateDelta: string;
  readonly ttlSeconds: string;
}

/** Where commands have their entry. */
const COMMAND_PATH = 'entry';
const COMMAND_FIELD_PATHS = fieldPaths(COMMAND_PATH);

/**
 * Reads what a client asks to append and brings it to its normal form (see `parseStateDelta`). Fields that the journal
 * adds (`sequence`, `timestamp`, `hash`, `policy`, `proposal`, `decision`) are dropped. An empty message is none.
 *
 * @throws JournalStateError `malformed`, `anonymousAuthor`, `ttlOutOfRange` or `tooLarge`, naming the field
 */
export function parseNewEntry(json: unknown, path = ''): NewConfigEntry {
  const fields = record(json, path, ENTRY_FIELDS);
  const at = path === COMMAND_PATH ? COMMAND_FIELD_PATHS : fieldPaths(path);
  const expires = entrySeqOrNull(fields['expires'], at.expires);
  const message = textOrNull(fields['message'], at.message, TEXT_SIZE_BYTES_MAX) ?? '';
  const delta = fields['state_delta'];
  const author = parseIdentity(fields['author'], at.author);
  const emergency_reason = textOrNull(fields['emergency_reason'], at.emergencyReason, TEXT_SIZE_BYTES_MAX);
  const entry_type = oneOf(fields['entry_type'], at.entryType, ENTRY_TYPES);
  const parent = entrySeqOrNull(fields['parent'], at.parent);
  const policy_ref = textOrNull(fields['policy_ref'], at.policyRef, TEXT_SIZE_BYTES_MAX);
  const scope = parseScope(fields['scope'], at.scope);
  const state_delta = delta === undefined || delta === null ? null : parseStateDelta(delta, at.stateDelta);
  const ttl_seconds = parseTtl(fields['ttl_seconds'], at.ttlSeconds);
  // Nearly all have a message and nothing to end; a spread for each of a million would show.
  if (message !== '' && expires === null) {
    return {
      author,
      emergency_reason,
      entry_type,
      message,
      parent,
      policy_ref,
      scope,
      state_delta,
      ttl_seconds,
    };
  }
  return {
    author,
    emergency_reason,
    entry_type,
    ...(expires === null ? {} : { expires }),
    ...(message === '' ? {} : { message }),
    parent,
    policy_ref,
    scope,
    state_delta,
    ttl_seconds,
  };
}
