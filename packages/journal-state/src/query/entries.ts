import { lowerBound } from '../log/growable.ts';
import { refuse } from '../parse/fields.ts';
import type { Tables } from '../tables/tables.ts';
import type { AdminOperation, ConfigEntry } from '../types.ts';
import type { EntryFilter } from '../view.ts';

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
  const list = condition === undefined ? undefined : shortestIndex(tables, filter);
  if (condition === undefined || limit === 0) return () => [];
  const from = list === undefined ? start : lowerBound(list, start);
  const to = list === undefined ? end : lowerBound(list, end);
  const at = (position: number): number => (list === undefined ? position : (list[position] ?? 0));
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

function shortestIndex(tables: Tables, filter: EntryFilter): readonly number[] | undefined {
  const { entries } = tables;
  const lists: (readonly number[])[] = [];
  if (filter.scope !== undefined) lists.push(tables.scopes.find(filter.scope)?.sequences ?? []);
  if (filter.author !== undefined) lists.push(entries.ofAuthor(entries.findAuthor(filter.author) ?? -1));
  if (filter.entry_types !== undefined)
    lists.push(mergeLists(filter.entry_types.map((type) => entries.ofType(type))));
  return lists.sort((a, b) => a.length - b.length)[0];
}

function mergeLists(lists: readonly (readonly number[])[]): readonly number[] {
  const [only] = lists;
  if (only !== undefined && lists.length === 1) return only;
  return lists.flat().sort((a, b) => a - b);
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
