import { lowerBound } from '../log/growable.ts';
import type { Indexed } from '../log/growable.ts';
import { refuse } from '../parse/fields.ts';
import type { Tables } from '../tables/tables.ts';
import type { AdminOperation, ConfigEntry, Scope } from '../types.ts';
import type { EntryFilter } from '../view.ts';

/** Lists of types are merged where they are less than this part of the log. */
const WORTH_MERGING = 8;

/** The entries that a filter asks for, in ascending order, as of now; each is parsed when it is reached. */
export function findEntries(tables: Tables, filter: EntryFilter): Iterable<ConfigEntry> {
  const found = matches(tables, filter);
  const { entries } = tables;
  return {
    *[Symbol.iterator]() {
      for (const sequence of found()) yield entries.get(sequence);
    },
  };
}

/**
 * Walks the shortest of the indexes that the filter allows, and checks the other conditions without parsing.
 * What the filter covers is fixed now; the walk is lazy.
 */
function matches(tables: Tables, filter: EntryFilter): () => Iterable<number> {
  const { limit } = filter;
  if (limit !== undefined && (!Number.isSafeInteger(limit) || limit < 0)) {
    refuse('limit', 'a number of entries, from 0', limit);
  }
  const end = Math.min(tables.entries.length, (filter.to_sequence ?? Infinity) + 1);
  const start = filter.from_sequence ?? 0;
  const condition = conditionOf(tables, filter);
  const list = condition === undefined ? undefined : shortestIndex(tables, filter, start);
  if (condition === undefined || limit === 0) return () => [];
  const from = list === undefined ? start : lowerBound(list, start);
  const to = list === undefined ? end : lowerBound(list, end);
  const at = (position: number): number => (list === undefined ? position : (list.at(position) ?? 0));
  if (limit === undefined) {
    return function* () {
      for (let position = from; position < to; position += 1) if (condition(at(position))) yield at(position);
    };
  }
  return () => {
    const newest: number[] = [];
    for (let position = to - 1; position >= from && newest.length < limit; position -= 1) {
      if (condition(at(position))) newest.push(at(position));
    }
    return newest.reverse();
  };
}

/** Whether a sequence matches, bounds aside; undefined where none can. */
function conditionOf(tables: Tables, filter: EntryFilter): ((sequence: number) => boolean) | undefined {
  const { entries } = tables;
  const scope = filter.scope === undefined ? undefined : tables.scopes.find(filter.scope)?.number;
  if (filter.scope !== undefined && scope === undefined) return undefined;
  const author = filter.author === undefined ? undefined : entries.findAuthor(filter.author);
  if (filter.author !== undefined && author === undefined) return undefined;
  const types = filter.entry_types === undefined ? undefined : new Set(filter.entry_types);
  if (types?.size === 0) return undefined;
  return (sequence) =>
    (scope === undefined || entries.scopeNumberOf(sequence) === scope) &&
    (author === undefined || entries.authorNumberOf(sequence) === author) &&
    (types === undefined || types.has(entries.typeOf(sequence)));
}

/** The shortest list of sequences that holds all that can match from `start` on; undefined where all entries can. */
function shortestIndex(tables: Tables, filter: EntryFilter, start: number): Indexed | undefined {
  const { entries } = tables;
  const lists: Indexed[] = [];
  if (filter.scope !== undefined) lists.push(ofScope(tables, filter.scope, start));
  if (filter.author !== undefined) lists.push(entries.ofAuthor(entries.findAuthor(filter.author) ?? -1));
  if (filter.entry_types !== undefined) {
    const ofTypes = mergeLists(
      filter.entry_types.map((type) => entries.ofType(type)),
      entries.length,
    );
    if (ofTypes !== undefined) lists.push(ofTypes);
  }
  return lists.sort((a, b) => a.length - b.length)[0];
}

/** Many entries of many types are not worth a list: then the types are checked on the way. */
function mergeLists(lists: readonly Indexed[], entryCount: number): Indexed | undefined {
  const [only] = lists;
  if (only !== undefined && lists.length === 1) return only;
  const total = lists.reduce((sum, list) => sum + list.length, 0);
  if (total > entryCount / WORTH_MERGING) return undefined;
  const merged = new Uint32Array(total);
  let length = 0;
  for (const list of lists) for (let at = 0; at < list.length; at += 1) merged[length++] = list.at(at) ?? 0;
  return merged.sort();
}

function ofScope(tables: Tables, scope: Scope, start: number): Indexed {
  const layer = tables.scopes.find(scope);
  if (layer === undefined) return [];
  if (layer.sequences !== undefined) return layer.sequences;
  const sequences: number[] = [];
  for (let at = layer.newest; at >= start; at = tables.entries.previousOfScope(at)) sequences.push(at);
  return sequences.reverse();
}

/** Operations from a position on; with a limit the first n of them, or without a position the newest n. */
export function findOperations(
  tables: Tables,
  filter: { readonly from?: number; readonly limit?: number },
): Iterable<AdminOperation> {
  const { operations } = tables;
  const count = operations.length;
  const limit = filter.limit ?? count;
  const start = filter.from === undefined ? Math.max(0, count - limit) : Math.max(0, filter.from);
  const end = Math.min(count, start + limit);
  return {
    *[Symbol.iterator]() {
      for (let position = start; position < end; position += 1) yield operations.get(position);
    },
  };
}
