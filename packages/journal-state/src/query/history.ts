/** Questions about the past: who set what, when, and what was in effect at a point. */
import { changeItem } from '../config/node-delta.ts';
import { mapKinds } from '../config/effective.ts';
import type { EffectiveConfigs } from '../config/effective.ts';
import { VersionReader, sameDeclared } from '../config/fold.ts';
import { changesConfiguration } from '../parse/entry.ts';
import { compareKeys } from '../config/keys.ts';
import type { KeyCell, KeyVersion } from '../config/cell.ts';
import type { Layer } from '../config/layer.ts';
import { JournalStateError } from '../errors.ts';
import { emptyDelta } from '../parse/delta.ts';
import { entrySeq } from '../parse/fields.ts';
import type { Tables } from '../tables/tables.ts';
import { DELTA_KINDS } from '../types.ts';
import type {
  ConfigEntry,
  DeltaItem,
  DeltaKind,
  EntrySeq,
  Identity,
  Scope,
  StateDelta,
  Timestamp,
} from '../types.ts';
import type { EffectiveConfig } from '../view.ts';

/** What an entry made of a key in its scope. */
export interface KeyChange {
  readonly sequence: EntrySeq;
  readonly timestamp: Timestamp;
  readonly author: Identity;
  readonly scope: Scope;
  /** `Add` and `Modify`: the scope declares the value; `Remove`: it declares the key absent; `Unset`: it says nothing any more. */
  readonly action: DeltaItem['action'] | 'Unset';
  readonly value: string | null;
  readonly spec?: DeltaItem['spec'];
  /** Where a rollback or the end of a ttl brought an older item back: the entry that had set it. */
  readonly restored_from?: EntrySeq;
}

/** Where a key's value in effect comes from. */
export interface BlameLine {
  readonly kind: DeltaKind;
  readonly key: string;
  readonly value: string | null;
  readonly spec?: DeltaItem['spec'];
  /** The scope that decides the key. */
  readonly scope: Scope;
  readonly set_by: EntrySeq;
  readonly author: Identity;
  readonly timestamp: Timestamp;
  readonly message: string | null;
  /** The rollback, if any, that brought the value back. */
  readonly restored_by?: EntrySeq;
  /** When the value's ttl runs out, if it has one. */
  readonly expires_at?: Timestamp;
}

/** @throws JournalStateError `unknownSequence` */
export function checkSequence(tables: Tables, sequence: number): void {
  const count = tables.entries.length;
  if (Number.isSafeInteger(sequence) && sequence >= 0 && sequence < count) return;
  const known = count === 0 ? 'the journal is empty' : `the newest entry is ${String(count - 1)}`;
  throw new JournalStateError('unknownSequence', `entry ${String(sequence)} does not exist: ${known}`);
}

/** The items that lead from one configuration to the other, each kind by key. */
export function diffConfigs(from: EffectiveConfig, to: EffectiveConfig): StateDelta {
  return mapKinds((kind) => {
    const items: DeltaItem[] = [];
    for (const key of new Set([...from[kind].keys(), ...to[kind].keys()])) {
      const before = from[kind].get(key);
      const after = to[kind].get(key);
      if (sameDeclared(before, after)) continue;
      const item = changeItem(key, before, after);
      if (item !== undefined) items.push(item);
    }
    return items.sort((a, b) => compareKeys(a.key, b.key));
  });
}

/** All that was ever said about a key, in one scope or in all, oldest first. */
export function keyHistory(
  tables: Tables,
  kind: DeltaKind,
  key: string,
  scope: Scope | undefined,
): readonly KeyChange[] {
  const of = tables.scopes.keys.find(kind, key);
  if (of === undefined) return [];
  const layer = scope === undefined ? undefined : tables.scopes.find(scope);
  const cells = scope === undefined ? of.cells : layer === undefined ? [] : [layer.cell(of)];
  const reader = new VersionReader(tables.entries);
  const changes: KeyChange[] = [];
  for (const cell of cells) {
    if (cell === undefined) continue;
    for (const version of cell.versions()) changes.push(keyChange(tables, cell, version, reader));
  }
  return changes.sort((a, b) => a.sequence - b.sequence);
}

function keyChange(tables: Tables, cell: KeyCell, version: KeyVersion, reader: VersionReader): KeyChange {
  const entry = tables.entries.get(version.seq);
  const declared = reader.read(cell, version);
  const before = reader.read(cell, cell.versionAt(version.seq - 1));
  const restored = version.setBy >= 0 && version.setBy !== version.seq;
  const held = before === undefined || before === null ? 'Add' : 'Modify';
  return {
    sequence: entry.sequence,
    timestamp: entry.timestamp,
    author: entry.author,
    scope: cell.scope,
    action: declared === undefined ? 'Unset' : declared === null ? 'Remove' : held,
    value: declared?.value ?? null,
    ...(declared?.spec === undefined ? {} : { spec: declared.spec }),
    ...(restored ? { restored_from: entrySeq(version.setBy) } : {}),
  };
}

/** For each key in effect in a scope: which scope decides it, and which entry, author and time set it. */
export function* blame(
  tables: Tables,
  configs: EffectiveConfigs,
  scope: Scope,
): Generator<BlameLine, void, undefined> {
  const layers = configs.layers(scope);
  const config = configs.get(scope);
  for (const kind of DELTA_KINDS) {
    for (const [key, item] of config[kind]) {
      const of = tables.scopes.keys.intern(kind, key);
      const cell = layers
        .map((layer) => layer.cell(of))
        .findLast((candidate) => candidate?.isUnset === false);
      if (cell === undefined) continue;
      const entry = tables.entries.get(item.set_by);
      const due = tables.expiryOf(item.set_by);
      yield {
        kind,
        key,
        value: item.value,
        ...(item.spec === undefined ? {} : { spec: item.spec }),
        scope: cell.scope,
        set_by: item.set_by,
        author: entry.author,
        timestamp: entry.timestamp,
        message: entry.message ?? null,
        ...(cell.seq === cell.setBy ? {} : { restored_by: entrySeq(cell.seq) }),
        ...(due === undefined ? {} : { expires_at: due }),
      };
    }
  }
}

/** What an entry changed in what its own scope declares: for a rollback, what it brought back and took away. */
export function entryEffect(tables: Tables, sequence: EntrySeq): StateDelta {
  checkSequence(tables, sequence);
  const entry = tables.entries.get(sequence);
  if (!changesConfiguration(entry.entry_type)) return emptyDelta();
  const layer = tables.scopes.find(entry.scope);
  const reader = new VersionReader(tables.entries);
  return mapKinds((kind) => {
    const items: DeltaItem[] = [];
    for (const cell of layer === undefined ? [] : cellsOf(tables, layer, entry, kind)) {
      const version = cell.versionAt(sequence);
      if (version?.seq !== sequence) continue;
      const before = reader.read(cell, cell.versionAt(sequence - 1)) ?? undefined;
      const declared = reader.read(cell, version);
      const item = changeItem(cell.of.key, before, declared ?? undefined) ?? removal(cell.of.key, declared);
      if (item !== undefined) items.push(item);
    }
    return items;
  });
}

/** The cells that an entry may have changed, by key: those that it names, or for a rollback all of its scope. */
function cellsOf(tables: Tables, layer: Layer, entry: ConfigEntry, kind: DeltaKind): readonly KeyCell[] {
  if (entry.entry_type === 'Rollback') return layer.cells(kind);
  const cells: KeyCell[] = [];
  for (const { key } of entry.state_delta?.[kind] ?? []) {
    const of = tables.scopes.keys.find(kind, key);
    const cell = of === undefined ? undefined : layer.cell(of);
    if (cell !== undefined) cells.push(cell);
  }
  return cells.sort((a, b) => compareKeys(a.of.key, b.of.key));
}

/** A scope may declare absent what it did not declare itself. */
function removal(key: string, declared: null | undefined | object): DeltaItem | undefined {
  return declared === null ? { action: 'Remove', key, previous: null, value: null } : undefined;
}
