import { lowerBound } from '../log/growable.ts';
import type { ComputeNodeId, ConfigState, VClusterId } from '../types.ts';
import { CowTable } from './cow-table.ts';
import type { CapturedTable } from './cow-table.ts';
import { TableDigest, recordDigest } from './table-digest.ts';

/** A node's membership of a vCluster, from the moment when the journal had `at` entries. */
export interface Assignment {
  readonly at: number;
  readonly vcluster_id: VClusterId | null;
}

/** What is stored of a compute node. `state` is what it is outside of emergencies. */
export interface NodeRecord {
  readonly node_id: ComputeNodeId;
  readonly state: ConfigState;
  /** All assignments so far, oldest first; the last one is in force. */
  readonly assignments: readonly Assignment[];
}

const NO_ASSIGNMENTS: readonly Assignment[] = Object.freeze([]);

export const assignedTo = (node: NodeRecord): VClusterId | null =>
  node.assignments.at(-1)?.vcluster_id ?? null;

/** Compute nodes: their states and which vCluster they belong to, now and before. */
export class NodeTable {
  readonly digest = new TableDigest();
  readonly #records = new CowTable<NodeRecord>();
  readonly #numbers = new Map<ComputeNodeId, number>();
  readonly #members = new Map<VClusterId, Set<number>>();

  get size(): number {
    return this.#records.length;
  }

  get(nodeId: ComputeNodeId): NodeRecord | undefined {
    const number = this.#numbers.get(nodeId);
    return number === undefined ? undefined : this.#records.at(number);
  }

  /** All nodes in the order of their first mention. */
  all(): Iterable<NodeRecord> {
    return this.#records;
  }

  /** Nodes that are assigned to a vCluster now. */
  *membersOf(vclusterId: VClusterId): Generator<NodeRecord, void, undefined> {
    for (const number of this.#members.get(vclusterId) ?? []) yield this.#records.at(number);
  }

  /** True if a node was ever assigned to it. */
  wasAssigned(vclusterId: VClusterId): boolean {
    return this.#members.has(vclusterId);
  }

  /** All vClusters that a node was ever assigned to. */
  assignedVClusters(): Iterable<VClusterId> {
    return this.#members.keys();
  }

  assignment(nodeId: ComputeNodeId): VClusterId | null {
    const node = this.get(nodeId);
    return node === undefined ? null : assignedTo(node);
  }

  /** The assignment in force right after `sequence`: made before that entry was appended. */
  assignmentAt(nodeId: ComputeNodeId, sequence: number): VClusterId | null {
    const assignments = this.get(nodeId)?.assignments ?? NO_ASSIGNMENTS;
    const at = lowerBound(
      assignments.map((assignment) => assignment.at),
      sequence + 1,
    );
    return assignments[at - 1]?.vcluster_id ?? null;
  }

  /** Makes the node known, as one that is only observed. */
  ensure(nodeId: ComputeNodeId): NodeRecord {
    const known = this.get(nodeId);
    if (known !== undefined) return known;
    const created: NodeRecord = { node_id: nodeId, state: 'ObserveOnly', assignments: NO_ASSIGNMENTS };
    this.restore(created);
    return created;
  }

  /** Adds a node read back from a snapshot. */
  restore(record: NodeRecord): void {
    const number = this.#records.push(record);
    this.#numbers.set(record.node_id, number);
    for (const { vcluster_id } of record.assignments) if (vcluster_id !== null) this.#membersSet(vcluster_id);
    const vcluster = assignedTo(record);
    if (vcluster !== null) this.#membersSet(vcluster).add(number);
    this.digest.add(nodeDigest(record));
  }

  /** Returns whether that was a change. */
  setState(nodeId: ComputeNodeId, state: ConfigState): boolean {
    const node = this.ensure(nodeId);
    if (node.state === state) return false;
    this.#replace(node, { ...node, state });
    return true;
  }

  /** Assigns a node as of now, when the journal has `at` entries. Returns whether that was a change. */
  assign(nodeId: ComputeNodeId, vclusterId: VClusterId | null, at: number): boolean {
    const node = this.ensure(nodeId);
    const before = assignedTo(node);
    if (before === vclusterId) return false;
    this.#replace(node, { ...node, assignments: [...node.assignments, { at, vcluster_id: vclusterId }] });
    const number = this.#numbers.get(nodeId) ?? 0;
    if (before !== null) this.#membersSet(before).delete(number);
    if (vclusterId !== null) this.#membersSet(vclusterId).add(number);
    return true;
  }

  capture(): CapturedTable<NodeRecord> {
    return this.#records.capture();
  }

  #replace(before: NodeRecord, after: NodeRecord): void {
    this.digest.remove(nodeDigest(before));
    this.digest.add(nodeDigest(after));
    this.#records.set(this.#numbers.get(after.node_id) ?? -1, after);
  }

  #membersSet(vclusterId: VClusterId): Set<number> {
    let members = this.#members.get(vclusterId);
    if (members === undefined) this.#members.set(vclusterId, (members = new Set()));
    return members;
  }
}

const nodeDigest = (node: NodeRecord): { readonly high: number; readonly low: number } =>
  recordDigest(`${node.node_id}\n${node.state}\n${JSON.stringify(node.assignments)}`);
