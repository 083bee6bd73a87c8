import { detachedScope } from '../parse/scope.ts';
import { TableDigest } from '../tables/table-digest.ts';
import type { ComputeNodeId, Scope, VClusterId } from '../types.ts';
import { KeyTable } from './keys.ts';
import { Layer } from './layer.ts';

/** All scopes that an entry ever named, each with its layer of the configuration. */
export class ScopeTable {
  /** Over what every key of every scope is now. */
  readonly digest = new TableDigest();
  readonly keys = new KeyTable();
  readonly #layers: Layer[] = [];
  readonly #vclusters = new Map<VClusterId, Layer>();
  readonly #nodes = new Map<ComputeNodeId, Layer>();
  readonly global: Layer;

  constructor() {
    this.global = this.#create('Global');
  }

  /** Number of scopes; the number of the next one. */
  get size(): number {
    return this.#layers.length;
  }

  /** The scope's layer, created at its first mention. */
  layer(scope: Scope): Layer {
    return this.find(scope) ?? this.#create(scope);
  }

  find(scope: Scope): Layer | undefined {
    if (scope === 'Global') return this.global;
    return 'VCluster' in scope ? this.#vclusters.get(scope.VCluster) : this.#nodes.get(scope.Node);
  }

  findVCluster(vclusterId: VClusterId): Layer | undefined {
    return this.#vclusters.get(vclusterId);
  }

  findNode(nodeId: ComputeNodeId): Layer | undefined {
    return this.#nodes.get(nodeId);
  }

  vclusterIds(): Iterable<VClusterId> {
    return this.#vclusters.keys();
  }

  nodeIds(): Iterable<ComputeNodeId> {
    return this.#nodes.keys();
  }

  #create(named: Scope): Layer {
    const scope = detachedScope(named);
    const layer = new Layer(scope, this.#layers.length, this.digest);
    this.#layers.push(layer);
    if (scope !== 'Global') {
      if ('VCluster' in scope) this.#vclusters.set(scope.VCluster, layer);
      else this.#nodes.set(scope.Node, layer);
    }
    return layer;
  }
}
