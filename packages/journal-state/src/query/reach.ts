/** How far a change reaches: what a wider scope says of a key shows only where no narrower one says something itself. */
import type { ConfigKey } from '../config/cell.ts';
import type { Tables } from '../tables/tables.ts';
import { DELTA_KINDS } from '../types.ts';
import type { ComputeNodeId, Scope, StateDelta, VClusterId } from '../types.ts';

/** Number of nodes whose configuration is another one once these keys of the scope's have changed. */
export function nodesReached(tables: Tables, scope: Scope, delta: StateDelta): number {
  const changed = new Set<ConfigKey | undefined>();
  for (const kind of DELTA_KINDS)
    // Those that nothing was ever said about are hidden nowhere: one of them stands for all.
    for (const { key } of delta[kind]) changed.add(tables.scopes.keys.find(kind, key));
  if (changed.size === 0) return 0;
  if (scope !== 'Global' && 'Node' in scope) return 1;

  const shown = new Map<VClusterId | null, number>();
  const shownIn = (vcluster: VClusterId | null): number => {
    let count = shown.get(vcluster);
    if (count === undefined) {
      count = scope === 'Global' ? changed.size - hiddenBy(tables, vcluster, changed) : changed.size;
      shown.set(vcluster, count);
    }
    return count;
  };
  const own = ownKeys(tables, changed, scope);
  let reached = 0;
  const nodes = scope === 'Global' ? tables.nodes.all() : tables.nodes.membersOf(scope.VCluster);
  for (const { node_id } of nodes) {
    const vcluster = tables.nodes.assignment(node_id);
    if (shownIn(vcluster) > (own.get(node_id) ?? 0)) reached += 1;
  }
  return reached;
}

/** How many of the keys the virtual cluster says something about itself. */
function hiddenBy(
  tables: Tables,
  vcluster: VClusterId | null,
  keys: ReadonlySet<ConfigKey | undefined>,
): number {
  let count = 0;
  for (const key of keys) if (saysItself(tables, vcluster, key)) count += 1;
  return count;
}

function saysItself(tables: Tables, vcluster: VClusterId | null, key: ConfigKey | undefined): boolean {
  if (vcluster === null || key === undefined) return false;
  return tables.scopes.findVCluster(vcluster)?.cell(key)?.isUnset === false;
}

/** How many of the keys each node says something about itself, those left out that its virtual cluster hides already. */
function ownKeys(
  tables: Tables,
  keys: ReadonlySet<ConfigKey | undefined>,
  scope: Scope,
): ReadonlyMap<ComputeNodeId, number> {
  const counts = new Map<ComputeNodeId, number>();
  for (const key of keys) {
    for (const { isUnset, scope: narrower } of key?.cells ?? []) {
      if (isUnset || narrower === 'Global' || !('Node' in narrower)) continue;
      const nodeId = narrower.Node;
      if (scope === 'Global' && saysItself(tables, tables.nodes.assignment(nodeId), key)) continue;
      counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
    }
  }
  return counts;
}
