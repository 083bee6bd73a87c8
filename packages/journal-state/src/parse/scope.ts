import { detached } from '../canonical.ts';
import type { Scope } from '../types.ts';
import { id, isRecord, refuse } from './fields.ts';

const EXPECTED = '"Global", {"VCluster": id} or {"Node": id}';

/**
 * Reads a scope.
 * @throws JournalStateError `malformed` or `tooLarge`
 */
export function parseScope(json: unknown, path = 'scope'): Scope {
  if (json === 'Global') return 'Global';
  if (!isRecord(json)) return refuse(path, EXPECTED, json);
  const fields = Object.keys(json);
  if (fields.length !== 1) return refuse(path, EXPECTED, json);
  if (fields[0] === 'VCluster') return { VCluster: id(json['VCluster'], `${path}.VCluster`) };
  if (fields[0] === 'Node') return { Node: id(json['Node'], `${path}.Node`) };
  return refuse(path, EXPECTED, json);
}

/** A scope as people read it: `global`, `vcluster ml-training`, `node n17`. */
export function formatScope(scope: Scope): string {
  if (scope === 'Global') return 'global';
  return 'VCluster' in scope ? `vcluster ${scope.VCluster}` : `node ${scope.Node}`;
}

/** True where both name the same. */
export function sameScope(a: Scope, b: Scope): boolean {
  if (a === 'Global' || b === 'Global') return a === b;
  if ('VCluster' in a) return 'VCluster' in b && a.VCluster === b.VCluster;
  return 'Node' in b && a.Node === b.Node;
}

/** The same scope with a name of its own, instead of one cut out of a command's or an entry's text. */
export function detachedScope(scope: Scope): Scope {
  if (scope === 'Global') return scope;
  return 'VCluster' in scope ? { VCluster: detached(scope.VCluster) } : { Node: detached(scope.Node) };
}
