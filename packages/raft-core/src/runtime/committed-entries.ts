/** What a running node tells a member that has lost part of its log. */
import type { RawNode } from '../core/rawnode.ts';
import type { Entry, LogIndex } from '../core/types.ts';
import type { CommittedEntries, LogStore, StoredSnapshot } from './interfaces.ts';
import type { ReadTracker } from './read-tracker.ts';

/** The parts of a node that it takes. */
interface Source {
  readonly core: RawNode;
  readonly reads: ReadTracker;
  readonly options: { readonly logStore: LogStore };
  wake(): void;
}

interface Range {
  readonly from: LogIndex;
  readonly to: LogIndex;
  readonly maxBytes: number;
}

export async function readCommitted(
  source: Source,
  snapshots: { offerSnapshot(): StoredSnapshot | undefined },
  range: Range,
): Promise<CommittedEntries> {
  const confirmed = await confirmCommitIndex(source);
  const { committed: commitIndex } = source.core.basicStatus();
  const entries = committedIn(source.options.logStore, range, commitIndex);
  return { entries, commitIndex, confirmed, snapshot: snapshots.offerSnapshot() };
}

/** By a linearizable read: false where no leader with a quorum answers. */
function confirmCommitIndex(source: Source): Promise<boolean> {
  const read = source.reads.submit();
  source.wake();
  return read.then(
    () => true,
    () => false,
  );
}

/** As far as they are committed and in the store. */
function committedIn(
  store: LogStore,
  { from, to, maxBytes }: Range,
  commitIndex: LogIndex,
): readonly Entry[] {
  // The leader may know something to be committed that its own disk has not written yet.
  const last = Math.min(to, commitIndex, store.lastIndex()) as LogIndex;
  if (from < store.firstIndex() || last < from) return [];
  return store.entries(from, (last + 1) as LogIndex, maxBytes);
}
