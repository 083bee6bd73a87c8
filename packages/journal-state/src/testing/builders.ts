/** Builders for tests: each makes a valid value from what the test cares about, and defaults for the rest. */
import { encodeBase64 } from '../base64.ts';
import { encodeUtf8, formatHash, pureSha256 } from '../canonical.ts';
import { parseStateDelta } from '../parse/delta.ts';
import { parseNewEntry } from '../parse/entry.ts';
import { entrySeq } from '../parse/fields.ts';
import { defaultPolicy } from '../parse/policy.ts';
import { msToTimestamp, timestampToMs } from '../timestamp.ts';
import { DELTA_KINDS } from '../types.ts';
import type {
  BootOverlay,
  CommandEnvelope,
  DeltaItem,
  DeltaKind,
  EntrySeq,
  Identity,
  JournalCommand,
  NewAdminOperation,
  NewConfigEntry,
  Scope,
  StateDelta,
  Timestamp,
  VClusterPolicy,
} from '../types.ts';

/** Where test time begins: 2026-11-24T08:00:00.000Z. */
export const TEST_EPOCH: Timestamp = '2026-11-24T08:00:00.000Z';

/** A time so many seconds after `TEST_EPOCH`. */
export function at(seconds: number): Timestamp {
  return msToTimestamp((timestampToMs(TEST_EPOCH) ?? 0) + Math.round(seconds * 1000));
}

/** A sequence for use in an assertion. */
export const seq = (value: number): EntrySeq => entrySeq(value);

export const vcluster = (id: string): Scope => ({ VCluster: id });
export const node = (id: string): Scope => ({ Node: id });

/** A person with a platform administrator's role. */
export function anIdentity(over: Partial<Identity> = {}): Identity {
  return { principal: 'ada@example.org', principal_type: 'Human', role: 'pact-platform-admin', ...over };
}

/** What a test declares: key to value, or null to remove the key, or a whole item. */
export type DeclaredKeys = Readonly<Record<string, string | null | Partial<DeltaItem>>>;

/**
 * A delta in its normal form: `aDelta({ kernel: { 'vm.swappiness': '10', 'kernel.sysrq': null } })` sets one sysctl and
 * removes another.
 */
export function aDelta(declared: { readonly [Kind in DeltaKind]?: DeclaredKeys } = {}): StateDelta {
  const json: Partial<Record<DeltaKind, unknown>> = {};
  for (const kind of DELTA_KINDS) {
    json[kind] = Object.entries(declared[kind] ?? {}).map(([key, value]) => {
      if (value === null) return { action: 'Remove', key };
      return typeof value === 'string' ? { action: 'Add', key, value } : { action: 'Add', key, ...value };
    });
  }
  return parseStateDelta(json);
}

/** A Commit of nothing in the global scope. */
export function anEntry(over: Partial<NewConfigEntry> = {}): NewConfigEntry {
  return parseNewEntry({
    entry_type: 'Commit',
    scope: 'Global',
    author: anIdentity(),
    parent: null,
    state_delta: null,
    policy_ref: null,
    ttl_seconds: null,
    emergency_reason: null,
    ...over,
  });
}

/** A Commit of these keys: `aCommit(vcluster('ml'), { kernel: { 'vm.swappiness': '10' } })`. */
export function aCommit(
  scope: Scope,
  declared: { readonly [Kind in DeltaKind]?: DeclaredKeys } = {},
  over: Partial<NewConfigEntry> = {},
): NewConfigEntry {
  return anEntry({ scope, state_delta: aDelta(declared), ...over });
}

/** A Rollback of a scope to what was in effect right after `parent`. */
export function aRollback(scope: Scope, parent: number, over: Partial<NewConfigEntry> = {}): NewConfigEntry {
  return anEntry({ entry_type: 'Rollback', scope, parent: entrySeq(parent), ...over });
}

export function anEmergencyStart(scope: Scope, over: Partial<NewConfigEntry> = {}): NewConfigEntry {
  return anEntry({ entry_type: 'EmergencyStart', scope, emergency_reason: 'the cooling failed', ...over });
}

export function anEmergencyEnd(scope: Scope, over: Partial<NewConfigEntry> = {}): NewConfigEntry {
  return anEntry({ entry_type: 'EmergencyEnd', scope, ...over });
}

/** A policy with defaults. */
export function aPolicy(vclusterId: string, over: Partial<VClusterPolicy> = {}): VClusterPolicy {
  return { ...defaultPolicy(vclusterId), ...over };
}

/** Another person's approval of what a PendingApproval entry asks for. */
export function anApproval(
  pending: number,
  over: Partial<Omit<Extract<JournalCommand, { type: 'DecideApproval' }>, 'type' | 'pending'>> = {},
): JournalCommand {
  const approver = anIdentity({ principal: 'grace@example.org' });
  return { type: 'DecideApproval', pending: entrySeq(pending), approver, decision: 'approved', ...over };
}

export function anOperation(operationId: string, over: Partial<NewAdminOperation> = {}): NewAdminOperation {
  return {
    operation_id: operationId,
    operation_type: 'Exec',
    author: anIdentity(),
    scope: { Node: 'n1' },
    detail: 'uptime',
    exit_code: 0,
    occurred_at: TEST_EPOCH,
    ...over,
  };
}

/** An overlay with any data (not zstd), of which the checksum is right. */
export function anOverlay(
  vclusterId: string,
  version: number,
  data: Uint8Array | string = 'overlay',
): BootOverlay {
  const bytes = typeof data === 'string' ? encodeUtf8(data) : data;
  return {
    vcluster_id: vclusterId,
    version: entrySeq(version),
    data: encodeBase64(bytes),
    checksum: formatHash(pureSha256(bytes)),
    raw_size_bytes: bytes.length,
  };
}

/** A command as the leader would replicate it. */
export function anEnvelope(
  command: JournalCommand,
  time: Timestamp = TEST_EPOCH,
  requestId?: string,
): CommandEnvelope {
  return { command, ...(requestId === undefined ? {} : { request_id: requestId }), time };
}
