/**
 * A second, naive implementation of what a journal's entries mean, to hold the clever one against: it keeps the whole
 * configuration after every entry and answers every question by looking through all of it.
 */
import { scopeKey } from '../config/layer.ts';
import { DELTA_KINDS } from '../types.ts';
import type { ConfigEntry, DeltaItem, Scope } from '../types.ts';
import type { JournalState } from '../journal-state.ts';
import { entrySeq } from '../parse/fields.ts';

interface ModelVersion {
  readonly seq: number;
  readonly setBy: number;
  /** null: declared absent; undefined: nothing declared. */
  readonly item: Pick<DeltaItem, 'value' | 'spec'> | null | undefined;
}

type ModelLayer = ReadonlyMap<string, ModelVersion>;
type ModelLayers = ReadonlyMap<string, ModelLayer>;

/** A configuration as plain data: `kernel/vm.swappiness` to its value and attributes. */
export type PlainConfig = Readonly<
  Record<string, { readonly value: string | null; readonly spec?: DeltaItem['spec'] }>
>;

const EMPTY: ModelLayer = new Map();

export class ReferenceModel {
  readonly #after: ModelLayers[] = [];
  readonly #endedBy = new Map<number, number>();
  readonly #entries: ConfigEntry[] = [];
  readonly #assignments: { readonly node: string; readonly vcluster: string | null; readonly at: number }[] =
    [];

  /** To be told of every assignment that was accepted. */
  assign(node: string, vcluster: string | null): void {
    this.#assignments.push({ node, vcluster, at: this.#entries.length });
  }

  /** To be told of every entry that was appended. */
  append(entry: ConfigEntry): void {
    const layers = new Map(this.#after.at(-1) ?? []);
    const key = scopeKey(entry.scope);
    const layer = new Map(layers.get(key) ?? EMPTY);
    layers.set(key, layer);
    this.#entries.push(entry);
    if (entry.entry_type === 'Rollback') {
      if (entry.expires !== undefined) this.#expire(entry, layer);
      else this.#rollBack(entry, layers, layer);
    } else if (['Commit', 'AutoConverge', 'BootConfig'].includes(entry.entry_type)) {
      for (const kind of DELTA_KINDS) {
        for (const item of entry.state_delta?.[kind] ?? []) {
          const declared = item.action === 'Remove' ? null : plain(item);
          layer.set(`${kind}/${item.key}`, { seq: entry.sequence, setBy: entry.sequence, item: declared });
        }
      }
    }
    this.#after.push(layers);
  }

  #rollBack(entry: ConfigEntry, layers: Map<string, ModelLayer>, layer: Map<string, ModelVersion>): void {
    const target = entry.parent ?? 0;
    const then = this.#after[target]?.get(scopeKey(entry.scope)) ?? EMPTY;
    for (const key of layer.keys()) {
      const old = then.get(key) ?? { seq: -1, setBy: -1, item: undefined };
      if (old.setBy !== layer.get(key)?.setBy) layer.set(key, { ...old, seq: entry.sequence });
    }
    const wanted = this.effective(entry.scope, target);
    const have = this.#merge(layers, entry.scope, entry.sequence);
    for (const key of new Set([...wanted.keys(), ...have.keys()])) {
      const want = wanted.get(key);
      if (same(want?.item, have.get(key)?.item)) continue;
      layer.set(key, { seq: entry.sequence, setBy: want?.setBy ?? entry.sequence, item: want?.item ?? null });
    }
  }

  #expire(entry: ConfigEntry, layer: Map<string, ModelVersion>): void {
    const expired = entry.expires ?? 0;
    this.#endedBy.set(expired, entry.sequence);
    for (const [key, version] of layer) {
      if (version.setBy !== expired) continue;
      const standing = this.#newestStanding(scopeKey(entry.scope), key);
      layer.set(key, { setBy: standing?.setBy ?? -1, item: standing?.item, seq: entry.sequence });
    }
  }

  #newestStanding(scope: string, key: string): ModelVersion | undefined {
    for (const layers of this.#after.toReversed()) {
      const version = layers.get(scope)?.get(key);
      if (version === undefined) return undefined;
      const ended = this.#endedBy.get(version.setBy);
      if (ended === undefined || version.seq > ended) return version;
    }
    return undefined;
  }

  #merge(layers: ModelLayers, scope: Scope, sequence: number): Map<string, ModelVersion> {
    const merged = new Map<string, ModelVersion>();
    for (const name of this.#layersOf(scope, sequence)) {
      for (const [key, version] of layers.get(name) ?? EMPTY) {
        if (version.item === null) merged.delete(key);
        else if (version.item !== undefined) merged.set(key, version);
      }
    }
    return merged;
  }

  #layersOf(scope: Scope, sequence: number): readonly string[] {
    if (scope === 'Global') return ['global'];
    if ('VCluster' in scope) return ['global', scopeKey(scope)];
    const assigned =
      this.#assignments.findLast(({ node, at }) => node === scope.Node && at <= sequence)?.vcluster ?? null;
    return ['global', ...(assigned === null ? [] : [scopeKey({ VCluster: assigned })]), scopeKey(scope)];
  }

  /** A scope's effective configuration right after entry `sequence`. */
  effective(scope: Scope, sequence: number): ReadonlyMap<string, ModelVersion> {
    return this.#merge(this.#after[sequence] ?? new Map(), scope, sequence);
  }

  /** The same as plain data, to compare with `plainConfigAt`. */
  plain(scope: Scope, sequence: number): PlainConfig {
    const sorted = [...this.effective(scope, sequence)].sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted.map(([key, { item }]) => [key, item ?? { value: null }]));
  }
}

function plain(item: DeltaItem): Pick<DeltaItem, 'value' | 'spec'> {
  return item.spec === undefined ? { value: item.value } : { value: item.value, spec: item.spec };
}

function same(a: ModelVersion['item'], b: ModelVersion['item']): boolean {
  return JSON.stringify(a ?? null) === JSON.stringify(b ?? null);
}

/** A journal's effective configuration right after an entry, as plain data in order of kind and key. */
export function plainConfigAt(journal: JournalState, scope: Scope, sequence: number): PlainConfig {
  const config = journal.effectiveConfigAt(scope, entrySeq(sequence));
  const lines: [string, PlainConfig[string]][] = [];
  for (const kind of DELTA_KINDS) {
    for (const [key, { value, spec }] of config[kind]) {
      lines.push([`${kind}/${key}`, spec === undefined ? { value } : { value, spec }]);
    }
  }
  return Object.fromEntries(lines.sort(([a], [b]) => (a < b ? -1 : 1)));
}
