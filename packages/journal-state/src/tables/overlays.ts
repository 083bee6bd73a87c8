import type { VClusterId } from '../types.ts';
import type { StoredOverlay } from '../view.ts';
import { TableDigest, recordDigest } from './table-digest.ts';

/** The newest overlay of each vCluster. */
export class OverlayTable {
  readonly digest = new TableDigest();
  readonly #overlays = new Map<VClusterId, StoredOverlay>();

  get size(): number {
    return this.#overlays.size;
  }

  get(vclusterId: VClusterId): StoredOverlay | undefined {
    return this.#overlays.get(vclusterId);
  }

  set(overlay: StoredOverlay): void {
    const before = this.#overlays.get(overlay.vcluster_id);
    if (before !== undefined) this.digest.remove(overlayDigest(before));
    this.#overlays.set(overlay.vcluster_id, overlay);
    this.digest.add(overlayDigest(overlay));
  }

  /** All overlays, by vCluster. */
  capture(): readonly StoredOverlay[] {
    return [...this.#overlays.values()].sort((a, b) => (a.vcluster_id < b.vcluster_id ? -1 : 1));
  }
}

function overlayDigest(overlay: StoredOverlay): { readonly high: number; readonly low: number } {
  const { vcluster_id, version, checksum, raw_size_bytes } = overlay;
  return recordDigest(`${vcluster_id}\n${String(version)}\n${checksum}\n${String(raw_size_bytes)}`);
}
