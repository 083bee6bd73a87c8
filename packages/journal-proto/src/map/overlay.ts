import type { EntrySeq, StoredOverlay } from '@pact-journal/journal-state';
import type { OverlayResponse } from '../gen/pact/journal.ts';
import type { OverlayInfo as WireOverlayInfo } from '../gen/pact/journal_admin.ts';
import { nonEmpty, required } from './errors.ts';

/** The fielded form: the size before compression does not travel. */
export function overlayToWire(overlay: Omit<StoredOverlay, 'raw_size_bytes'>): OverlayResponse {
  return {
    vclusterId: overlay.vcluster_id,
    version: overlay.version,
    data: overlay.data,
    checksum: overlay.checksum,
  };
}

/** Fails with `WireError`. The checksum is not verified here. */
export function overlayFromWire(
  wire: OverlayResponse,
  at = 'overlay',
): Omit<StoredOverlay, 'raw_size_bytes'> {
  return {
    vcluster_id: nonEmpty(wire.vclusterId, `${at}.vcluster_id`),
    version: wire.version as EntrySeq,
    data: wire.data,
    checksum: nonEmpty(wire.checksum, `${at}.checksum`),
  };
}

/** An overlay without its content. */
export interface OverlayInfo {
  readonly vcluster_id: string;
  /** The sequence that it is of; null where nothing is stored. */
  readonly version: number | null;
  readonly checksum: string;
  readonly size_bytes: number;
  readonly raw_size_bytes: number;
  /** A later entry affects the virtual cluster: a boot would build a new one. */
  readonly stale: boolean;
}

export function overlayInfoToWire(overlay: OverlayInfo): WireOverlayInfo {
  return {
    vclusterId: overlay.vcluster_id,
    version: overlay.version ?? undefined,
    checksum: overlay.checksum,
    sizeBytes: overlay.size_bytes,
    rawSizeBytes: overlay.raw_size_bytes,
    stale: overlay.stale,
  };
}

/** Fails with `WireError`. */
export function overlayInfoFromWire(wire: WireOverlayInfo | undefined, at = 'overlay'): OverlayInfo {
  const overlay = required(wire, at);
  return {
    vcluster_id: nonEmpty(overlay.vclusterId, `${at}.vcluster_id`),
    version: overlay.version ?? null,
    checksum: overlay.checksum,
    size_bytes: overlay.sizeBytes,
    raw_size_bytes: overlay.rawSizeBytes,
    stale: overlay.stale,
  };
}
