/**
 * How an entry changes the configuration: the fold of which every scope's configuration is the result.
 *
 * Commit, AutoConverge and BootConfig set and remove keys in their scope. A Rollback to a parent makes the scope's
 * *effective* configuration what it was right after the parent: its own keys go back, and a key in which a wider scope
 * has changed since is held at its old value here. A Rollback that ends a ttl takes back what the entry that ran out
 * still holds.
 */
import { assert } from '../errors.ts';
import type { EntryLog } from '../log/entry-log.ts';
import { changesConfiguration } from '../parse/entry.ts';
import { entrySeq } from '../parse/fields.ts';
import type { NodeTable } from '../tables/nodes.ts';
import { DELTA_KINDS } from '../types.ts';
import type { ConfigEntry, DeltaItem, DeltaKind, EntrySeq, StateDelta } from '../types.ts';
import type { EffectiveItem } from '../view.ts';
import type { ConfigKey } from './cell.ts';
import { UNSET } from './cell.ts';
import type { Declared, KeyCell, KeyVersion } from './cell.ts';
import type { Layer } from './layer.ts';
import type { ScopeTable } from './scopes.ts';

/** What an item of entry `seq` declares. */
export function declaredBy(item: DeltaItem, seq: EntrySeq): EffectiveItem | null {
  if (item.action === 'Remove') return null;
  return item.spec === undefined
    ? { set_by: seq, value: item.value }
    : { set_by: seq, spec: item.spec, value: item.value };
}

/** Finds the items that earlier versions of keys refer to. Holds the entries it parsed: make one for a question. */
export class VersionReader {
  readonly #entries: EntryLog;
  readonly #items = new Map<number, ReadonlyMap<string, DeltaItem> | undefined>();

  constructor(entries: EntryLog) {
    this.#entries = entries;
  }

  /** What the cell said at one of its versions. */
  read(cell: KeyCell, version: KeyVersion | undefined): Declared {
    if (version === undefined || version.setBy === UNSET) return undefined;
    if (version.seq === cell.seq) return cell.declared;
    const item = this.#itemsOf(version.setBy)?.get(`${cell.of.kind}/${cell.of.key}`);
    // A rollback that holds a key absent against a wider scope has no item for it.
    return item === undefined ? null : declaredBy(item, entrySeq(version.setBy));
  }

  #itemsOf(sequence: number): ReadonlyMap<string, DeltaItem> | undefined {
    if (this.#items.has(sequence)) return this.#items.get(sequence);
    const entry = this.#entries.get(sequence);
    const items = entry.entry_type === 'Rollback' ? undefined : indexItems(entry.state_delta);
    this.#items.set(sequence, items);
    return items;
  }
}

function indexItems(delta: StateDelta | null): ReadonlyMap<string, DeltaItem> {
  const items = new Map<string, DeltaItem>();
  if (delta === null) return items;
  for (const kind of DELTA_KINDS) for (const item of delta[kind]) items.set(`${kind}/${item.key}`, item);
  return items;
}

/** True where both are the same to a node: value and attributes, whoever set them. */
export function sameDeclared(a: Declared, b: Declared): boolean {
  if (a === b) return true;
  if (a === null || a === undefined || b === null || b === undefined) return (a ?? null) === (b ?? null);
  return a.value === b.value && sameSpec(a.spec, b.spec);
}

function sameSpec(a: DeltaItem['spec'], b: DeltaItem['spec']): boolean {
  if (a === b) return true;
  return a !== undefined && b !== undefined && JSON.stringify(a) === JSON.stringify(b);
}

/** What the innermost of the layers that says anything about the key says now; `null` and undefined both mean absent. */
export function resolveKey(layers: readonly Layer[], of: ConfigKey): Declared {
  for (let at = layers.length - 1; at >= 0; at -= 1) {
    const declared = layers[at]?.cell(of)?.declared;
    if (declared !== undefined) return declared;
  }
  return undefined;
}

/** The same as of right after `sequence`. */
export function resolveKeyAt(
  layers: readonly Layer[],
  of: ConfigKey,
  sequence: number,
  reader: VersionReader,
): Declared {
  for (let at = layers.length - 1; at >= 0; at -= 1) {
    const cell = layers[at]?.cell(of);
    const declared = cell === undefined ? undefined : reader.read(cell, cell.versionAt(sequence));
    if (declared !== undefined) return declared;
  }
  return undefined;
}

/** What of an entry its part in the configuration follows from. */
export type FoldEntry = Pick<
  ConfigEntry,
  'sequence' | 'entry_type' | 'scope' | 'state_delta' | 'parent' | 'expires'
>;

export class ConfigFold {
  readonly #entries: EntryLog;
  readonly #scopes: ScopeTable;
  readonly #nodes: NodeTable;
  /** Entries whose ttl was ended, and the entry that ended it. */
  readonly #endedBy = new Map<number, number>();

  constructor(entries: EntryLog, scopes: ScopeTable, nodes: NodeTable) {
    this.#entries = entries;
    this.#scopes = scopes;
    this.#nodes = nodes;
  }

  /** The Rollback that ended this entry's ttl. */
  endedBy(sequence: number): EntrySeq | undefined {
    const ended = this.#endedBy.get(sequence);
    return ended === undefined ? undefined : entrySeq(ended);
  }

  /** Folds an entry, already in the log, into its scope's layer. */
  apply(entry: FoldEntry, layer: Layer): void {
    if (!changesConfiguration(entry.entry_type)) return;
    if (entry.entry_type !== 'Rollback') this.#declare(entry, layer);
    else if (entry.expires !== undefined) this.#expire(entry, entry.expires, layer);
    else this.#rollBack(entry, layer);
    layer.version = entry.sequence;
  }

  #declare(entry: FoldEntry, layer: Layer): void {
    const delta = entry.state_delta;
    if (delta === null) return;
    const { sequence } = entry;
    // Field by field: to look seven names up, for each of a million entries, takes longer than what is found there.
    this.#declareItems('mounts', delta.mounts, sequence, layer);
    this.#declareItems('files', delta.files, sequence, layer);
    this.#declareItems('network', delta.network, sequence, layer);
    this.#declareItems('services', delta.services, sequence, layer);
    this.#declareItems('kernel', delta.kernel, sequence, layer);
    this.#declareItems('packages', delta.packages, sequence, layer);
    this.#declareItems('gpu', delta.gpu, sequence, layer);
  }

  #declareItems(kind: DeltaKind, items: readonly DeltaItem[], sequence: EntrySeq, layer: Layer): void {
    // Most kinds have none, and an iterator for each of them is what a million entries would pay for.
    if (items.length === 0) return;
    const version = { seq: sequence, setBy: sequence };
    for (const item of items) {
      layer.set(this.#scopes.keys.intern(kind, item.key), version, declaredBy(item, sequence));
    }
  }

  // -- rollback -------------------------------------------------------------------------------------------------

  #rollBack(entry: FoldEntry, layer: Layer): void {
    const target = entry.parent;
    assert(target !== null, 'a rollback names what to go back to');
    const reader = new VersionReader(this.#entries);
    for (const cell of layer.allCells()) {
      if (cell.seq <= target) continue;
      const version = cell.versionAt(target);
      const setBy = version?.setBy ?? UNSET;
      if (setBy !== cell.setBy)
        layer.set(cell.of, { seq: entry.sequence, setBy }, reader.read(cell, version));
    }
    if (layer.scope !== 'Global') this.#holdAgainstWiderScopes(entry, target, layer, reader);
  }

  /** Where wider scopes have changed since `target`, the rolled back scope keeps what was in effect then. */
  #holdAgainstWiderScopes(entry: FoldEntry, target: number, layer: Layer, reader: VersionReader): void {
    const then = this.#widerLayers(layer, target);
    const now = this.#widerLayers(layer, entry.sequence);
    const reassigned = then.at(-1) !== now.at(-1);
    for (const wider of new Set([...then, ...now])) {
      for (const { of, seq } of wider.allCells()) {
        if (seq <= target && !reassigned) continue;
        if (layer.cell(of)?.isUnset === false) continue;
        const wanted = resolveKeyAt(then, of, target, reader);
        if (sameDeclared(wanted, resolveKey(now, of))) continue;
        layer.set(of, { seq: entry.sequence, setBy: wanted?.set_by ?? entry.sequence }, wanted ?? null);
      }
    }
  }

  /** The layers outside of this one, widest first, as they applied right after `sequence`. */
  #widerLayers(layer: Layer, sequence: number): readonly Layer[] {
    if (layer.scope === 'Global') return [];
    if ('VCluster' in layer.scope) return [this.#scopes.global];
    const vcluster = this.#nodes.assignmentAt(layer.scope.Node, sequence);
    const outer = vcluster === null ? undefined : this.#scopes.findVCluster(vcluster);
    return outer === undefined ? [this.#scopes.global] : [this.#scopes.global, outer];
  }

  // -- the end of a ttl -----------------------------------------------------------------------------------------

  #expire(entry: FoldEntry, expired: number, layer: Layer): void {
    this.#endedBy.set(expired, entry.sequence);
    const delta = this.#entries.get(expired).state_delta;
    if (delta === null) return;
    const reader = new VersionReader(this.#entries);
    for (const kind of DELTA_KINDS) {
      for (const { key } of delta[kind]) {
        const cell = layer.cell(this.#scopes.keys.intern(kind, key));
        if (cell === undefined || cell.setBy !== expired) continue;
        const previous = this.#newestStanding(cell);
        const version = { seq: entry.sequence, setBy: previous?.setBy ?? UNSET };
        layer.set(cell.of, version, reader.read(cell, previous));
      }
    }
  }

  /** The newest version that no ended ttl has made void. */
  #newestStanding(cell: KeyCell): KeyVersion | undefined {
    for (const version of cell.versions()) {
      const ended = this.#endedBy.get(version.setBy);
      if (ended === undefined || version.seq > ended) return version;
    }
    return undefined;
  }
}
