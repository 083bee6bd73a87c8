/** May somebody do this? Decided from the state alone, so that every replica gives the same answer. */
import { checkEntry } from '../apply/entry.ts';
import { twoPersonVCluster } from '../apply/approval.ts';
import { canonicalJson } from '../canonical.ts';
import { isJournalStateError } from '../errors.ts';
import { formatScope, sameScope } from '../parse/scope.ts';
import type { Tables } from '../tables/tables.ts';
import type {
  EntrySeq,
  EntryType,
  Identity,
  Scope,
  StateDelta,
  VClusterId,
  VClusterPolicy,
} from '../types.ts';
import { actionNamed, POLICY_ACTIONS, roleMay } from './actions.ts';
import type { PolicyAction } from './actions.ts';
import { convergesByItself, kindsToAsk } from './converging.ts';
import { isWhitelisted } from './whitelist.ts';

export interface EvaluationRequest {
  readonly author: Identity;
  readonly scope: Scope;
  /** One of `POLICY_ACTIONS`, as snake, kebab or Pascal case. */
  readonly action: string;
  /** The change that a commit would make. */
  readonly proposed_change?: StateDelta;
  /** The command line that an exec or shell would run. */
  readonly command?: string;
}

export interface Evaluation {
  readonly authorized: boolean;
  /** The id of the policy that decided; empty where it was the defaults. */
  readonly policy_ref: string;
  /** Why not; or, where the policy only warns, why it would not. */
  readonly reason?: string;
  /** A second person must approve: the entry that asks for just this, where there is one already. */
  readonly approval?: { readonly pending: EntrySeq | undefined };
}

/** The entry types that actions append which a second person may have to approve. */
const PROPOSED: Partial<Readonly<Record<PolicyAction, EntryType>>> = {
  auto_converge: 'AutoConverge',
  boot_config: 'BootConfig',
  commit: 'Commit',
  policy_update: 'PolicyUpdate',
  rollback: 'Rollback',
};

interface Question extends Omit<EvaluationRequest, 'action'> {
  readonly action: PolicyAction;
  readonly policy: VClusterPolicy;
}

/**
 * In this order: roles and the rules that `apply` enforces hold always; whitelists and categories as strictly as the
 * policy's enforcement mode says; then a second person may be needed.
 */
export function evaluate(tables: Tables, request: EvaluationRequest): Evaluation {
  const { author, scope } = request;
  const vcluster = vclusterOf(tables, scope);
  const policy = tables.policies.get(vcluster ?? '');
  const policy_ref = policy.policy_id;
  const action = actionNamed(request.action);
  if (action === undefined) {
    const known = POLICY_ACTIONS.join(', ');
    return {
      authorized: false,
      policy_ref,
      reason: `no policy knows the action ${request.action}: ${known}`,
    };
  }
  if (!roleMay(author, action, vcluster, policy)) {
    const reason = `role ${author.role} may not ${action} in ${formatScope(scope)}`;
    return { authorized: false, policy_ref, reason };
  }
  const question: Question = { ...request, action, policy };
  const denial = ruleAgainst(tables, question);
  if (denial !== undefined) return { authorized: false, policy_ref, reason: denial };
  const objection = policyAgainst(question);
  if (objection !== undefined && policy.enforcement_mode === 'enforce')
    return { authorized: false, policy_ref, reason: objection };
  const warning = objection !== undefined && policy.enforcement_mode === 'warn' ? { reason: objection } : {};
  const type = PROPOSED[action];
  const needing = type === undefined ? undefined : twoPersonVCluster(tables, scope);
  const delta = request.proposed_change ?? null;
  const asked =
    type !== undefined &&
    needing !== undefined &&
    !convergesByItself(tables.policies.get(needing), type, author, delta);
  if (!asked) return { authorized: true, policy_ref, ...warning };
  return {
    authorized: false,
    policy_ref: tables.policies.get(needing).policy_id,
    reason: `vcluster ${needing} has changes approved by a second person`,
    approval: { pending: pendingFor(tables, question, type) },
  };
}

function vclusterOf(tables: Tables, scope: Scope): VClusterId | undefined {
  if (scope === 'Global') return undefined;
  return 'VCluster' in scope ? scope.VCluster : (tables.nodes.assignment(scope.Node) ?? undefined);
}

/** What holds whatever a policy's enforcement mode is. */
function ruleAgainst(tables: Tables, { action, author, scope, policy }: Question): string | undefined {
  const isPerson = author.principal_type === 'Human';
  switch (action) {
    case 'emergency_start':
      return emergencyRule(tables, 'EmergencyStart', author, scope);
    case 'emergency_end':
      return emergencyRule(tables, 'EmergencyEnd', author, scope);
    case 'approve':
      return isPerson
        ? undefined
        : `only people approve changes, not ${author.principal_type} ${author.principal}`;
    case 'exec':
    case 'shell':
      return author.principal_type === 'Agent' && !policy.ai_exec_allowed
        ? `the policy does not allow AI agents to ${action}, and ${author.principal} is one`
        : undefined;
    default:
      return undefined;
  }
}

/** A2 and P8, and whether the policy allows emergencies at all: just as `apply` would say. */
function emergencyRule(
  tables: Tables,
  entry_type: 'EmergencyStart' | 'EmergencyEnd',
  author: Identity,
  scope: Scope,
): string | undefined {
  const nothing = {
    emergency_reason: null,
    parent: null,
    policy_ref: null,
    state_delta: null,
    ttl_seconds: null,
  };
  try {
    checkEntry(tables, { ...nothing, author, entry_type, scope });
    return undefined;
  } catch (error) {
    if (isJournalStateError(error)) return error.message;
    throw error;
  }
}

/** What the policy objects to, as far as it is enforced. */
function policyAgainst({ action, policy, command, proposed_change }: Question): string | undefined {
  switch (action) {
    case 'exec':
      if (command !== undefined && isWhitelisted(policy.exec_whitelist, command)) return undefined;
      return `${command ?? 'an unnamed command'} is not in the policy's exec_whitelist`;
    case 'shell':
      // Opening a session names no command yet.
      if (command === undefined || isWhitelisted(policy.shell_whitelist, command)) return undefined;
      return `${command} is not in the policy's shell_whitelist`;
    case 'auto_converge': {
      const wrong = kindsToAsk(policy, proposed_change ?? null);
      return wrong.length === 0
        ? undefined
        : `the policy does not let ${wrong.join(', ')} converge by themselves`;
    }
    default:
      return undefined;
  }
}

/** The pending approval of just this change, by the same author. */
function pendingFor(
  tables: Tables,
  { author, scope, proposed_change }: Question,
  type: EntryType,
): EntrySeq | undefined {
  for (const pending of tables.approvals.all()) {
    if (pending.entry_type !== type || pending.requester.principal !== author.principal) continue;
    if (!sameScope(pending.scope, scope)) continue;
    if (proposed_change === undefined) return pending.sequence;
    const asked = tables.entries.get(pending.sequence).state_delta;
    if (canonicalJson(asked ?? {}) === canonicalJson(proposed_change)) return pending.sequence;
  }
  return undefined;
}
