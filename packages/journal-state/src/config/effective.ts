/** Effective configurations: the layers of a scope, merged when they are asked for and kept while they are unchanged. */
import { DELTA_KINDS } from '../types.ts';
import type { DeltaKind, Scope } from '../types.ts';
import type { EffectiveConfig, EffectiveItem } from '../view.ts';
import type { NodeTable } from '../tables/nodes.ts';
import { VersionReader } from './fold.ts';
import type { EntryLog } from '../log/entry-log.ts';
import { compareKeys } from './keys.ts';
import { scopeKey } from './layer.ts';
import type { Declared, KeyCell } from './cell.ts';
import type { Layer } from './layer.ts';
import type { ScopeTable } from './scopes.ts';

const CACHED_SCOPES_MAX = 64;

type KindConfig = ReadonlyMap<string, EffectiveItem>;

interface CachedConfig {
  /** Which layers, and in which state, `config` was merged from. */
  readonly stamp: string;
  readonly config: EffectiveConfig;
}

const NOTHING: KindConfig = new Map();

/** What a cell declares at the time in question. */
type Reading = (cell: KeyCell) => Declared;

const now: Reading = (cell) => cell.declared;

export class EffectiveConfigs {
  readonly #entries: EntryLog;
  readonly #scopes: ScopeTable;
  readonly #nodes: NodeTable;
  /** Least recently used first. */
  readonly #cache = new Map<string, CachedConfig>();

  constructor(of: { readonly entries: EntryLog; readonly scopes: ScopeTable; readonly nodes: NodeTable }) {
    this.#entries = of.entries;
    this.#scopes = of.scopes;
    this.#nodes = of.nodes;
  }

  /** The layers that make up a scope's configuration now, widest first. */
  layers(scope: Scope): readonly Layer[] {
    const assigned = scope !== 'Global' && 'Node' in scope ? this.#nodes.assignment(scope.Node) : null;
    return this.#layers(scope, assigned);
  }

  /** The same as of right after an entry. */
  layersAt(scope: Scope, sequence: number): readonly Layer[] {
    const isNode = scope !== 'Global' && 'Node' in scope;
    return this.#layers(scope, isNode ? this.#nodes.assignmentAt(scope.Node, sequence) : null);
  }

  #layers(scope: Scope, assigned: string | null): readonly Layer[] {
    const layers = [this.#scopes.global];
    if (scope === 'Global') return layers;
    const vcluster = 'VCluster' in scope ? scope.VCluster : assigned;
    const outer = vcluster === null ? undefined : this.#scopes.findVCluster(vcluster);
    if (outer !== undefined) layers.push(outer);
    const own = 'Node' in scope ? this.#scopes.findNode(scope.Node) : undefined;
    if (own !== undefined) layers.push(own);
    return layers;
  }

  /** The scope's effective configuration now. */
  get(scope: Scope): EffectiveConfig {
    const layers = this.layers(scope);
    const stamp = stampOf(layers);
    const key = scopeKey(scope);
    const cached = this.#cache.get(key);
    const config = cached?.stamp === stamp ? cached.config : mapKinds((kind) => mergeKind(layers, kind, now));
    this.#cache.delete(key);
    this.#cache.set(key, { stamp, config });
    if (this.#cache.size > CACHED_SCOPES_MAX) this.#forgetOldest();
    return config;
  }

  /** The scope's effective configuration right after entry `sequence`. */
  getAt(scope: Scope, sequence: number): EffectiveConfig {
    const layers = this.layersAt(scope, sequence);
    const reader = new VersionReader(this.#entries);
    return mapKinds((kind) => mergeKind(layers, kind, (cell) => reader.read(cell, cell.versionAt(sequence))));
  }

  #forgetOldest(): void {
    for (const oldest of this.#cache.keys()) {
      this.#cache.delete(oldest);
      return;
    }
  }
}

/** Equal stamps mean that the same layers declare the same. */
export function stampOf(layers: readonly Layer[]): string {
  return layers.map((layer) => `${String(layer.number)}:${String(layer.revision)}`).join(' ');
}

/** A record of the seven kinds. */
export function mapKinds<T>(of: (kind: DeltaKind) => T): { readonly [Kind in DeltaKind]: T } {
  return {
    mounts: of('mounts'),
    files: of('files'),
    network: of('network'),
    services: of('services'),
    kernel: of('kernel'),
    packages: of('packages'),
    gpu: of('gpu'),
  };
}

/** Merges sorted layers: for each key the innermost layer that says anything decides. */
function mergeKind(layers: readonly Layer[], kind: DeltaKind, read: Reading): KindConfig {
  const lists = layers.map((layer) => layer.cells(kind)).filter((cells) => cells.length > 0);
  if (lists.length === 0) return NOTHING;
  const merged = new Map<string, EffectiveItem>();
  const heads = lists.map(() => 0);
  for (;;) {
    const key = smallestKey(lists, heads);
    if (key === undefined) return merged;
    let decided: Declared = undefined;
    for (let at = lists.length - 1; at >= 0; at -= 1) {
      const head = heads[at] ?? 0;
      const cell = lists[at]?.[head];
      if (cell === undefined || cell.of.key !== key) continue;
      heads[at] = head + 1;
      if (decided === undefined) decided = read(cell);
    }
    if (decided !== undefined && decided !== null) merged.set(key, decided);
  }
}

function smallestKey(lists: readonly (readonly KeyCell[])[], heads: readonly number[]): string | undefined {
  let smallest: string | undefined;
  for (let at = 0; at < lists.length; at += 1) {
    const key = lists[at]?.[heads[at] ?? 0]?.of.key;
    if (key !== undefined && (smallest === undefined || compareKeys(key, smallest) < 0)) smallest = key;
  }
  return smallest;
}

/** Number of keys of all kinds. */
export function configSize(config: EffectiveConfig): number {
  let size = 0;
  for (const kind of DELTA_KINDS) size += config[kind].size;
  return size;
}
