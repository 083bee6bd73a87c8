/**
 * Reads from an entry's canonical JSON what its part in the state follows from, without parsing all of it: a restore
 * reads a million of them.
 *
 * It relies on the order of fields in canonical JSON, and on a quote inside of a JSON string always being escaped: so
 * `,"scope":` can only be the field itself, whatever people write into their messages.
 */
import { detached } from '../canonical.ts';
import { changesConfiguration } from '../config/fold.ts';
import type { FoldEntry } from '../config/fold.ts';
import { EMPTY_DELTA } from '../parse/delta.ts';
import { ENTRY_TYPES } from '../parse/entry.ts';
import { isEntrySeq } from '../parse/fields.ts';
import { DELTA_KINDS } from '../types.ts';
import type { DeltaItem, DeltaKind, EntryType, Scope, StateDelta } from '../types.ts';

/** An entry that does nothing but declare keys, or nothing at all. */
export interface EntryFacts extends FoldEntry {
  readonly principal: string;
  readonly hash: string;
}

const AUTHOR = '{"author":{"principal":"';
const PRINCIPAL_END = '","principal_type":"';
const DECISION = ',"decision":';
const TYPE = ',"entry_type":"';
const HASH = ',"hash":"';
const SCOPE = ',"scope":';
const SEQUENCE = ',"sequence":';
const DELTA = ',"state_delta":';
const TIMESTAMP = ',"timestamp":"';
const NO_TTL = ',"ttl_seconds":null}';

/** Types of which nothing follows but what they declare. */
const PLAIN_TYPES: ReadonlyMap<string, EntryType> = new Map(
  ENTRY_TYPES.filter(
    (type) =>
      !['Rollback', 'PolicyUpdate', 'EmergencyStart', 'EmergencyEnd', 'PendingApproval'].includes(type),
  ).map((type) => [type, type]),
);

/**
 * The facts of a plain entry; undefined where it is not one, or is not written in the usual way: then it is to be
 * parsed. Only to be believed once the entry's hash is known to be right. Throws a SyntaxError where a delta is not JSON.
 */
export function readEntryFacts(text: string): EntryFacts | undefined {
  if (!text.startsWith(AUTHOR) || !text.endsWith(NO_TTL)) return undefined;
  const principalEnd = text.indexOf(PRINCIPAL_END, AUTHOR.length);
  const principal = text.slice(AUTHOR.length, principalEnd);
  const typeAt = text.indexOf(TYPE, principalEnd) + TYPE.length;
  const typeEnd = text.indexOf('"', typeAt);
  const type = PLAIN_TYPES.get(text.slice(typeAt, typeEnd));
  if (
    principalEnd < 0 ||
    principal.includes('\\') ||
    type === undefined ||
    text.slice(principalEnd, typeAt).includes(DECISION) ||
    !text.startsWith(HASH, typeEnd + 1)
  )
    return undefined;
  const hashAt = typeEnd + 1 + HASH.length;
  const hashEnd = text.indexOf('"', hashAt);
  const scopeAt = text.indexOf(SCOPE, hashEnd);
  const sequenceAt = text.indexOf(SEQUENCE, scopeAt);
  const deltaAt = text.indexOf(DELTA, sequenceAt);
  const deltaEnd = text.lastIndexOf(TIMESTAMP);
  if (scopeAt < 0 || sequenceAt < 0 || deltaAt < 0 || deltaEnd < deltaAt) return undefined;
  const scope = readScope(text.slice(scopeAt + SCOPE.length, sequenceAt));
  const sequence = Number(text.slice(sequenceAt + SEQUENCE.length, deltaAt));
  if (scope === undefined || !isEntrySeq(sequence)) return undefined;
  const state_delta = changesConfiguration(type)
    ? readDelta(text.slice(deltaAt + DELTA.length, deltaEnd))
    : null;
  const hash = text.slice(hashAt, hashEnd);
  return { principal, hash, entry_type: type, scope, sequence, state_delta, parent: null };
}

function readScope(json: string): Scope | undefined {
  if (json === '"Global"') return 'Global';
  if (json.includes('\\') || !json.endsWith('"}')) return undefined;
  if (json.startsWith('{"Node":"')) return { Node: json.slice('{"Node":"'.length, -2) };
  if (json.startsWith('{"VCluster":"')) return { VCluster: json.slice('{"VCluster":"'.length, -2) };
  return undefined;
}

/** In its normal form, because the entry's hash says that a journal wrote it. */
function readDelta(json: string): StateDelta | null {
  for (const { kind, opening, closing } of FRAMES) {
    if (!json.startsWith(opening)) break;
    if (!json.endsWith(closing)) continue;
    const inner = json.slice(opening.length, json.length - closing.length);
    if (inner === '') return EMPTY_DELTA;
    const item = readPlainItem(inner);
    if (item === undefined) break;
    return deltaOf(kind, [item]);
  }
  return JSON.parse(json) as StateDelta | null;
}

/** Written out: a spread with a computed name would cost more than all the rest. */
function deltaOf(kind: DeltaKind, items: readonly DeltaItem[]): StateDelta {
  return {
    files: kind === 'files' ? items : NO_ITEMS,
    gpu: kind === 'gpu' ? items : NO_ITEMS,
    kernel: kind === 'kernel' ? items : NO_ITEMS,
    mounts: kind === 'mounts' ? items : NO_ITEMS,
    network: kind === 'network' ? items : NO_ITEMS,
    packages: kind === 'packages' ? items : NO_ITEMS,
    services: kind === 'services' ? items : NO_ITEMS,
  };
}

const NO_ITEMS = EMPTY_DELTA.kernel;

/** By kind, what stands around its items in a delta that has no others. Kinds are in canonical order here. */
const FRAMES = DELTA_KINDS.toSorted().map((kind, at, kinds) => ({
  kind,
  opening: `{${kinds
    .slice(0, at + 1)
    .map((before) => `"${before}":[`)
    .join('],')}`,
  closing: `]${kinds
    .slice(at + 1)
    .map((after) => `,"${after}":[]`)
    .join('')}}`,
}));

const ITEM = '{"action":"';
const KEY = '","key":"';
const PREVIOUS = '","previous":';
const VALUE = ',"value":"';
const ITEM_END = '"}';

/**
 * One item that sets a key to a plain value, without escapes and attributes; undefined where it is another one. Its
 * value stays in memory, so it gets memory of its own.
 */
function readPlainItem(json: string): DeltaItem | undefined {
  if (!json.startsWith(ITEM) || !json.endsWith(ITEM_END) || json.includes('\\')) return undefined;
  const actionEnd = json.indexOf('"', ITEM.length);
  const action = json.slice(ITEM.length, actionEnd);
  const keyAt = actionEnd + KEY.length;
  const keyEnd = json.indexOf('"', keyAt);
  if (
    (action !== 'Add' && action !== 'Modify') ||
    !json.startsWith(KEY, actionEnd) ||
    !json.startsWith(PREVIOUS, keyEnd)
  )
    return undefined;
  const previousAt = keyEnd + PREVIOUS.length;
  const isNull = json.startsWith('null', previousAt);
  const previousEnd = isNull ? previousAt + 4 : json.indexOf('"', previousAt + 1) + 1;
  const valueAt = previousEnd + VALUE.length;
  const valueEnd = json.length - ITEM_END.length;
  if (!json.startsWith(VALUE, previousEnd) || json.indexOf('"', valueAt) !== valueEnd) return undefined;
  return {
    action,
    key: json.slice(keyAt, keyEnd),
    previous: isNull ? null : json.slice(previousAt + 1, previousEnd - 1),
    value: detached(json.slice(valueAt, valueEnd)),
  };
}
