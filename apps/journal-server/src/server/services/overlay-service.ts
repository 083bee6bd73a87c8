/** OverlayService: what is known about boot overlays, without their content. */
import { journal, overlayInfoToWire, type OverlayInfo } from '@pact-journal/journal-proto';
import type { JournalView, VClusterId } from '@pact-journal/journal-state';
import type { Overlay } from '@pact-journal/overlay-builder';
import { notFound, requiredId, type ServiceContext } from './context.ts';
import { map, pages } from './pages.ts';

const methods = journal.OverlayServiceDefinition;
const OVERLAYS_PER_MESSAGE = 500;

export function overlayService(context: ServiceContext): journal.OverlayServiceServer {
  const { rpc, journal: state, overlays } = context;
  return {
    describeOverlay: rpc.unary(methods.describeOverlay, async (request) => {
      const vclusterId = requiredId(request.vclusterId, 'vcluster_id');
      if (request.storedOnly) return { overlay: overlayInfoToWire(storedInfo(state(), vclusterId)) };
      return { overlay: overlayInfoToWire(infoOf(await overlays.current(vclusterId), false)) };
    }),
    rebuildOverlay: rpc.leader(methods.rebuildOverlay, async (request) => {
      const vclusterId = requiredId(request.vclusterId, 'vcluster_id');
      await overlays.ensureStored(vclusterId, 'operator');
      return { overlay: overlayInfoToWire(infoOf(await overlays.current(vclusterId), false)) };
    }),
    listOverlays: rpc.stream(methods.listOverlays, () => {
      const ids = [...state().vclusters()].sort();
      const found = map(ids, (vclusterId) => overlayInfoToWire(storedInfo(state(), vclusterId)));
      return map(pages(found, { items: OVERLAYS_PER_MESSAGE }), (page) => ({ overlays: page }));
    }),
  };
}

function infoOf(overlay: Overlay, stale: boolean): OverlayInfo {
  const { vcluster_id, version, checksum, raw_size_bytes } = overlay;
  return { vcluster_id, version, checksum, size_bytes: overlay.data.byteLength, raw_size_bytes, stale };
}

function storedInfo(view: JournalView, vclusterId: VClusterId): OverlayInfo {
  if (!view.knowsVCluster(vclusterId))
    throw notFound(`there is no virtual cluster ${JSON.stringify(vclusterId)}`);
  const stored = view.overlay(vclusterId);
  const latest = view.vclusterVersion(vclusterId);
  if (stored !== undefined) return infoOf(stored, stored.version !== latest);
  return {
    vcluster_id: vclusterId,
    version: null,
    checksum: '',
    size_bytes: 0,
    raw_size_bytes: 0,
    stale: latest !== undefined,
  };
}
