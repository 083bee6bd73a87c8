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
  /** The nodes' states once more, side by side: most changes change nothing, and need not look at the record for it. */
  readonly #states: ConfigState[] = [];
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
    this.#states.push(record.state);
    this.#numbers.set(record.node_id, number);
    for (const { vcluster_id } of record.assignments) if (vcluster_id !== null) this.#membersSet(vcluster_id);
    const vcluster = assignedTo(record);
    if (vcluster !== null) this.#membersSet(vcluster).add(number);
    const base = nodeDigest(number, record.node_id);
    this.digest.add(stateDigest(base, record.state));
    record.assignments.forEach((assignment, position) => {
      this.digest.add(assignmentDigest(base, position, assignment));
    });
    return number;
  }

  /** Sets the state of the node with this number. Returns whether that was a change. */
  setState(number: number, state: ConfigState): boolean {
    if (this.#states[number] === state) return false;
    const node = this.#records.at(number);
    const base = nodeDigest(number, node.node_id);
    this.digest.remove(stateDigest(base, node.state));
    this.digest.add(stateDigest(base, state));
    this.#records.set(number, { node_id: node.node_id, state, assignments: node.assignments });
    this.#states[number] = state;
    return true;
  }

  /** Assigns a node as of now, when the journal has `at` entries. Returns whether that was a change. */
  assign(nodeId: ComputeNodeId, vclusterId: VClusterId | null, at: number): boolean {
    const number = this.ensure(nodeId);
    const node = this.#records.at(number);
    const before = assignedTo(node);
    if (before === vclusterId) return false;
    const assignment = { at, vcluster_id: vclusterId };
    const base = nodeDigest(number, nodeId);
    this.digest.add(assignmentDigest(base, node.assignments.length, assignment));
    this.#records.set(number, { ...node, assignments: [...node.assignments, assignment] });
    if (before !== null) this.#membersSet(before).delete(number);
    if (vclusterId !== null) this.#membersSet(vclusterId).add(number);
    return true;
  }

  /** Number of changes of the table so far. */
  get changes(): number {
    return this.#records.changes;
  }

  /** After all nodes were restored: see `CowTable.restoreChanges`. */
  restoreChanges(changes: number, changedAt: ReadonlyMap<number, number>): void {
    this.#records.restoreChanges(changes, changedAt);
  }

  capture(): CapturedTable<NodeRecord> {
    return this.#records.capture();
  }

  #membersSet(vclusterId: VClusterId): Set<number> {
    let members = this.#members.get(vclusterId);
    if (members === undefined) this.#members.set(vclusterId, (members = new Set()));
    return members;
  }
}

/** What a node's digests begin with: also its place, because that is the order in which nodes are listed. */
const nodeDigest = (number: number, nodeId: ComputeNodeId): RecordDigest =>
  extendDigest(recordDigest(nodeId), number, 0);

/** A node's digest is the sum of that of its state and those of its assignments, so that each changes by itself. */
const stateDigest = (base: RecordDigest, state: ConfigState): RecordDigest => recordDigest(state, base);

function assignmentDigest(
  base: RecordDigest,
  position: number,
  { at, vcluster_id }: Assignment,
): RecordDigest {
  const digest = extendDigest(base, position + 1, at);
  return vcluster_id === null ? digest : recordDigest(vcluster_id, digest);
}
