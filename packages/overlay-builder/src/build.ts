import type { JournalView, StoredOverlay, VClusterId } from '@pact-journal/journal-state';
import { canonicalPieces } from './canonical.ts';
import type { OverlayContent } from './canonical.ts';
import type { BuildPriority, OverlayCompressor } from './compressor.ts';
import { OverlayError } from './errors.ts';
import { OVERLAY_DATA_BYTES_MAX, OVERLAY_RAW_BYTES_MAX } from './limits.ts';

/**
 * An overlay as it is served. `version` is that of its state, or 0 (and then not stored) for a virtual cluster that
 * is known but that no entry has affected yet.
 */
export type Overlay = Omit<StoredOverlay, 'version'> & { readonly version: number };

/**
 * Builds an overlay: canonical JSON, zstd, SHA-256. Equal input gives equal bytes wherever the same version of
 * `zstd-napi` runs. Fails with {@link OverlayError} `tooLarge`, `compressionFailed` or `closed`.
 */
export async function buildOverlay(
  input: OverlayContent,
  compressor: OverlayCompressor,
  priority: BuildPriority = 'urgent',
): Promise<Overlay> {
  let rawSizeBytes = 0;
  const produce = async (): Promise<Uint8Array<ArrayBuffer>> => {
    const content = await encodeInSlices(canonicalPieces(input), (sizeBytes) =>
      checkSize(input, 'content', sizeBytes, OVERLAY_RAW_BYTES_MAX),
    );
    rawSizeBytes = content.byteLength;
    return content;
  };
  const { data, checksum } = await compressor.compress(produce, priority);
  checkSize(input, 'data', data.byteLength, OVERLAY_DATA_BYTES_MAX);
  return {
    vcluster_id: input.vcluster_id,
    version: input.version,
    data,
    checksum,
    raw_size_bytes: rawSizeBytes,
  };
}

/** What to build for a virtual cluster now; also where the state has no version for it yet. */
export function overlayContentOf(view: JournalView, vclusterId: VClusterId): OverlayContent {
  return (
    view.overlayInput(vclusterId) ?? {
      vcluster_id: vclusterId,
      version: 0,
      config: view.effectiveConfig({ VCluster: vclusterId }),
      policy: view.policy(vclusterId),
    }
  );
}

function checkSize(input: OverlayContent, what: string, sizeBytes: number, maxBytes: number): void {
  if (sizeBytes <= maxBytes) return;
  throw new OverlayError(
    'tooLarge',
    `the overlay of ${JSON.stringify(input.vcluster_id)} has ${sizeBytes} bytes of ${what}, at most ${maxBytes} are allowed: declare less in it or in the global scope`,
  );
}

/** Longest time in a row that writing a content keeps the event loop. */
const SLICE_MS = 5;

async function encodeInSlices(
  pieces: Iterable<string>,
  checkSizeBytes: (sizeBytes: number) => void,
): Promise<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  const encoded: Uint8Array[] = [];
  let sizeBytes = 0;
  let sliceEndMs = performance.now() + SLICE_MS;
  for (const piece of pieces) {
    const bytes = encoder.encode(piece);
    encoded.push(bytes);
    sizeBytes += bytes.byteLength;
    checkSizeBytes(sizeBytes);
    if (performance.now() < sliceEndMs) continue;
    await new Promise((resolve) => setImmediate(resolve));
    sliceEndMs = performance.now() + SLICE_MS;
  }
  const content = new Uint8Array(sizeBytes);
  let offset = 0;
  for (const bytes of encoded) {
    content.set(bytes, offset);
    offset += bytes.byteLength;
  }
  return content;
}
