/** Two-person approval: which changes wait for a second person, and what becomes of them. */
import { changesConfiguration } from '../parse/entry.ts';
import { JournalStateError } from '../errors.ts';
import { APPROVAL_WINDOW_SECONDS } from '../limits.ts';
import type { EntryExtras } from '../log/entry-log.ts';
import { convergesByItself } from '../policy/converging.ts';
import type { PendingApproval } from '../tables/approvals.ts';
import type { Tables } from '../tables/tables.ts';
import { msToTimestamp, timestampToMs } from '../timestamp.ts';
import type {
  Decision,
  EntrySeq,
  EntryType,
  Identity,
  JournalCommand,
  NewConfigEntry,
  Proposal,
  Scope,
  VClusterId,
} from '../types.ts';
import { isSystem, SYSTEM_IDENTITY } from './system.ts';

export type DecideApproval = Extract<JournalCommand, { readonly type: 'DecideApproval' }>;

/** An entry that a decision brings about. */
export interface DecidedEntry {
  readonly entry: NewConfigEntry;
  readonly extras: EntryExtras;
}

/**
 * The vCluster, if any, whose policy wants a second person for changes in this scope. A global change is one in every
 * vCluster; otherwise it would be the way around.
 */
export function twoPersonVCluster(tables: Tables, scope: Scope): VClusterId | undefined {
  const { twoPersons } = tables.policies;
  if (twoPersons.size === 0) return undefined;
  if (scope === 'Global') return twoPersons.values().next().value;
  const vcluster = 'VCluster' in scope ? scope.VCluster : tables.nodes.assignment(scope.Node);
  return vcluster !== null && twoPersons.has(vcluster) ? vcluster : undefined;
}

/**
 * The type of the entry that a second person would have to approve before it is appended; undefined where it is
 * appended at once. A PendingApproval that a client sends by itself asks for a commit of its delta. The end of a ttl
 * was approved along with its beginning, an emergency cannot wait, and what agents may take over the policy has said.
 */
export function proposedType(tables: Tables, entry: NewConfigEntry): EntryType | undefined {
  if (entry.entry_type === 'PendingApproval') return 'Commit';
  if (entry.expires !== undefined || !changesConfiguration(entry.entry_type)) return undefined;
  const vcluster = twoPersonVCluster(tables, entry.scope);
  if (vcluster === undefined) return undefined;
  const { author, entry_type, scope, state_delta } = entry;
  const agreed =
    scope !== 'Global' && convergesByItself(tables.policies.get(vcluster), entry_type, author, state_delta);
  return agreed ? undefined : entry_type;
}

/** What asks for approval, as of the journal's time. */
export function proposalOf(tables: Tables, entry_type: EntryType): Proposal {
  const nowMs = timestampToMs(tables.clock) ?? 0;
  return { entry_type, expires_at: msToTimestamp(nowMs + APPROVAL_WINDOW_SECONDS * 1000) };
}

/**
 * The entry that a decision brings about, or the sequence of the one that an earlier, equal command brought about.
 * @throws JournalStateError with the code of the rule that the decision breaks
 */
export function decisionEntry(tables: Tables, command: DecideApproval): DecidedEntry | EntrySeq {
  const pending = tables.approvals.get(command.pending);
  if (pending === undefined) return alreadyDecided(tables, command);
  if (command.decision === 'expired') checkExpired(tables, command, pending);
  else checkApprover(tables, command, pending);
  const decision: Decision = {
    by: command.approver,
    outcome: command.decision,
    pending: command.pending,
    reason: command.reason ?? null,
  };
  return command.decision === 'approved'
    ? approvedEntry(tables, pending, decision)
    : closing(pending, decision);
}

/** What was asked for, as its author wrote it. */
function approvedEntry(tables: Tables, pending: PendingApproval, decision: Decision): DecidedEntry {
  const { author, emergency_reason, message, parent, policy, policy_ref, scope, state_delta, ttl_seconds } =
    tables.entries.get(pending.sequence);
  return {
    entry: {
      author,
      emergency_reason,
      entry_type: pending.entry_type,
      ...(message === undefined ? {} : { message }),
      parent,
      policy_ref,
      scope,
      state_delta,
      ttl_seconds,
    },
    extras: { decision, ...(policy === undefined ? {} : { policy }) },
  };
}

/** Says in the journal why nothing came of it. */
function closing({ scope, sequence }: PendingApproval, decision: Decision): DecidedEntry {
  return {
    entry: {
      author: decision.by,
      emergency_reason: null,
      entry_type: 'PendingApproval',
      parent: sequence,
      policy_ref: null,
      scope,
      state_delta: null,
      ttl_seconds: null,
    },
    extras: { decision },
  };
}

function alreadyDecided(tables: Tables, { pending, decision, approver }: DecideApproval): EntrySeq {
  const decidedBy = tables.approvals.decidedBy(pending);
  const name = `approval ${String(pending)}`;
  if (decidedBy === undefined) {
    throw new JournalStateError('approvalUnknown', `pending: nothing waits for ${name}`, { path: 'pending' });
  }
  const first = tables.entries.get(decidedBy).decision;
  // Two leaders may both have seen that its time was up.
  if (decision === 'expired' && isSystem(approver) && first?.outcome === 'expired') return decidedBy;
  const what = `${name} was ${first?.outcome ?? 'decided'} by ${first?.by.principal ?? 'somebody'}`;
  throw new JournalStateError('approvalDecided', `pending: ${what} (entry ${String(decidedBy)})`, {
    path: 'pending',
  });
}

function checkExpired(tables: Tables, { approver }: DecideApproval, pending: PendingApproval): void {
  if (!isSystem(approver)) {
    const who = `${SYSTEM_IDENTITY.principal} (Service), not by ${approver.principal}`;
    throw new JournalStateError('principalNotAllowed', `decision: expired is said by ${who}`);
  }
  if (tables.clock >= pending.expires_at) return;
  const until = `${String(pending.sequence)} can be approved until ${pending.expires_at}`;
  throw new JournalStateError('approvalNotExpired', `decision: approval ${until}`);
}

/** Another person than the author, in time. The author may reject, which is taking it back. */
function checkApprover(
  tables: Tables,
  { approver, decision }: DecideApproval,
  { requester, sequence, expires_at }: PendingApproval,
): void {
  checkPerson(approver);
  if (decision === 'approved' && approver.principal === requester.principal) {
    const what = `${approver.principal} asked for approval ${String(sequence)}; somebody else must approve it`;
    throw new JournalStateError('selfApproval', `approver: ${what}`, { path: 'approver' });
  }
  if (tables.clock < expires_at) return;
  const what = `approval ${String(sequence)} could be decided until ${expires_at}; ask for it again`;
  throw new JournalStateError('approvalExpired', `pending: ${what}`, { path: 'pending' });
}

function checkPerson({ principal, principal_type }: Identity): void {
  if (principal_type === 'Human') return;
  const who = `${principal_type} ${principal}`;
  throw new JournalStateError('principalNotAllowed', `approver: only people approve changes, not ${who}`);
}
