/** What the simulator did to the group. */
export type FaultKind =
  | 'crash'
  | 'restart'
  | 'machine_lost'
  | 'graceful_stop'
  | 'pause'
  | 'isolation'
  | 'partition'
  | 'one_way_cut'
  | 'loss'
  | 'duplicate'
  | 'reorder'
  | 'delay'
  | 'slow_disk'
  | 'sync_failure'
  | 'read_failure'
  | 'membership_change'
  | 'leadership_transfer'
  | 'snapshot_taken'
  | 'snapshot_installed';

/** How often each fault happened. */
export class FaultCounts {
  readonly #counts = new Map<FaultKind, number>();

  count(kind: FaultKind, times = 1): void {
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + times);
  }

  addAll(other: FaultCounts): void {
    for (const [kind, times] of other.#counts) this.count(kind, times);
  }

  /** Sorted by name. */
  toJSON(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
}
