/**
 * Reads from an entry's canonical JSON what its part in the state follows from, without parsing all of it: a restore
 * reads a million of them.
 *
 * It relies on the order of fields in canonical JSON, and on a quote inside of a JSON string always being escaped: so
 * `,"scope":` can only be the field itself, whatever people write into their messages.
 */
import { changesConfiguration } from '../config/fold.ts';
import type { FoldEntry } from '../config/fold.ts';
import { ENTRY_TYPES } from '../parse/entry.ts';
import { isEntrySeq } from '../parse/fields.ts';
import type { EntryType, Scope, StateDelta } from '../types.ts';

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
const readDelta = (json: string): StateDelta | null => JSON.parse(json) as StateDelta | null;
