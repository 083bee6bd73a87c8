import { lowerBound } from '../log/growable.ts';
import { TableDigest, extendDigest, recordDigest } from '../tables/table-digest.ts';
import type { RecordDigest } from '../tables/table-digest.ts';
import { DELTA_KINDS } from '../types.ts';
import type { DeltaKind, Scope } from '../types.ts';
import type { EffectiveItem } from '../view.ts';

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
  readonly kind: DeltaKind;
  readonly key: string;
  readonly layer: Layer;
  seq = UNSET;
  setBy = UNSET;
  /** See {@link Declared}. */
  declared: Declared = undefined;
  /** `seq` and `setBy` of earlier versions, ascending. Only keys that changed have any. */
  #olderSeqs: number[] | undefined = undefined;
  #olderSetBys: number[] | undefined = undefined;
  readonly #digest: RecordDigest;

  constructor(layer: Layer, kind: DeltaKind, key: string) {
    this.layer = layer;
    this.kind = kind;
    this.key = key;
    this.#digest = recordDigest(key, recordDigest(kind, layer.digest));
  }

  set(seq: number, setBy: number, declared: Declared): void {
    if (this.seq !== UNSET) {
      (this.#olderSeqs ??= []).push(this.seq);
      (this.#olderSetBys ??= []).push(this.setBy);
    }
    this.seq = seq;
    this.setBy = setBy;
    this.declared = declared;
  }

  /** The version in force right after `sequence`; undefined if the key was not yet known. */
  versionAt(sequence: number): KeyVersion | undefined {
    if (this.seq <= sequence) return this;
    const at = this.#olderSeqs === undefined ? -1 : lowerBound(this.#olderSeqs, sequence + 1) - 1;
    return at < 0 ? undefined : this.#older(at);
  }

  /** All versions, newest first. */
  *versions(): Generator<KeyVersion, void, undefined> {
    yield { seq: this.seq, setBy: this.setBy };
    for (let at = (this.#olderSeqs?.length ?? 0) - 1; at >= 0; at -= 1) yield this.#older(at);
  }

  #older(at: number): KeyVersion {
    return { seq: this.#olderSeqs?.[at] ?? UNSET, setBy: this.#olderSetBys?.[at] ?? UNSET };
  }

  digest(): RecordDigest {
    return extendDigest(this.#digest, this.seq, this.setBy);
  }
}

const KIND_NUMBERS: Readonly<Record<DeltaKind, number>> = {
  mounts: 0,
  files: 1,
  network: 2,
  services: 3,
  kernel: 4,
  packages: 5,
  gpu: 6,
};

interface KindLayer {
  readonly cells: Map<string, KeyCell>;
  /** The cells by key; undefined after one was added. */
  sorted: readonly KeyCell[] | undefined;
  /** Counts changes. */
  revision: number;
}

const NO_CELLS: readonly KeyCell[] = Object.freeze([]);

/** What one scope declares, by kind and key, with its past. */
export class Layer {
  readonly scope: Scope;
  /** Number of the scope, by the order in which scopes appeared. */
  readonly number: number;
  readonly digest: RecordDigest;
  /** Ascending sequences of all entries of this scope. */
  readonly sequences: number[] = [];
  /** Sequence of the newest entry that changes this scope's configuration; -1 where there is none. */
  version = UNSET;
  /** Counts the changes of all kinds. */
  revisions = 0;
  readonly #kinds: (KindLayer | undefined)[] = new Array<KindLayer | undefined>(DELTA_KINDS.length);
  readonly #tableDigest: TableDigest;

  constructor(scope: Scope, number: number, tableDigest: TableDigest) {
    this.scope = scope;
    this.number = number;
    this.digest = recordDigest(scopeKey(scope));
    this.#tableDigest = tableDigest;
  }

  cell(kind: DeltaKind, key: string): KeyCell | undefined {
    return this.#kinds[KIND_NUMBERS[kind]]?.cells.get(key);
  }

  /** Counts the changes of this kind's cells: equal counts mean an unchanged configuration. */
  revision(kind: DeltaKind): number {
    return this.#kinds[KIND_NUMBERS[kind]]?.revision ?? 0;
  }

  /** All cells of a kind by ascending key, also those that are unset. */
  cells(kind: DeltaKind): readonly KeyCell[] {
    const layer = this.#kinds[KIND_NUMBERS[kind]];
    if (layer === undefined) return NO_CELLS;
    layer.sorted ??= [...layer.cells.values()].sort(byKey);
    return layer.sorted;
  }

  /** Sets what the scope says about a key. `onNewKey` is told of a key's first mention. */
  set(
    kind: DeltaKind,
    key: string,
    version: KeyVersion,
    declared: Declared,
    onNewKey: (cell: KeyCell) => void,
  ): void {
    const layer = this.#kind(kind);
    let cell = layer.cells.get(key);
    if (cell === undefined) {
      cell = new KeyCell(this, kind, key);
      layer.cells.set(cell.key, cell);
      layer.sorted = undefined;
      onNewKey(cell);
    } else {
      this.#tableDigest.remove(cell.digest());
    }
    cell.set(version.seq, version.setBy, declared);
    this.#tableDigest.add(cell.digest());
    layer.revision += 1;
    this.revisions += 1;
  }

  #kind(kind: DeltaKind): KindLayer {
    const number = KIND_NUMBERS[kind];
    const known = this.#kinds[number];
    if (known !== undefined) return known;
    const created: KindLayer = { cells: new Map(), sorted: undefined, revision: 0 };
    this.#kinds[number] = created;
    return created;
  }
}

/** Ascending by code units, as the effective configuration promises. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const byKey = (a: KeyCell, b: KeyCell): number => compareKeys(a.key, b.key);

/** A text that is different for different scopes. */
export function scopeKey(scope: Scope): string {
  if (scope === 'Global') return 'global';
  return 'VCluster' in scope ? `vcluster/${scope.VCluster}` : `node/${scope.Node}`;
}
