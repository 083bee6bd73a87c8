/** What an operator wants to see at a glance: what runs out, who is in an emergency, which nodes deviate or drifted. */
import { SYSTEM_IDENTITY } from '../apply/system.ts';
import type { NodeDeltas } from '../config/node-delta.ts';
import { entrySeq } from '../parse/fields.ts';
import { actionOf } from '../policy/actions.ts';
import type { PolicyAction } from '../policy/actions.ts';
import { defaultPolicy } from '../parse/policy.ts';
import type { PendingApproval } from '../tables/approvals.ts';
import type { ActiveEmergency } from '../tables/emergencies.ts';
import { assignedTo } from '../tables/nodes.ts';
import type { Tables } from '../tables/tables.ts';
import { msToTimestamp, timestampToMs } from '../timestamp.ts';
import type {
  ComputeNodeId,
  ConfigState,
  EntrySeq,
  JournalCommand,
  StateDelta,
  Timestamp,
  VClusterId,
} from '../types.ts';

/** An emergency under way. */
export interface EmergencyStatus extends ActiveEmergency {
  /** When its window ends: the start's ttl, or else the policy's emergency window. */
  readonly window_ends_at: Timestamp;
  /** True once the window has ended. It is never ended automatically. */
  readonly stale: boolean;
}

/** A node whose own configuration differs from its vCluster's. */
export interface DeviatingNode {
  readonly node_id: ComputeNodeId;
  readonly vcluster_id: VClusterId | null;
  readonly config_state: ConfigState;
  /** All that the node declares itself. */
  readonly delta: StateDelta;
  /** In how many keys it differs. */
  readonly deviations: number;
  /** When the first of the deviating values runs out; null where none has a ttl. */
  readonly expires_at: Timestamp | null;
}

/** How many nodes of a vCluster are in which state. */
export interface StateSummary {
  readonly vcluster_id: VClusterId | null;
  readonly nodes: number;
  readonly states: Readonly<Record<ConfigState, number>>;
}

/** A node that drifted, with the newest report of it. */
export interface DriftedNode {
  readonly node_id: ComputeNodeId;
  readonly vcluster_id: VClusterId | null;
  /** The newest DriftDetected entry of the node; null where its state was set without one. */
  readonly sequence: EntrySeq | null;
  readonly since: Timestamp | null;
}

/** A change that waits for a second person, as of some time. */
export interface ApprovalStatus extends PendingApproval {
  /** What is to be done. */
  readonly action: PolicyAction;
  /** True where its time is up, and only the leader's entry that says so is missing. */
  readonly expired: boolean;
}

/** Changes that wait for a second person, in the order in which they were asked for. */
export function pendingApprovals(tables: Tables, now: Timestamp): readonly ApprovalStatus[] {
  return Array.from(tables.approvals.all(), (pending) => ({
    ...pending,
    action: actionOf(pending.entry_type) ?? 'commit',
    expired: now >= pending.expires_at,
  }));
}

/**
 * The commands that end the ttls and pending approvals which have run out by `now`, each in order of time. Applying one
 * twice does no harm.
 */
export function dueExpirations(tables: Tables, now: Timestamp, limit: number): readonly JournalCommand[] {
  const nowMs = timestampToMs(now) ?? -Infinity;
  const ttls = tables.expirations.dueAt(nowMs).map((sequence) => expiryOf(tables, sequence));
  return [...ttls, ...tables.approvals.dueAt(nowMs).map(approvalExpiryOf)].slice(0, limit);
}

function approvalExpiryOf(sequence: number): JournalCommand {
  return {
    type: 'DecideApproval',
    approver: SYSTEM_IDENTITY,
    decision: 'expired',
    pending: entrySeq(sequence),
    reason: 'Nobody approved it in time',
  };
}

function expiryOf(tables: Tables, sequence: number): JournalCommand {
  const { scope } = tables.entries.get(sequence);
  return {
    type: 'AppendEntry',
    entry: {
      author: SYSTEM_IDENTITY,
      emergency_reason: null,
      entry_type: 'Rollback',
      expires: entrySeq(sequence),
      message: `The ttl of entry ${String(sequence)} ran out`,
      parent: null,
      policy_ref: null,
      scope,
      state_delta: null,
      ttl_seconds: null,
    },
  };
}

function windowSeconds(tables: Tables, emergency: ActiveEmergency): number {
  if (emergency.ttl_seconds !== null) return emergency.ttl_seconds;
  const { scope } = emergency;
  const vcluster =
    scope === 'Global' ? null : 'VCluster' in scope ? scope.VCluster : tables.nodes.assignment(scope.Node);
  const policy = vcluster === null ? defaultPolicy('') : tables.policies.get(vcluster);
  return policy.emergency_window_seconds;
}

/** Emergencies under way, in the order in which they started. */
export function emergencies(tables: Tables, now: Timestamp): readonly EmergencyStatus[] {
  const nowMs = timestampToMs(now) ?? -Infinity;
  return Array.from(tables.emergencies.all(), (emergency) => {
    const endMs = (timestampToMs(emergency.started_at) ?? 0) + windowSeconds(tables, emergency) * 1000;
    return { ...emergency, window_ends_at: msToTimestamp(endMs), stale: nowMs > endMs };
  });
}

/** Nodes that differ from their vCluster, in the order in which they became known. */
export function* deviatingNodes(
  tables: Tables,
  deltas: NodeDeltas,
  vclusterId: VClusterId | undefined,
): Generator<DeviatingNode, void, undefined> {
  const nodes = vclusterId === undefined ? tables.nodes.all() : tables.nodes.membersOf(vclusterId);
  for (const node of nodes) {
    let deviations = 0;
    let expires: Timestamp | null = null;
    for (const cell of deltas.deviatingCells(node.node_id)) {
      deviations += 1;
      const due = cell.setBy < 0 ? undefined : tables.expiryOf(cell.setBy);
      if (due !== undefined && (expires === null || due < expires)) expires = due;
    }
    if (deviations === 0) continue;
    yield {
      node_id: node.node_id,
      vcluster_id: assignedTo(node),
      config_state: tables.stateOf(node),
      delta: deltas.get(node.node_id).delta,
      deviations,
      expires_at: expires,
    };
  }
}

/** Node states by vCluster, ascending by its id; nodes without one come first. */
export function stateSummaries(tables: Tables): readonly StateSummary[] {
  const counts = new Map<VClusterId | null, Record<ConfigState, number>>();
  for (const node of tables.nodes.all()) {
    const vcluster = assignedTo(node);
    let states = counts.get(vcluster);
    if (states === undefined) {
      states = { ObserveOnly: 0, Committed: 0, Drifted: 0, Converging: 0, Emergency: 0 };
      counts.set(vcluster, states);
    }
    states[tables.stateOf(node)] += 1;
  }
  return [...counts]
    .map(([vcluster_id, states]) => ({
      vcluster_id,
      nodes: Object.values(states).reduce((a, b) => a + b, 0),
      states,
    }))
    .sort((a, b) => ((a.vcluster_id ?? '') < (b.vcluster_id ?? '') ? -1 : 1));
}

/** Nodes that are in state Drifted. */
export function* driftedNodes(tables: Tables): Generator<DriftedNode, void, undefined> {
  for (const node of tables.nodes.all()) {
    if (tables.stateOf(node) !== 'Drifted') continue;
    const report = newestDrift(tables, node.node_id);
    const entry = report === undefined ? undefined : tables.entries.get(report);
    yield {
      node_id: node.node_id,
      vcluster_id: assignedTo(node),
      sequence: entry?.sequence ?? null,
      since: entry?.timestamp ?? null,
    };
  }
}

/** The newest report of drift among a node's entries. */
function newestDrift(tables: Tables, nodeId: ComputeNodeId): number | undefined {
  let at = tables.scopes.findNode(nodeId)?.newest ?? -1;
  while (at >= 0 && tables.entries.typeOf(at) !== 'DriftDetected') at = tables.entries.previousOfScope(at);
  return at < 0 ? undefined : at;
}
