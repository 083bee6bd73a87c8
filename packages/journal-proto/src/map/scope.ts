import type { Identity, Scope } from '@pact-journal/journal-state';
import type { Identity as WireIdentity, Scope as WireScope } from '../gen/pact/config.ts';
import { nonEmpty, required, WireError } from './errors.ts';
import { principalTypeFromWire, principalTypeToWire } from './enums.ts';

export function scopeToWire(scope: Scope): WireScope {
  if (scope === 'Global') return { scope: { $case: 'global', value: true } };
  if ('VCluster' in scope) return { scope: { $case: 'vclusterId', value: scope.VCluster } };
  return { scope: { $case: 'nodeId', value: scope.Node } };
}

/** Fails with `WireError` where nothing is set, a name is empty, or `global` is false. */
export function scopeFromWire(wire: WireScope | undefined, field = 'scope'): Scope {
  const scope = required(required(wire, field).scope, field);
  switch (scope.$case) {
    case 'global':
      if (!scope.value)
        throw new WireError('malformed', `${field}.global`, 'must be true; leave it out for another scope');
      return 'Global';
    case 'vclusterId':
      return { VCluster: nonEmpty(scope.value, `${field}.vcluster_id`) };
    case 'nodeId':
      return { Node: nonEmpty(scope.value, `${field}.node_id`) };
  }
}

/** Like {@link scopeFromWire}; undefined where the scope is absent (a filter that matches all). */
export function optionalScopeFromWire(wire: WireScope | undefined, field = 'scope'): Scope | undefined {
  return wire?.scope === undefined ? undefined : scopeFromWire(wire, field);
}

export function identityToWire(identity: Identity): WireIdentity {
  return {
    principal: identity.principal,
    principalType: principalTypeToWire(identity.principal_type),
    role: identity.role,
  };
}

/**
 * Fails with `WireError` where it is absent or its type unknown. An empty principal or role passes: the state machine
 * refuses it by its own rule.
 */
export function identityFromWire(wire: WireIdentity | undefined, field = 'author'): Identity {
  const identity = required(wire, field);
  return {
    principal: identity.principal,
    principal_type: principalTypeFromWire(identity.principalType, `${field}.principal_type`),
    role: identity.role,
  };
}
