/** ConfigService: what clients in the field speak. */
import {
  entryToWire,
  journal,
  newEntryFromFieldedWire,
  optionalScopeFromWire,
  overlayToWire,
} from '@pact-journal/journal-proto';
import type { EntryFilter, EntrySeq } from '@pact-journal/journal-state';
import { authored, notFound, requiredId, type ServiceContext } from './context.ts';
import { map } from './pages.ts';

const methods = journal.ConfigServiceDefinition;

export function configService({
  rpc,
  writer,
  journal: state,
  overlays,
}: ServiceContext): journal.ConfigServiceServer {
  return {
    appendEntry: rpc.leader(methods.appendEntry, async (request, { requestId, author }) => {
      const entry = newEntryFromFieldedWire(request.entry, authored(author));
      const { sequence } = await writer.append({ entry, type: 'AppendEntry' }, requestId);
      return { sequence };
    }),
    getEntry: rpc.unary(methods.getEntry, (request) => {
      const entry = state().entry(request.sequence as EntrySeq);
      if (entry === undefined) throw notFound(noEntry(request.sequence, state().entryCount));
      return entryToWire(entry);
    }),
    getNodeState: rpc.unary(methods.getNodeState, (request) => {
      const nodeId = requiredId(request.nodeId, 'node_id');
      const configState = state().nodeState(nodeId);
      if (configState === undefined)
        throw notFound(`nothing has ever mentioned node ${JSON.stringify(nodeId)}`);
      return { nodeId, configState };
    }),
    listEntries: rpc.stream(methods.listEntries, (request) =>
      map(state().entries(filterOf(request)), entryToWire),
    ),
    getOverlay: rpc.unary(methods.getOverlay, async (request) => {
      const vclusterId = requiredId(request.vclusterId, 'vcluster_id');
      const overlay = await overlays.current(vclusterId);
      return overlayToWire({ ...overlay, version: overlay.version as EntrySeq });
    }),
  };
}

export function noEntry(sequence: number, count: number): string {
  return count === 0
    ? `there is no entry ${String(sequence)}: the journal is empty`
    : `there is no entry ${String(sequence)}: the latest is ${String(count - 1)}`;
}

function filterOf(request: journal.ListEntriesRequest): EntryFilter {
  const scope = optionalScopeFromWire(request.scope);
  return {
    ...(scope === undefined ? {} : { scope }),
    ...bounds(request.fromSequence, request.toSequence, request.limit),
  };
}

/** Bounds as a filter has them: absent ones are left out. */
export function bounds(
  from: number | undefined,
  to: number | undefined,
  limit: number | undefined,
): EntryFilter {
  return {
    ...(from === undefined ? {} : { from_sequence: from as EntrySeq }),
    ...(to === undefined ? {} : { to_sequence: to as EntrySeq }),
    ...(limit === undefined ? {} : { limit }),
  };
}
