/** What the export needs of a node. */
import type { Entry } from '@pact-journal/raft-core';
import type { Checkpoint } from '../format/log-batch.ts';

/** The committed log of a replica, as far as it is applied there. */
export interface CommittedLog {
  /** First entry that is still in the log. */
  firstIndex(): number;
  /** Last entry that is committed and applied here. */
  appliedIndex(): number;
  /** Entries in `[low, high)`: at least one, then while they fit in `maxSizeBytes`. */
  entries(low: number, high: number, maxSizeBytes: number): readonly Entry[];
  /** The newest known state at or before an index. */
  checkpoint(atOrBefore: number): Checkpoint | undefined;
  /** Calls back after entries were applied. Returns how to stop it. */
  onApplied(listener: () => void): () => void;
}
