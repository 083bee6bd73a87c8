import { GrowableUint32 } from '../log/growable.ts';
import { extendDigest, recordDigest } from '../tables/table-digest.ts';
import type { RecordDigest, TableDigest } from '../tables/table-digest.ts';
import type { DeltaKind, Scope } from '../types.ts';
import { KeyCell, UNSET } from './cell.ts';
import type { ConfigKey, Declared, KeyVersion } from './cell.ts';
import { compareKeys } from './keys.ts';

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
    const cell = new KeyCell(this.scope, of);
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
