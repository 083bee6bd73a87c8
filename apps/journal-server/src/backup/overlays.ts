/** Holds the boot overlays that a state stores against what the state declares. */
import { decompressBounded } from '@pact-journal/boot-stream';
import type { JournalState, StoredOverlay } from '@pact-journal/journal-state';
import { canonicalContent, OVERLAY_RAW_BYTES_MAX, overlayContentOf } from '@pact-journal/overlay-builder';

/**
 * What is wrong, a line an overlay. An overlay that is older than its virtual cluster's latest change is not compared:
 * it is rebuilt before it is served. Its checksum was checked when the state was read.
 */
export function* checkOverlays(state: JournalState): Generator<string> {
  for (const vclusterId of state.vclusters()) {
    const overlay = state.overlay(vclusterId);
    if (overlay === undefined || overlay.version !== state.vclusterVersion(vclusterId)) continue;
    const wrong = checkOverlay(state, overlay);
    if (wrong !== undefined) yield `the overlay of vcluster ${vclusterId} ${wrong}`;
  }
}

function checkOverlay(state: JournalState, overlay: StoredOverlay): string | undefined {
  let content: Buffer;
  try {
    content = decompressBounded(overlay.data, OVERLAY_RAW_BYTES_MAX);
  } catch (error) {
    return `cannot be decompressed: ${error instanceof Error ? error.message : String(error)}`;
  }
  const declared = canonicalContent(overlayContentOf(state, overlay.vcluster_id));
  return content.equals(Buffer.from(declared)) ? undefined : 'is not what the journal declares';
}
