/** What can be asked of a policy, and which of it a role may do. */
import type { EntryType, Identity, VClusterId, VClusterPolicy } from '../types.ts';

/** Actions that change something. Each appends an entry or operation. */
const WRITES = [
  'commit',
  'rollback',
  'auto_converge',
  'boot_config',
  'exec',
  'shell',
  'service_lifecycle',
  'emergency_start',
  'emergency_end',
  'policy_update',
  'approve',
  'node_state',
  'node_assign',
] as const;

/** All actions that a policy can be asked about. Others are denied. */
export const POLICY_ACTIONS = ['read', ...WRITES] as const;
export type PolicyAction = (typeof POLICY_ACTIONS)[number];

const PLATFORM_ADMIN = 'pact-platform-admin';
const OPS_PREFIX = 'pact-ops-';
const VIEWER_PREFIX = 'pact-viewer-';
/** In a role binding: every action. */
const ANY_ACTION = '*';

/** The action of this name, in any of the ways to write it: `emergency_start`, `EmergencyStart`, `emergency-start`. */
export function actionNamed(name: string): PolicyAction | undefined {
  const plain = name
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .replace(/-/g, '_')
    .toLowerCase();
  return POLICY_ACTIONS.find((action) => action === plain);
}

/** The action that appends entries of this type; undefined for those that only record. */
export const actionOf = (type: EntryType): PolicyAction | undefined => actionNamed(type);

/**
 * Whether a role may do this: a platform administrator everything, `pact-ops-V` everything in V, `pact-viewer-V` may
 * read there, and whoever the policy binds a role to what the binding allows. Everything else is denied.
 *
 * @param vcluster undefined where the scope belongs to none: then only administrators may
 */
export function roleMay(
  { principal, role }: Identity,
  action: PolicyAction,
  vcluster: VClusterId | undefined,
  policy: VClusterPolicy | undefined,
): boolean {
  if (role === PLATFORM_ADMIN) return true;
  if (vcluster === undefined) return false;
  if (role === `${OPS_PREFIX}${vcluster}`) return true;
  if (role === `${VIEWER_PREFIX}${vcluster}`) return action === 'read';
  return (policy?.role_bindings ?? []).some(
    (binding) =>
      binding.role === role &&
      binding.principals.includes(principal) &&
      binding.allowed_actions.some((name) => name === ANY_ACTION || actionNamed(name) === action),
  );
}
