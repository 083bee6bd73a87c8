import type { JournalView, VClusterId } from '@pact-journal/journal-state';
import type { Overlay } from '@pact-journal/overlay-builder';

/** What boots and subscriptions read from: the local replica. None of it touches Raft. */
export interface BootSource {
  /** The replica's state as it is now. */
  view(): JournalView;
  /**
   * The overlay of the state as it is at the moment of the call ({@link OverlayManager.current}). Throws or rejects
   * with an OverlayError.
   */
  currentOverlay(vclusterId: VClusterId): Overlay | Promise<Overlay>;
  /** Why this replica must not boot nodes, for the client to go to another; undefined while nothing speaks against it. */
  refusal?(): string | undefined;
  /** Resolves once this replica has applied `sequence`; rejects when `signal` is aborted. */
  waitForSequence(sequence: number, signal: AbortSignal): Promise<void>;
  /** Calls back after entries were applied (and once for a batch of them). Returns how to stop it. */
  onAppended(listener: () => void): () => void;
  /** Calls back after a node was assigned to another virtual cluster, or to none. Returns how to stop it. */
  onAssigned?(listener: (nodeId: string) => void): () => void;
}
