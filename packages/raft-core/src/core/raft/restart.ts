import { NO_INDEX, shiftIndex } from '../ids.ts';
import type { LogIndex } from '../types.ts';
import type { Raft } from './raft.ts';

/** Entries looked at in one go: as many as fit. */
const PAGE_BYTES = 1024 * 1024;

/**
 * Raises the commit index that a node restarts with to what its log proves.
 *
 * The persisted commit index is a hint and may be far behind. Behind by more than one membership change it would be
 * dangerous: the node could campaign under a configuration whose majorities do not overlap with the present one's. But
 * a membership change is only ever appended by a leader that has applied every earlier one, so all but the last in the
 * log are known to be committed. What remains is one change at most, and neighbours overlap.
 */
export function raiseCommitOnRestart(raft: Raft): void {
  const { safeguards, disableConfChangeValidation } = raft.config;
  // Without that rule the log proves nothing.
  if (!safeguards || disableConfChangeValidation) return;
  const { log } = raft;
  const end = shiftIndex(log.lastIndex(), 1);
  let last = NO_INDEX;
  let proven: LogIndex = NO_INDEX;
  for (let low = shiftIndex(log.committed, 1); low < end;) {
    const page = log.slice(low, end, PAGE_BYTES);
    if (page === undefined || page.length === 0) return;
    for (const entry of page) {
      if (entry.type === 'normal') continue;
      proven = last;
      last = entry.index;
    }
    low = shiftIndex(low, page.length);
  }
  log.commitTo(proven);
}
