import { GrowableUint32 } from '../log/growable.ts';
import { entrySeq } from '../parse/fields.ts';
import { extendDigest, recordDigest } from '../tables/table-digest.ts';
import type { RecordDigest, TableDigest } from '../tables/table-digest.ts';
import type { DeltaItem, DeltaKind, Scope } from '../types.ts';
import type { EffectiveItem } from '../view.ts';
import { compareKeys } from './keys.ts';
import type { ConfigKey } from './keys.ts';

/** `setBy` of a version in which the scope says nothing about the key. */
export const UNSET = -1;

/**
 * What a scope says about a key. `seq` is the entry that made it so; `setBy` the entry whose item it is, which differs
 * where a rollback brought an older item back; -1 where the scope says nothing.
 */
export interface KeyVersion {
  readonly seq: number;
  readonly setBy: number;
}

/** What a scope says about a key, in full: an item, or that the key is removed (`null`), or nothing (`undefined`). */
export type Declared = EffectiveItem | null | undefined;

/** An item as it is kept: a plain value, or one with attributes; null: declared absent; undefined: nothing is declared. */
type Held = string | { readonly value: string | null; readonly spec: DeltaItem['spec'] } | null | undefined;

function hold(declared: Declared): Held {
  if (declared === null || declared === undefined) return declared;
  const { value, spec } = declared;
  return spec === undefined && value !== null ? value : { value, spec };
}

/**
 * One key of one scope: what it says now, and when it said what before. There may be millions, so they are small:
 * what a cell said before is read from the entries that said it.
 */
export class KeyCell {
  readonly of: ConfigKey;
  readonly layer: Layer;
  seq = UNSET;
  setBy = UNSET;
  #held: Held = undefined;
  /** Earlier versions, ascending: in turn `seq` and `setBy` of each. Only keys that changed have any. */
  #older: number[] | undefined = undefined;

  constructor(layer: Layer, of: ConfigKey) {
    this.layer = layer;
    this.of = of;
  }

  /** What the scope says about the key now. */
  get declared(): Declared {
    const held = this.#held;
    if (held === null || held === undefined) return held;
    const set_by = entrySeq(this.setBy);
    if (typeof held === 'string') return { set_by, value: held };
    return held.spec === undefined
      ? { set_by, value: held.value }
      : { set_by, spec: held.spec, value: held.value };
  }

  get isUnset(): boolean {
    return this.#held === undefined;
  }

  set(version: KeyVersion, declared: Declared): void {
    if (this.seq !== UNSET) {
      if (this.#older === undefined) this.#older = [this.seq, this.setBy];
      else this.#older.push(this.seq, this.setBy);
    }
    this.seq = version.seq;
    this.setBy = version.setBy;
    this.#held = hold(declared);
  }

  /** The version in force right after `sequence`; undefined if the key was not yet known. */
  versionAt(sequence: number): KeyVersion | undefined {
    if (this.seq <= sequence) return this;
    let low = 0;
    let high = this.#olderCount;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#olderAt(middle).seq <= sequence) low = middle + 1;
      else high = middle;
    }
    return low === 0 ? undefined : this.#olderAt(low - 1);
  }

  /** All versions, newest first. */
  *versions(): Generator<KeyVersion, void, undefined> {
    yield { seq: this.seq, setBy: this.setBy };
    for (let at = this.#olderCount - 1; at >= 0; at -= 1) yield this.#olderAt(at);
  }

  get #olderCount(): number {
    return (this.#older?.length ?? 0) / 2;
  }

  #olderAt(at: number): KeyVersion {
    return { seq: this.#older?.[2 * at] ?? UNSET, setBy: this.#older?.[2 * at + 1] ?? UNSET };
  }
}

/** Up to this many cells a scan is as fast as a map, and much smaller: most nodes declare a handful of keys. */
const SCANNED_CELLS_MAX = 16;

const NO_CELLS: readonly KeyCell[] = Object.freeze([]);

/** What one scope declares, by kind and key, with its past. */
export class Layer {
  readonly scope: Scope;
  /** Number of the scope, by the order in which scopes appeared. */
  readonly number: number;
  /** Sequence of the newest entry of this scope; -1 where there is none. The earlier ones are linked from it. */
  newest = UNSET;
  /** Ascending sequences of all entries, kept for wide scopes only: a node has few, which are found by their links. */
  readonly sequences: GrowableUint32 | undefined;
  /** The node's number in the table of nodes, once it is known there; -1 until then, and for wider scopes. */
  nodeNumber = UNSET;
  /** Sequence of the newest entry that changes this scope's configuration; -1 where there is none. */
  version = UNSET;
  /** Counts changes: equal counts mean an unchanged configuration. */
  revision = 0;
  readonly #cells: KeyCell[] = [];
  /** The keys of the cells, at the same positions: a scan that touched every cell would touch as many cache lines. */
  readonly #keys: ConfigKey[] = [];
  #byKey: Map<ConfigKey, KeyCell> | undefined = undefined;
  /** Cells of a kind by ascending key, as far as they were asked for since the last new cell. */
  #sorted: Map<DeltaKind, readonly KeyCell[]> | undefined = undefined;
  readonly #digest: RecordDigest;
  readonly #tableDigest: TableDigest;

  constructor(scope: Scope, number: number, tableDigest: TableDigest) {
    this.scope = scope;
    this.number = number;
    this.sequences = scope === 'Global' || 'VCluster' in scope ? new GrowableUint32() : undefined;
    this.#digest = recordDigest(scopeKey(scope));
    this.#tableDigest = tableDigest;
  }

  cell(of: ConfigKey): KeyCell | undefined {
    if (this.#byKey !== undefined) return this.#byKey.get(of);
    const at = this.#keys.indexOf(of);
    return at < 0 ? undefined : this.#cells[at];
  }

  /** All cells of a kind by ascending key, also those that are unset. */
  cells(kind: DeltaKind): readonly KeyCell[] {
    if (this.#cells.length === 0) return NO_CELLS;
    if (this.#byKey === undefined) return this.#sort(kind);
    this.#sorted ??= new Map();
    let sorted = this.#sorted.get(kind);
    if (sorted === undefined) this.#sorted.set(kind, (sorted = this.#sort(kind)));
    return sorted;
  }

  #sort(kind: DeltaKind): readonly KeyCell[] {
    const cells = this.#cells.filter((cell) => cell.of.kind === kind);
    if (cells.length > 1) cells.sort((a, b) => compareKeys(a.of.key, b.of.key));
    return cells;
  }

  /** All cells, in the order of their first mention. */
  allCells(): readonly KeyCell[] {
    return this.#cells;
  }

  /** Sets what the scope says about a key. */
  set(of: ConfigKey, version: KeyVersion, declared: Declared): void {
    let cell = this.cell(of);
    if (cell === undefined) {
      cell = this.#add(of);
    } else {
      this.#tableDigest.remove(this.#digestOf(cell));
    }
    cell.set(version, declared);
    this.#tableDigest.add(this.#digestOf(cell));
    this.revision += 1;
  }

  #add(of: ConfigKey): KeyCell {
    const cell = new KeyCell(this, of);
    this.#cells.push(cell);
    this.#sorted = undefined;
    if (this.#byKey !== undefined) {
      this.#byKey.set(of, cell);
    } else if (this.#keys.push(of) > SCANNED_CELLS_MAX) {
      this.#byKey = new Map(this.#cells.map((known) => [known.of, known]));
      this.#keys.length = 0;
    }
    of.cells.push(cell);
    return cell;
  }

  #digestOf(cell: KeyCell): RecordDigest {
    const { high, low } = cell.of.digest;
    return extendDigest(extendDigest(this.#digest, high, low), cell.seq, cell.setBy);
  }
}

/** A text that is different for different scopes. */
export function scopeKey(scope: Scope): string {
  if (scope === 'Global') return 'global';
  return 'VCluster' in scope ? `vcluster/${scope.VCluster}` : `node/${scope.Node}`;
}
