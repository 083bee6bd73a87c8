import { DELTA_KINDS } from '../types.ts';
import type { DeltaKind, EntryType, Identity, StateDelta, VClusterPolicy } from '../types.ts';

/** Of what a change touches, the kinds that the policy does not let agents take over by themselves. */
export function kindsToAsk(policy: VClusterPolicy, delta: StateDelta | null): readonly DeltaKind[] {
  if (delta === null) return [];
  const { auto_converge_categories: allowed, require_ack_categories: asked } = policy;
  return DELTA_KINDS.filter(
    (kind) => delta[kind].length > 0 && (!allowed.includes(kind) || asked.includes(kind)),
  );
}

/**
 * Whether this is what two persons have agreed to beforehand, by the policy: that agents take over certain kinds of
 * drift on their nodes by themselves.
 */
export function convergesByItself(
  policy: VClusterPolicy,
  type: EntryType,
  author: Identity,
  delta: StateDelta | null,
): boolean {
  if (type !== 'AutoConverge' || author.principal_type === 'Human' || delta === null) return false;
  return kindsToAsk(policy, delta).length === 0;
}
