/** AppendEntry, SetPolicy and DecideApproval: what an entry must satisfy in the journal's present state, and what it brings about. */
import { JournalStateError } from '../errors.ts';
import { changesConfiguration } from '../parse/entry.ts';
import { entrySeq, refuse } from '../parse/fields.ts';
import type { EntryText } from '../parse/plain-text.ts';
import { formatScope, sameScope } from '../parse/scope.ts';
import type { Layer } from '../config/layer.ts';
import type { EntryExtras } from '../log/entry-log.ts';
import type { Tables } from '../tables/tables.ts';
import { assignedTo } from '../tables/nodes.ts';
import { timestampToMs } from '../timestamp.ts';
import type {
  ConfigEntry,
  ConfigState,
  EntrySeq,
  EntryType,
  Identity,
  NewConfigEntry,
  Scope,
  VClusterId,
  VClusterPolicy,
} from '../types.ts';
import { decisionEntry, proposalOf, proposedType, twoPersonVCluster } from './approval.ts';
import type { DecideApproval } from './approval.ts';
import { NO_VCLUSTERS } from './outcome.ts';
import type { StateChanges } from './outcome.ts';
import { isSystem, SYSTEM_IDENTITY } from './system.ts';

/** What entries of a node's own scope say about its state. Other types leave it alone. */
const STATE_AFTER: Partial<Readonly<Record<EntryType, ConfigState>>> = {
  AutoConverge: 'Committed',
  BootConfig: 'Committed',
  Commit: 'Committed',
  DriftDetected: 'Drifted',
  Rollback: 'Committed',
};

export interface Appended {
  readonly sequence: EntrySeq;
  /** It waits for a second person. */
  readonly pending?: true;
  readonly changes: StateChanges;
}

/**
 * Appends an entry in its normal form; `text` is what its canonical JSON consists of, where it is known.
 * @throws JournalStateError with the code of the rule that it breaks; then nothing has changed
 */
export function appendEntry(tables: Tables, entry: NewConfigEntry, text?: EntryText): Appended {
  checkEntry(tables, entry);
  const ended = entry.expires === undefined ? undefined : tables.fold.endedBy(entry.expires);
  if (ended !== undefined) return { sequence: ended, changes: { staleOverlays: NO_VCLUSTERS } };
  const proposed = proposedType(tables, entry);
  if (proposed !== undefined) return ask(tables, entry, proposed);
  const { appended, layer } = append(tables, entry, undefined, text);
  return { sequence: appended.sequence, changes: changesOf(tables, appended, layer) };
}

/** Appends what is to be approved first, as a PendingApproval. */
function ask(tables: Tables, entry: NewConfigEntry, type: EntryType, policy?: VClusterPolicy): Appended {
  const extras = { proposal: proposalOf(tables, type), ...(policy === undefined ? {} : { policy }) };
  const { appended, layer } = append(tables, { ...entry, entry_type: 'PendingApproval' }, extras);
  return { sequence: appended.sequence, pending: true, changes: changesOf(tables, appended, layer) };
}

/**
 * Approves, rejects or ends a pending approval, by one entry.
 * @throws JournalStateError with the code of the rule that it breaks; then nothing has changed
 */
export function decideApproval(tables: Tables, command: DecideApproval): Appended {
  const decided = checkDecision(tables, command);
  if (typeof decided === 'number') return { sequence: decided, changes: { staleOverlays: NO_VCLUSTERS } };
  const { entry, extras } = decided;
  const { policy } = extras;
  if (entry.entry_type === 'PolicyUpdate' && policy !== undefined)
    return appendPolicy(tables, entry, policy, extras);
  const { appended, layer } = append(tables, entry, extras);
  return { sequence: appended.sequence, changes: changesOf(tables, appended, layer) };
}

/**
 * What a decision brings about, checked against the journal's present state.
 * @throws JournalStateError with the code of the rule that it breaks
 */
export function checkDecision(tables: Tables, command: DecideApproval): ReturnType<typeof decisionEntry> {
  const decided = decisionEntry(tables, command);
  if (typeof decided !== 'number') checkEntry(tables, decided.entry);
  return decided;
}

/**
 * Checks an entry in its normal form against the journal's present state.
 * @throws JournalStateError with the code of the rule that it breaks
 */
export function checkEntry(tables: Tables, entry: NewConfigEntry): void {
  checkParent(tables, entry);
  if (entry.entry_type === 'EmergencyStart') checkEmergencyStart(tables, entry);
  if (entry.entry_type === 'EmergencyEnd') checkEmergencyEnd(tables, entry);
  if (entry.expires !== undefined) checkExpiry(tables, entry, entry.expires);
}

/**
 * Sets a policy: one PolicyUpdate entry that carries it, with the author and message.
 * @throws JournalStateError; then nothing has changed
 */
export function setPolicy(
  tables: Tables,
  vclusterId: VClusterId,
  given: VClusterPolicy,
  author: Identity,
  message: string | undefined,
): Appended {
  checkPolicy(vclusterId, given);
  const entry: NewConfigEntry = {
    author,
    emergency_reason: null,
    entry_type: 'PolicyUpdate',
    ...(message === undefined ? {} : { message }),
    parent: null,
    policy_ref: null,
    scope: { VCluster: vclusterId },
    state_delta: null,
    ttl_seconds: null,
  };
  // One person who could switch the rule off would be enough for anything.
  return twoPersonVCluster(tables, entry.scope) === undefined
    ? appendPolicy(tables, entry, given, {})
    : ask(tables, entry, 'PolicyUpdate', given);
}

/** Has a policy take effect, under an id that names this moment where it was given none. */
function appendPolicy(
  tables: Tables,
  entry: NewConfigEntry,
  given: VClusterPolicy,
  extras: EntryExtras,
): Appended {
  const { vcluster_id } = given;
  const sequence = entrySeq(tables.entries.length);
  const policy_id = given.policy_id === '' ? `${vcluster_id}@${String(sequence)}` : given.policy_id;
  const parent = tables.policies.version(vcluster_id) ?? null;
  const policy = { ...given, policy_id, updated_at: tables.clock };
  const { appended } = append(tables, { ...entry, parent, policy_ref: policy_id }, { ...extras, policy });
  return { sequence, changes: { entry: appended, staleOverlays: [vcluster_id], policy: vcluster_id } };
}

/** J6: a vCluster's policy is its own. */
export function checkPolicy(vclusterId: VClusterId, policy: VClusterPolicy): void {
  if (policy.vcluster_id === vclusterId) return;
  const names = `${JSON.stringify(policy.vcluster_id)}, the command ${JSON.stringify(vclusterId)}`;
  throw new JournalStateError('vclusterMismatch', `policy.vcluster_id: the policy names ${names}`);
}

function append(
  tables: Tables,
  entry: NewConfigEntry,
  extras?: EntryExtras,
  text?: EntryText,
): { readonly appended: ConfigEntry; readonly layer: Layer } {
  const known = tables.scopes.find(entry.scope);
  // A new scope is entered only with its first entry: one that is refused must not leave a trace.
  const position = known ?? { number: tables.scopes.size, newest: -1 };
  const appended = tables.entries.append(entry, tables.clock, position, extras, text);
  const layer = known ?? tables.scopes.layer(entry.scope);
  tables.follow(appended, layer);
  return { appended, layer };
}

function changesOf(tables: Tables, entry: ConfigEntry, layer: Layer): StateChanges {
  const { entry_type } = entry;
  // Not the entry's own, whose names may be parts of a longer text: these are kept.
  const { scope } = layer;
  if (scope === 'Global' || 'VCluster' in scope) {
    const stale = scope === 'Global' ? ('all' as const) : [scope.VCluster];
    const staleOverlays = changesConfiguration(entry_type) ? stale : NO_VCLUSTERS;
    return withEmergency(entry, { entry, staleOverlays });
  }
  const nodesBefore = tables.nodes.size;
  if (layer.nodeNumber < 0) layer.nodeNumber = tables.nodes.ensure(scope.Node);
  const state = entry.expires === undefined ? STATE_AFTER[entry_type] : undefined;
  const changed = state !== undefined && tables.nodes.setState(layer.nodeNumber, state);
  const isNews = changed || tables.nodes.size > nodesBefore;
  const changes: StateChanges = isNews
    ? { entry, staleOverlays: NO_VCLUSTERS, nodeState: scope.Node }
    : { entry, staleOverlays: NO_VCLUSTERS };
  return withEmergency(entry, changes);
}

function withEmergency(entry: ConfigEntry, changes: StateChanges): StateChanges {
  const isEmergency = entry.entry_type === 'EmergencyStart' || entry.entry_type === 'EmergencyEnd';
  return isEmergency ? { ...changes, emergency: entry.scope } : changes;
}

// -- rules ------------------------------------------------------------------------------------------------------

/** J4: a parent precedes its entry. */
function checkParent(tables: Tables, entry: NewConfigEntry): void {
  const sequence = tables.entries.length;
  if (entry.parent !== null && entry.parent >= sequence) {
    const what = `entry ${String(sequence)} cannot continue entry ${String(entry.parent)}, which does not exist yet`;
    throw new JournalStateError('parentNotBefore', `entry.parent: ${what}`, { path: 'entry.parent' });
  }
  if (entry.entry_type !== 'Rollback') {
    if (entry.expires !== undefined)
      refuse('entry.expires', 'left out (only a Rollback ends a ttl)', entry.expires);
    return;
  }
  if (entry.ttl_seconds !== null)
    refuse('entry.ttl_seconds', 'null (a Rollback does not run out)', entry.ttl_seconds);
  if (entry.parent === null && entry.expires === undefined) {
    throw new JournalStateError('parentUnknown', 'entry.parent: must name the entry to go back to', {
      path: 'entry.parent',
    });
  }
}

function checkExpiry(tables: Tables, entry: NewConfigEntry, expires: EntrySeq): void {
  const path = 'entry.expires';
  if (!isSystem(entry.author)) {
    const who = `${SYSTEM_IDENTITY.principal} (Service), not ${entry.author.principal}`;
    throw new JournalStateError('principalNotAllowed', `${path}: a ttl is ended by ${who}`, { path });
  }
  // Proposed again: it gets the answer that the first one got.
  if (tables.fold.endedBy(expires) !== undefined) return;
  const dueMs = tables.expirations.dueMs(expires);
  if (dueMs === undefined) {
    throw new JournalStateError(
      'parentUnknown',
      `${path}: entry ${String(expires)} has no ttl that could run out`,
      { path },
    );
  }
  if ((timestampToMs(tables.clock) ?? 0) < dueMs) {
    throw new JournalStateError(
      'ttlOutOfRange',
      `${path}: the ttl of entry ${String(expires)} has not run out yet`,
      { path },
    );
  }
  if (!sameScope(tables.entries.get(expires).scope, entry.scope)) {
    refuse('entry.scope', `that of entry ${String(expires)}, whose ttl ends`, formatScope(entry.scope));
  }
}

/** P8: emergencies are declared and ended by people. */
function checkHuman(author: Identity): void {
  if (author.principal_type === 'Human') return;
  const who = `${author.principal_type} ${author.principal}`;
  throw new JournalStateError(
    'principalNotAllowed',
    `entry.author: only people start and end emergencies, not ${who}`,
  );
}

/** A2: a node is in one emergency at a time. */
function checkEmergencyStart(tables: Tables, entry: NewConfigEntry): void {
  checkHuman(entry.author);
  for (const active of tables.emergencies.all()) {
    if (!overlaps(tables, active.scope, entry.scope)) continue;
    const since = `one of ${formatScope(active.scope)} has been under way since entry ${String(active.sequence)}`;
    throw new JournalStateError(
      'emergencyActive',
      `entry.scope: no second emergency for ${formatScope(entry.scope)}: ${since}`,
    );
  }
  const forbidding = forbiddenBy(tables, entry.scope);
  if (forbidding === undefined) return;
  const reason = `the policy of vcluster ${forbidding} does not allow emergencies`;
  throw new JournalStateError('emergencyNotAllowed', `entry.scope: ${reason}`);
}

function checkEmergencyEnd(tables: Tables, entry: NewConfigEntry): void {
  checkHuman(entry.author);
  if (tables.emergencies.get(entry.scope) !== undefined) return;
  const covering = [...tables.emergencies.all()].find((active) =>
    overlaps(tables, active.scope, entry.scope),
  );
  const hint =
    covering === undefined ? '' : `; the one of ${formatScope(covering.scope)} is to be ended as such`;
  throw new JournalStateError(
    'noEmergency',
    `entry.scope: no emergency of ${formatScope(entry.scope)} is under way${hint}`,
  );
}

/** True where a node could be in both. */
function overlaps(tables: Tables, a: Scope, b: Scope): boolean {
  if (a === 'Global' || b === 'Global' || sameScope(a, b)) return true;
  if ('Node' in a) return 'VCluster' in b && tables.nodes.assignment(a.Node) === b.VCluster;
  return 'Node' in b && tables.nodes.assignment(b.Node) === a.VCluster;
}

/** The vCluster, if any, whose policy forbids an emergency in this scope. */
function forbiddenBy(tables: Tables, scope: Scope): VClusterId | undefined {
  if (scope === 'Global') {
    for (const policy of tables.policies.stored()) if (!policy.emergency_allowed) return policy.vcluster_id;
    return undefined;
  }
  const node = 'Node' in scope ? tables.nodes.get(scope.Node) : undefined;
  const vcluster = 'VCluster' in scope ? scope.VCluster : node === undefined ? null : assignedTo(node);
  return vcluster === null || tables.policies.get(vcluster).emergency_allowed ? undefined : vcluster;
}
