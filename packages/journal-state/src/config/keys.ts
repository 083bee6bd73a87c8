import { detached } from '../canonical.ts';
import { recordDigest } from '../tables/table-digest.ts';
import type { DeltaKind } from '../types.ts';
import type { ConfigKey } from './cell.ts';

/** Ascending by code units, as the effective configuration promises. */
export function compareKeys(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** All keys that were ever declared. */
export class KeyTable {
  readonly #kinds: { readonly [Kind in DeltaKind]: Map<string, ConfigKey> } = {
    mounts: new Map(),
    files: new Map(),
    network: new Map(),
    services: new Map(),
    kernel: new Map(),
    packages: new Map(),
    gpu: new Map(),
  };

  find(kind: DeltaKind, key: string): ConfigKey | undefined {
    return this.#kinds[kind].get(key);
  }

  intern(kind: DeltaKind, key: string): ConfigKey {
    const keys = this.#kinds[kind];
    let known = keys.get(key);
    if (known === undefined) {
      // A restore cuts keys out of the entries' texts.
      known = { kind, key: detached(key), digest: recordDigest(key, recordDigest(kind)), cells: [] };
      keys.set(known.key, known);
    }
    return known;
  }
}
