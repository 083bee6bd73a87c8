/** Boot overlays of this replica: built off the event loop, stored through Raft by the leader. */
import type { StoredOverlay } from '@pact-journal/journal-state';
import {
  OverlayManager,
  OverlayRebuilder,
  WorkerCompressor,
  type OverlayObserver,
} from '@pact-journal/overlay-builder';
import type { JournalMachine } from './journal-machine.ts';
import type { JournalWriter } from './writer.ts';

/** So long an overlay waits for the next proposal: commits that follow one another closely carry theirs along. */
const NEXT_PROPOSAL_MS = 10;

export interface Overlays {
  readonly manager: OverlayManager;
  readonly rebuilder: OverlayRebuilder;
  close(): Promise<void>;
}

export interface OverlaysOptions {
  readonly machine: JournalMachine;
  readonly writer: JournalWriter;
  readonly leads: () => boolean;
  readonly rebuildDelayMs: number;
  readonly observer: OverlayObserver;
}

export function createOverlays(options: OverlaysOptions): Overlays {
  const { machine, writer, leads, rebuildDelayMs, observer } = options;
  const compressor = new WorkerCompressor();
  const view = (): JournalMachine['state'] => machine.state;
  const store = async (overlay: StoredOverlay): Promise<void> => {
    // The leader learns of what is stale by itself: what a follower built for a boot is only served.
    if (!leads()) return;
    const { data } = overlay;
    const base64 = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
    const command = { type: 'SetOverlay', overlay: { ...overlay, data: base64 } } as const;
    const { result } = await writer.proposeWithNext(command, NEXT_PROPOSAL_MS);
    if (result.type === 'ValidationError' && result.code !== 'overlayVersion')
      throw new Error(`the overlay was refused: ${result.reason}`);
  };
  const manager = new OverlayManager({ view, compressor, store, observer });
  const rebuilder = new OverlayRebuilder({ manager, view, coalesceMs: rebuildDelayMs });
  return {
    manager,
    rebuilder,
    close: async () => {
      rebuilder.stop();
      await compressor.close();
    },
  };
}
