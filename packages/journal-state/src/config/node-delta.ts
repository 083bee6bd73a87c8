import { EMPTY_DELTA } from '../parse/delta.ts';
import { DELTA_KINDS } from '../types.ts';
import type { ComputeNodeId, DeltaItem, DeltaKind, StateDelta } from '../types.ts';
import type { EffectiveItem, NodeDelta } from '../view.ts';
import type { EffectiveConfigs } from './effective.ts';
import { mapKinds, stampOf } from './effective.ts';
import { resolveKey, sameDeclared } from './fold.ts';
import type { KeyCell } from './cell.ts';
import type { Layer } from './layer.ts';

const CACHED_NODES_MAX = 4096;

interface CachedDelta {
  readonly stamp: string;
  readonly delta: NodeDelta;
}

/**
 * What a node declares on top of its vCluster. Looks at nothing but the node's own keys, so it costs the same
 * however much there is besides.
 */
export class NodeDeltas {
  readonly #configs: EffectiveConfigs;
  readonly #cache = new Map<ComputeNodeId, CachedDelta>();

  constructor(configs: EffectiveConfigs) {
    this.#configs = configs;
  }

  get(nodeId: ComputeNodeId): NodeDelta {
    const layers = this.#configs.layers({ Node: nodeId });
    const own = ownLayer(layers);
    if (own === undefined) return { node_id: nodeId, version: -1, delta: EMPTY_DELTA };
    const stamp = `${String(own.version)} ${stampOf(layers)}`;
    const cached = this.#cache.get(nodeId);
    if (cached?.stamp === stamp) return cached.delta;
    const wider = layers.slice(0, -1);
    const delta: StateDelta = mapKinds((kind) => itemsOf(own, wider, kind));
    const result = { node_id: nodeId, version: own.version, delta };
    if (this.#cache.size >= CACHED_NODES_MAX) this.#cache.clear();
    this.#cache.set(nodeId, { stamp, delta: result });
    return result;
  }

  /** In how many keys the node differs from its vCluster. */
  deviations(nodeId: ComputeNodeId): number {
    const layers = this.#configs.layers({ Node: nodeId });
    const own = ownLayer(layers);
    if (own === undefined) return 0;
    const wider = layers.slice(0, -1);
    let count = 0;
    for (const cell of own.allCells()) if (deviates(cell, wider)) count += 1;
    return count;
  }

  /** The cells in which a node differs from its vCluster. */
  *deviatingCells(nodeId: ComputeNodeId): Generator<KeyCell, void, undefined> {
    const layers = this.#configs.layers({ Node: nodeId });
    const own = ownLayer(layers);
    if (own === undefined) return;
    const wider = layers.slice(0, -1);
    for (const kind of DELTA_KINDS) {
      for (const cell of own.cells(kind)) if (deviates(cell, wider)) yield cell;
    }
  }
}

function ownLayer(layers: readonly Layer[]): Layer | undefined {
  const last = layers.at(-1);
  return last !== undefined && last.scope !== 'Global' && 'Node' in last.scope ? last : undefined;
}

function deviates(cell: KeyCell, wider: readonly Layer[]): boolean {
  return !cell.isUnset && !sameDeclared(cell.declared, resolveKey(wider, cell.of));
}

const NO_ITEMS: readonly DeltaItem[] = Object.freeze([]);

function itemsOf(own: Layer, wider: readonly Layer[], kind: DeltaKind): readonly DeltaItem[] {
  const cells = own.cells(kind);
  if (cells.length === 0) return NO_ITEMS;
  const items: DeltaItem[] = [];
  for (const cell of cells) {
    if (cell.declared === undefined) continue;
    const { key } = cell.of;
    const item = changeItem(key, resolveKey(wider, cell.of) ?? undefined, cell.declared ?? undefined);
    // What the node removes is told even where its own virtual cluster does not have it: it may boot into another one.
    items.push(item ?? { action: 'Remove', key, previous: null, value: null });
  }
  return items;
}

/** The item that leads from one value of a key to another; undefined where it is absent from both. */
export function changeItem(
  key: string,
  from: EffectiveItem | undefined,
  to: EffectiveItem | undefined,
): DeltaItem | undefined {
  const previousSpec = from?.spec !== undefined && 'fs_type' in from.spec ? { previous_spec: from.spec } : {};
  if (to === undefined) {
    if (from === undefined) return undefined;
    return { action: 'Remove', key, previous: from.value, ...previousSpec, value: null };
  }
  return {
    action: from === undefined ? 'Add' : 'Modify',
    key,
    previous: from?.value ?? null,
    ...previousSpec,
    ...(to.spec === undefined ? {} : { spec: to.spec }),
    value: to.value,
  };
}
