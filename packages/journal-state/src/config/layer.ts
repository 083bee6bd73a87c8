import { lowerBound } from '../log/growable.ts';
import { extendDigest, recordDigest } from '../tables/table-digest.ts';
import type { RecordDigest, TableDigest } from '../tables/table-digest.ts';
import type { DeltaKind, Scope } from '../types.ts';
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

/** One key of one scope: what it says now, and when it said what before. */
export class KeyCell {
  readonly of: ConfigKey;
  readonly layer: Layer;
  seq = UNSET;
  setBy = UNSET;
  /** See {@link Declared}. */
  declared: Declared = undefined;
  /** Earlier versions, ascending, in turn `seq` and `setBy` of each. Only keys that changed have any. */
  #older: { readonly seqs: number[]; readonly setBys: number[] } | undefined = undefined;

  constructor(layer: Layer, of: ConfigKey) {
    this.layer = layer;
    this.of = of;
  }

  set(version: KeyVersion, declared: Declared): void {
    if (this.seq !== UNSET) {
      this.#older ??= { seqs: [], setBys: [] };
      this.#older.seqs.push(this.seq);
      this.#older.setBys.push(this.setBy);
    }
    this.seq = version.seq;
    this.setBy = version.setBy;
    this.declared = declared;
  }

  /** The version in force right after `sequence`; undefined if the key was not yet known. */
  versionAt(sequence: number): KeyVersion | undefined {
    if (this.seq <= sequence) return this;
    const at = this.#older === undefined ? -1 : lowerBound(this.#older.seqs, sequence + 1) - 1;
    return at < 0 ? undefined : this.#olderAt(at);
  }

  /** All versions, newest first. */
  *versions(): Generator<KeyVersion, void, undefined> {
    yield { seq: this.seq, setBy: this.setBy };
    for (let at = (this.#older?.seqs.length ?? 0) - 1; at >= 0; at -= 1) yield this.#olderAt(at);
  }

  #olderAt(at: number): KeyVersion {
    return { seq: this.#older?.seqs[at] ?? UNSET, setBy: this.#older?.setBys[at] ?? UNSET };
  }
}

/** Up to this many cells a scan is as fast as a map, and much smaller: most nodes declare a handful of keys. */
const SCANNED_CELLS_MAX = 12;

const NO_CELLS: readonly KeyCell[] = Object.freeze([]);

/** What one scope declares, by kind and key, with its past. */
export class Layer {
  readonly scope: Scope;
  /** Number of the scope, by the order in which scopes appeared. */
  readonly number: number;
  /** Ascending sequences of all entries of this scope. */
  readonly sequences: number[] = [];
  /** Sequence of the newest entry that changes this scope's configuration; -1 where there is none. */
  version = UNSET;
  /** Counts changes: equal counts mean an unchanged configuration. */
  revision = 0;
  readonly #cells: KeyCell[] = [];
  #byKey: Map<ConfigKey, KeyCell> | undefined = undefined;
  /** Cells of a kind by ascending key, as far as they were asked for since the last new cell. */
  #sorted: Map<DeltaKind, readonly KeyCell[]> | undefined = undefined;
  readonly #digest: RecordDigest;
  readonly #tableDigest: TableDigest;

  constructor(scope: Scope, number: number, tableDigest: TableDigest) {
    this.scope = scope;
    this.number = number;
    this.#digest = recordDigest(scopeKey(scope));
    this.#tableDigest = tableDigest;
  }

  cell(of: ConfigKey): KeyCell | undefined {
    if (this.#byKey !== undefined) return this.#byKey.get(of);
    for (const cell of this.#cells) if (cell.of === of) return cell;
    return undefined;
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
    if (this.#byKey !== undefined) this.#byKey.set(of, cell);
    else if (this.#cells.length > SCANNED_CELLS_MAX)
      this.#byKey = new Map(this.#cells.map((known) => [known.of, known]));
    of.cells.push(cell);
    return cell;
  }

  #digestOf(cell: KeyCell): RecordDigest {
    const { kind, key } = cell.of;
    return extendDigest(recordDigest(key, recordDigest(kind, this.#digest)), cell.seq, cell.setBy);
  }
}

/** A text that is different for different scopes. */
export function scopeKey(scope: Scope): string {
  if (scope === 'Global') return 'global';
  return 'VCluster' in scope ? `vcluster/${scope.VCluster}` : `node/${scope.Node}`;
}
