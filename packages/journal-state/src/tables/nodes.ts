import type { ComputeNodeId, ConfigState, VClusterId } from '../types.ts';
import { CowTable } from './cow-table.ts';
import type { CapturedTable } from './cow-table.ts';
import { TableDigest, extendDigest, recordDigest } from './table-digest.ts';
import type { RecordDigest } from './table-digest.ts';

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
    return this.get(nodeId)?.assignments.findLast(({ at }) => at <= sequence)?.vcluster_id ?? null;
  }

  /** The node's number. Makes it known, as one that is only observed. */
  ensure(nodeId: ComputeNodeId): number {
    return (
      this.#numbers.get(nodeId) ??
      this.restore({ node_id: nodeId, state: 'ObserveOnly', assignments: NO_ASSIGNMENTS })
    );
  }

  /** Adds a node read back from a snapshot, and returns its number. */
  restore(record: NodeRecord): number {
    const number = this.#records.push(record);
    this.#numbers.set(record.node_id, number);
    for (const { vcluster_id } of record.assignments) if (vcluster_id !== null) this.#membersSet(vcluster_id);
    const vcluster = assignedTo(record);
    if (vcluster !== null) this.#membersSet(vcluster).add(number);
    this.digest.add(nodeDigest(record));
    return number;
  }

  /** Sets the state of the node with this number. Returns whether that was a change. */
  setState(number: number, state: ConfigState): boolean {
    const node = this.#records.at(number);
    if (node.state === state) return false;
    this.#replace(number, { ...node, state });
    return true;
  }

  /** Assigns a node as of now, when the journal has `at` entries. Returns whether that was a change. */
  assign(nodeId: ComputeNodeId, vclusterId: VClusterId | null, at: number): boolean {
    const number = this.ensure(nodeId);
    const node = this.#records.at(number);
    const before = assignedTo(node);
    if (before === vclusterId) return false;
    this.#replace(number, { ...node, assignments: [...node.assignments, { at, vcluster_id: vclusterId }] });
    if (before !== null) this.#membersSet(before).delete(number);
    if (vclusterId !== null) this.#membersSet(vclusterId).add(number);
    return true;
  }

  capture(): CapturedTable<NodeRecord> {
    return this.#records.capture();
  }

  #replace(number: number, record: NodeRecord): void {
    this.digest.remove(nodeDigest(this.#records.at(number)));
    this.digest.add(nodeDigest(record));
    this.#records.set(number, record);
  }

  #membersSet(vclusterId: VClusterId): Set<number> {
    let members = this.#members.get(vclusterId);
    if (members === undefined) this.#members.set(vclusterId, (members = new Set()));
    return members;
  }
}

function nodeDigest(node: NodeRecord): RecordDigest {
  let digest = recordDigest(node.state, recordDigest(node.node_id));
  for (const { at, vcluster_id } of node.assignments) {
    digest = extendDigest(recordDigest(vcluster_id ?? '', digest), at, vcluster_id === null ? 0 : 1);
  }
  return digest;
}
