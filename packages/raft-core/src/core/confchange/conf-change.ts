import type { ConfChange } from '../types.ts';

/** True for the change that leaves a joint configuration: no changes, default transition. */
export function leavesJoint(change: ConfChange): boolean {
  return change.transition === 'auto' && change.changes.length === 0;
}

/**
 * Whether a change goes through a joint configuration, and then whether that is left automatically. `undefined` for a
 * change that is applied in one step.
 */
export function jointEntry(change: ConfChange): { readonly autoLeave: boolean } | undefined {
  // More than one change could still move only one voter, depending on where it starts from. Joint consensus is
  // always safe, so it is used whenever in doubt.
  if (change.transition === 'auto' && change.changes.length <= 1) return undefined;
  return { autoLeave: change.transition !== 'jointExplicit' };
}
