import type { ConfigEntry, EntrySeq, JournalView, Scope } from '@pact-journal/journal-state';

/** What a subscriber wants to see: a node's, or a watcher's. */
export interface Interest {
  /** Empty: a watcher. */
  readonly nodeId: string;
  /** Empty: the node's assignment; for a watcher, every virtual cluster. */
  readonly vclusterId: string;
}

/** True where an entry concerns a subscriber: its own node, its virtual cluster, everyone. */
export function concerns({ nodeId, vclusterId }: Interest, scope: Scope, view: JournalView): boolean {
  if (scope === 'Global') return true;
  if ('Node' in scope) return nodeId !== '' && scope.Node === nodeId;
  if (vclusterId !== '') return scope.VCluster === vclusterId;
  return nodeId === '' || scope.VCluster === view.assignment(nodeId);
}

/** Up to here it is cheaper to look at every entry than to ask the indexes. */
const SCAN_MAX = 256;

/**
 * The entries from `from` on that concern a subscriber, in order. Reads the scopes' indexes where the way is long, so
 * that a node that was away for a million entries of others costs what concerns it.
 */
export function* entriesOf(
  interest: Interest,
  from: number,
  view: JournalView,
): Generator<ConfigEntry, void> {
  const to = view.entryCount;
  if (to - from <= SCAN_MAX || isWatcherOfAll(interest)) {
    for (let sequence = from; sequence < to; sequence += 1) {
      const entry = view.entry(sequence as EntrySeq);
      if (entry !== undefined && concerns(interest, entry.scope, view)) yield entry;
    }
    return;
  }
  const sources = scopesOf(interest, view).map((scope) => {
    const entries = view.entries({ scope, from_sequence: from as EntrySeq })[Symbol.iterator]();
    return { entries, head: entries.next() };
  });
  for (;;) {
    let first: (typeof sources)[number] | undefined;
    for (const source of sources) {
      if (source.head.done === true) continue;
      if (
        first === undefined ||
        first.head.done === true ||
        source.head.value.sequence < first.head.value.sequence
      ) {
        first = source;
      }
    }
    if (first === undefined || first.head.done === true) return;
    yield first.head.value;
    first.head = first.entries.next();
  }
}

function isWatcherOfAll({ nodeId, vclusterId }: Interest): boolean {
  return nodeId === '' && vclusterId === '';
}

function scopesOf({ nodeId, vclusterId }: Interest, view: JournalView): Scope[] {
  const scopes: Scope[] = ['Global'];
  const vcluster = vclusterId === '' ? view.assignment(nodeId) : vclusterId;
  if (vcluster !== undefined) scopes.push({ VCluster: vcluster });
  if (nodeId !== '') scopes.push({ Node: nodeId });
  return scopes;
}
