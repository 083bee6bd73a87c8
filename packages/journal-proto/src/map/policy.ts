import type { EnforcementMode, RoleBinding, VClusterPolicy } from '@pact-journal/journal-state';
import type { UpdatePolicyResponse, VClusterPolicy as WirePolicy } from '../gen/pact/policy.ts';
import { nonEmpty, required, WireError } from './errors.ts';
import { timestampFromWire, timestampToWire } from './time.ts';

const enforcementModes: readonly EnforcementMode[] = ['observe', 'warn', 'enforce'];

export function policyToWire(policy: VClusterPolicy): WirePolicy {
  return {
    vclusterId: policy.vcluster_id,
    policyId: policy.policy_id,
    updatedAt:
      policy.updated_at === null ? undefined : timestampToWire(policy.updated_at, 'policy.updated_at'),
    driftSensitivity: policy.drift_sensitivity,
    baseCommitWindowSeconds: policy.base_commit_window_seconds,
    emergencyWindowSeconds: policy.emergency_window_seconds,
    autoConvergeCategories: [...policy.auto_converge_categories],
    requireAckCategories: [...policy.require_ack_categories],
    enforcementMode: policy.enforcement_mode,
    roleBindings: policy.role_bindings.map((binding) => ({
      role: binding.role,
      principals: [...binding.principals],
      allowedActions: [...binding.allowed_actions],
    })),
    regulated: policy.regulated,
    twoPersonApproval: policy.two_person_approval,
    auditRetentionDays: policy.audit_retention_days,
    federationTemplate: policy.federation_template ?? undefined,
    supervisorBackend: policy.supervisor_backend,
    execWhitelist: [...policy.exec_whitelist],
    shellWhitelist: [...policy.shell_whitelist],
    emergencyAllowed: policy.emergency_allowed,
    aiExecAllowed: policy.ai_exec_allowed,
  };
}

/**
 * An empty enforcement mode or supervisor backend reads as the default (`observe`, `pact`). Fails with `WireError` for
 * an unknown mode, a sensitivity that is no number, a missing virtual cluster or role.
 */
export function policyFromWire(wire: WirePolicy | undefined, at = 'policy'): VClusterPolicy {
  const policy = required(wire, at);
  if (!Number.isFinite(policy.driftSensitivity)) {
    throw new WireError('outOfRange', `${at}.drift_sensitivity`, 'must be a finite number');
  }
  return {
    vcluster_id: nonEmpty(policy.vclusterId, `${at}.vcluster_id`),
    policy_id: policy.policyId,
    updated_at:
      policy.updatedAt === undefined ? null : timestampFromWire(policy.updatedAt, `${at}.updated_at`),
    drift_sensitivity: policy.driftSensitivity,
    base_commit_window_seconds: policy.baseCommitWindowSeconds,
    emergency_window_seconds: policy.emergencyWindowSeconds,
    auto_converge_categories: policy.autoConvergeCategories,
    require_ack_categories: policy.requireAckCategories,
    enforcement_mode: enforcementMode(policy.enforcementMode, `${at}.enforcement_mode`),
    role_bindings: policy.roleBindings.map((binding, index): RoleBinding => ({
      role: nonEmpty(binding.role, `${at}.role_bindings[${index}].role`),
      principals: binding.principals,
      allowed_actions: binding.allowedActions,
    })),
    regulated: policy.regulated,
    two_person_approval: policy.twoPersonApproval,
    audit_retention_days: policy.auditRetentionDays,
    federation_template: policy.federationTemplate ?? null,
    supervisor_backend: policy.supervisorBackend === '' ? 'pact' : policy.supervisorBackend,
    exec_whitelist: policy.execWhitelist,
    shell_whitelist: policy.shellWhitelist,
    emergency_allowed: policy.emergencyAllowed,
    ai_exec_allowed: policy.aiExecAllowed,
  };
}

function enforcementMode(value: string, field: string): EnforcementMode {
  if (value === '') return 'observe';
  const mode = enforcementModes.find((candidate) => candidate === value);
  if (mode !== undefined) return mode;
  throw new WireError(
    'malformed',
    field,
    `must be observe, warn or enforce, not ${JSON.stringify(value.slice(0, 40))}`,
  );
}

/** The `error` that answers for a policy which waits for a second person under this id. */
export function pendingPolicyError(approvalId: string): string {
  return `the policy in force wants a second person: approval ${approvalId} waits for one`;
}

/** The id under which a policy waits for a second person; undefined where this does not say that one does. */
export function pendingApprovalOf({ success, error }: UpdatePolicyResponse): string | undefined {
  const id = / wants a second person: approval (\d+) waits for one$/.exec(error ?? '')?.[1];
  return success ? undefined : id;
}
