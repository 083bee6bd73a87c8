import { entrySeq } from '../parse/fields.ts';
import type { RecordDigest } from '../tables/table-digest.ts';
import type { DeltaItem, DeltaKind, Scope } from '../types.ts';
import type { EffectiveItem } from '../view.ts';

/**
 * A key of a kind, of which there is exactly one object, so that a hundred thousand nodes that declare it share it and
 * are found from it.
 */
export interface ConfigKey {
  readonly kind: DeltaKind;
  readonly key: string;
  readonly digest: RecordDigest;
  /** The cells of all scopes that ever said something about it, by the order in which they first did. */
  readonly cells: KeyCell[];
}

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
  readonly scope: Scope;
  seq = UNSET;
  setBy = UNSET;
  #held: Held = undefined;
  /** Earlier versions, ascending: in turn `seq` and `setBy` of each. Only keys that changed have any. */
  #older: number[] | undefined = undefined;

  constructor(scope: Scope, of: ConfigKey) {
    this.scope = scope;
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
