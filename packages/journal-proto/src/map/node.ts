import type { ConfigState, NodeDelta, NodeSummary } from '@pact-journal/journal-state';
import type { GetNodeResponse, NodeSummary as WireNodeSummary } from '../gen/pact/journal_admin.ts';
import { stateDeltaFromWire, stateDeltaToWire } from './delta.ts';
import { nonEmpty, required, WireError } from './errors.ts';

const configStates: readonly ConfigState[] = [
  'ObserveOnly',
  'Committed',
  'Drifted',
  'Converging',
  'Emergency',
];

/** Reads a state in any case. Fails with `WireError` for a word that names none. */
export function configStateFromWire(value: string, field = 'config_state'): ConfigState {
  const state = configStates.find((candidate) => candidate.toLowerCase() === value.toLowerCase());
  if (state !== undefined) return state;
  throw new WireError(
    'malformed',
    field,
    `must be one of ${configStates.join(', ')}, not ${JSON.stringify(value.slice(0, 40))}`,
  );
}

export function nodeToWire(node: NodeSummary): WireNodeSummary {
  return {
    nodeId: node.node_id,
    vclusterId: node.vcluster_id ?? undefined,
    configState: node.config_state,
    deviations: node.deviations,
  };
}

/** Fails with `WireError`. */
export function nodeFromWire(wire: WireNodeSummary | undefined, at = 'node'): NodeSummary {
  const node = required(wire, at);
  return {
    node_id: nonEmpty(node.nodeId, `${at}.node_id`),
    vcluster_id: node.vclusterId ?? null,
    config_state: configStateFromWire(node.configState, `${at}.config_state`),
    deviations: node.deviations,
  };
}

/** A node and what it has of its own. */
export interface NodeDetail extends NodeSummary {
  readonly delta: NodeDelta['delta'];
  /** The latest sequence of the node's own scope; null where there is none. */
  readonly delta_version: number | null;
}

export function nodeDetailToWire(node: NodeSummary, delta: NodeDelta): GetNodeResponse {
  return {
    node: nodeToWire(node),
    delta: stateDeltaToWire(delta.delta, 'delta'),
    deltaVersion: delta.version < 0 ? undefined : delta.version,
  };
}

/** Fails with `WireError`. */
export function nodeDetailFromWire(wire: GetNodeResponse): NodeDetail {
  return {
    ...nodeFromWire(wire.node),
    delta: stateDeltaFromWire(required(wire.delta, 'delta'), 'delta'),
    delta_version: wire.deltaVersion ?? null,
  };
}
