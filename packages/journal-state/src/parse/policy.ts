import { TEXT_SIZE_BYTES_MAX, UINT32_MAX } from '../limits.ts';
import type { EnforcementMode, RoleBinding, VClusterId, VClusterPolicy } from '../types.ts';
import { boolean, id, integer, oneOf, record, refuse, text, textOrNull, texts, timestamp } from './fields.ts';

const ENFORCEMENT_MODES: readonly EnforcementMode[] = ['observe', 'warn', 'enforce'];
const BINDING_FIELDS = ['role', 'principals', 'allowed_actions'];

/** The policy in force where none was ever set. */
export function defaultPolicy(vclusterId: VClusterId): VClusterPolicy {
  return {
    ai_exec_allowed: false,
    audit_retention_days: 2555,
    auto_converge_categories: [],
    base_commit_window_seconds: 900,
    drift_sensitivity: 2,
    emergency_allowed: true,
    emergency_window_seconds: 14_400,
    enforcement_mode: 'observe',
    exec_whitelist: [],
    federation_template: null,
    policy_id: '',
    regulated: false,
    require_ack_categories: [],
    role_bindings: [],
    shell_whitelist: [],
    supervisor_backend: 'pact',
    two_person_approval: false,
    updated_at: null,
    vcluster_id: vclusterId,
  };
}

const POLICY_FIELDS = Object.keys(defaultPolicy(''));

function sensitivity(value: unknown, path: string, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === 'number' && Number.isFinite(value) && value >= 0) return value === 0 ? 0 : value;
  return refuse(path, 'a number from 0', value);
}

const seconds = (value: unknown, path: string, fallback: number): number =>
  value === undefined ? fallback : integer(value, path, 0, UINT32_MAX);

function bindings(value: unknown, path: string): readonly RoleBinding[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return refuse(path, 'an array of role bindings', value);
  return value.map((element: unknown, at) => {
    const where = `${path}[${String(at)}]`;
    const fields = record(element, where, BINDING_FIELDS);
    return {
      allowed_actions: texts(fields['allowed_actions'], `${where}.allowed_actions`, TEXT_SIZE_BYTES_MAX),
      principals: texts(fields['principals'], `${where}.principals`, TEXT_SIZE_BYTES_MAX),
      role: text(fields['role'], `${where}.role`, TEXT_SIZE_BYTES_MAX),
    };
  });
}

/**
 * Reads a virtual cluster's policy. Fields that are missing take their defaults; `vcluster_id` may be left out where
 * `vclusterId` is given. An empty `enforcement_mode` or `supervisor_backend` (as proto3 sends what was not set) is its
 * default.
 *
 * @throws JournalStateError `malformed` or `tooLarge`, naming the field
 */
export function parsePolicy(json: unknown, vclusterId?: VClusterId, path = 'policy'): VClusterPolicy {
  const fields = record(json, path, POLICY_FIELDS);
  const at = (field: string): string => `${path}.${field}`;
  const own =
    fields['vcluster_id'] === undefined || fields['vcluster_id'] === '' ? vclusterId : fields['vcluster_id'];
  const base = defaultPolicy(id(own, at('vcluster_id')));
  const mode = fields['enforcement_mode'] === '' ? undefined : fields['enforcement_mode'];
  const backend = fields['supervisor_backend'] === '' ? undefined : fields['supervisor_backend'];
  const updated = fields['updated_at'];
  return {
    ai_exec_allowed: boolean(fields['ai_exec_allowed'], at('ai_exec_allowed'), base.ai_exec_allowed),
    audit_retention_days: seconds(
      fields['audit_retention_days'],
      at('audit_retention_days'),
      base.audit_retention_days,
    ),
    auto_converge_categories: texts(
      fields['auto_converge_categories'],
      at('auto_converge_categories'),
      TEXT_SIZE_BYTES_MAX,
    ),
    base_commit_window_seconds: seconds(
      fields['base_commit_window_seconds'],
      at('base_commit_window_seconds'),
      base.base_commit_window_seconds,
    ),
    drift_sensitivity: sensitivity(
      fields['drift_sensitivity'],
      at('drift_sensitivity'),
      base.drift_sensitivity,
    ),
    emergency_allowed: boolean(fields['emergency_allowed'], at('emergency_allowed'), base.emergency_allowed),
    emergency_window_seconds: seconds(
      fields['emergency_window_seconds'],
      at('emergency_window_seconds'),
      base.emergency_window_seconds,
    ),
    enforcement_mode:
      mode === undefined ? base.enforcement_mode : oneOf(mode, at('enforcement_mode'), ENFORCEMENT_MODES),
    exec_whitelist: texts(fields['exec_whitelist'], at('exec_whitelist'), TEXT_SIZE_BYTES_MAX),
    federation_template: textOrNull(
      fields['federation_template'],
      at('federation_template'),
      TEXT_SIZE_BYTES_MAX,
    ),
    policy_id: textOrNull(fields['policy_id'], at('policy_id'), TEXT_SIZE_BYTES_MAX) ?? '',
    regulated: boolean(fields['regulated'], at('regulated'), base.regulated),
    require_ack_categories: texts(
      fields['require_ack_categories'],
      at('require_ack_categories'),
      TEXT_SIZE_BYTES_MAX,
    ),
    role_bindings: bindings(fields['role_bindings'], at('role_bindings')),
    shell_whitelist: texts(fields['shell_whitelist'], at('shell_whitelist'), TEXT_SIZE_BYTES_MAX),
    supervisor_backend:
      backend === undefined
        ? base.supervisor_backend
        : text(backend, at('supervisor_backend'), TEXT_SIZE_BYTES_MAX),
    two_person_approval: boolean(
      fields['two_person_approval'],
      at('two_person_approval'),
      base.two_person_approval,
    ),
    updated_at: updated === undefined || updated === null ? null : timestamp(updated, at('updated_at')),
    vcluster_id: base.vcluster_id,
  };
}
