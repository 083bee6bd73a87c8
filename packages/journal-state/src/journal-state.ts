import { applyEnvelope, checkCommand, validationError } from './apply/apply.ts';
import { proposedType } from './apply/approval.ts';
import { NO_CHANGES } from './apply/outcome.ts';
import type { ApplyOutcome } from './apply/outcome.ts';
import type { Sha256 } from './canonical.ts';
import { EffectiveConfigs } from './config/effective.ts';
import { NodeDeltas } from './config/node-delta.ts';
import { readCommand } from './parse/command.ts';
import { findEntries, findOperations } from './query/entries.ts';
import { blame, checkSequence, diffConfigs, entryEffect, keyHistory } from './query/history.ts';
import type { BlameLine, KeyChange } from './query/history.ts';
import {
  deviatingNodes,
  driftedNodes,
  dueExpirations,
  emergencies,
  pendingApprovals,
  stateSummaries,
} from './query/operations.ts';
import type {
  ApprovalStatus,
  DeviatingNode,
  DriftedNode,
  EmergencyStatus,
  StateSummary,
} from './query/operations.ts';
import { nodesReached } from './query/reach.ts';
import { evaluate } from './policy/evaluate.ts';
import type { Evaluation, EvaluationRequest } from './policy/evaluate.ts';
import { captureSnapshot } from './snapshot/capture.ts';
import type { JournalSnapshot } from './snapshot/capture.ts';
import { assignedTo } from './tables/nodes.ts';
import { Tables } from './tables/tables.ts';
import { msToTimestamp } from './timestamp.ts';
import type {
  AdminOperation,
  CommandEnvelope,
  CommandResult,
  ComputeNodeId,
  ConfigEntry,
  ConfigState,
  DeltaKind,
  EntrySeq,
  ExportCursor,
  JournalCommand,
  NewConfigEntry,
  Scope,
  StateDelta,
  Timestamp,
  VClusterId,
  VClusterPolicy,
} from './types.ts';
import type {
  EffectiveConfig,
  EntryFilter,
  JournalView,
  NodeDelta,
  NodeSummary,
  OverlayInput,
  StoredOverlay,
} from './view.ts';

export interface JournalStateOptions {
  /**
   * The default is plain JavaScript. On Node give it the native one, which is ten times faster: `nativeSha256` of
   * `@pact-journal/journal-state/node`.
   */
  readonly sha256?: Sha256;
}

let adopt: (journal: JournalState, tables: Tables) => void;

/** The journal that these tables are. Not public: tables can be filled in ways in which no command fills them. */
export function journalFrom(tables: Tables): JournalState {
  const journal = new JournalState();
  adopt(journal, tables);
  return journal;
}

/**
 * The journal: entries and operations in order, and what follows from them. Deterministic: replicas that apply the same
 * commands in the same order have the same state, the same answers and the same digest, however the commands were
 * batched and wherever a snapshot was taken and restored in between.
 *
 * Everything is in memory; making commands and snapshots durable is the caller's part.
 */
export class JournalState implements JournalView {
  #tables: Tables;
  #configs: EffectiveConfigs;
  #deltas: NodeDeltas;
  #digest: string | undefined;

  /** An empty journal. One with content comes out of a `RestoreBuilder`. */
  constructor(options: JournalStateOptions = {}) {
    this.#tables = new Tables(options.sha256);
    this.#configs = new EffectiveConfigs(this.#tables);
    this.#deltas = new NodeDeltas(this.#configs);
  }

  static {
    adopt = (journal, tables) => {
      journal.#tables = tables;
      journal.#configs = new EffectiveConfigs(tables);
      journal.#deltas = new NodeDeltas(journal.#configs);
    };
  }

  // -- writing --------------------------------------------------------------------------------------------------

  /**
   * Applies a command. Total: whatever it is given, it answers; what is not acceptable changes nothing but the clock
   * and the memory of request ids. The answer to a repeated request id is the first one's, refusals included.
   */
  apply(envelope: CommandEnvelope): ApplyOutcome {
    this.#digest = undefined;
    return applyEnvelope(this.#tables, envelope);
  }

  /** Applies a command as `encodeCommand` wrote it. Bytes that are not JSON are refused as `malformed`. */
  applyBytes(bytes: Uint8Array): ApplyOutcome {
    this.#digest = undefined;
    let read: ReturnType<typeof readCommand>;
    try {
      read = readCommand(bytes);
    } catch (error) {
      return { result: validationError(error), changes: NO_CHANGES, repeated: false };
    }
    return applyEnvelope(this.#tables, read.envelope, read.entryText);
  }

  /**
   * The `ValidationError` that a command would get as things stand; undefined where it would be accepted. Changes
   * nothing. By the time the command is applied things may stand differently, and an entry may still be too large.
   */
  check(command: JournalCommand): CommandResult | undefined {
    return checkCommand(this.#tables, command);
  }

  /** Whether an entry that is not refused would wait for a second person, as things stand. */
  wantsApproval(entry: NewConfigEntry): boolean {
    return proposedType(this.#tables, entry) !== undefined;
  }

  /**
   * `sha256:<hex>` over the whole state. Equal on replicas that have applied the same commands, so that a replica that
   * went astray is found. Costs a few microseconds after a change, nothing otherwise.
   */
  digest(): string {
    this.#digest ??= this.#tables.digest();
    return this.#digest;
  }

  /** A picture of the state, taken in no time and not disturbed by later commands. Its records are read lazily. */
  snapshot(): JournalSnapshot {
    return captureSnapshot(this.#tables, this.digest());
  }

  // -- entries and operations -----------------------------------------------------------------------------------

  get entryCount(): number {
    return this.#tables.entries.length;
  }

  get headHash(): string {
    return this.#tables.entries.headHash;
  }

  /** The time that the newest record carries, at the least: no later one will have an earlier time. */
  get clock(): Timestamp {
    return this.#tables.clock;
  }

  entry(sequence: EntrySeq): ConfigEntry | undefined {
    const exists = Number.isSafeInteger(sequence) && sequence >= 0 && sequence < this.entryCount;
    return exists ? this.#tables.entries.get(sequence) : undefined;
  }

  entries(filter: EntryFilter = {}): Iterable<ConfigEntry> {
    return findEntries(this.#tables, filter);
  }

  get operationCount(): number {
    return this.#tables.operations.length;
  }

  /** Hash of the newest operation, or of nothing. */
  get operationHeadHash(): string {
    return this.#tables.operations.headHash;
  }

  operations(filter: { readonly from?: number; readonly limit?: number } = {}): Iterable<AdminOperation> {
    return findOperations(this.#tables, filter);
  }

  /** How far an exporter has got; undefined for one that never said. */
  cursor(name: string): ExportCursor | undefined {
    return this.#tables.cursors.get(name);
  }

  // -- configuration --------------------------------------------------------------------------------------------

  effectiveConfig(scope: Scope): EffectiveConfig {
    return this.#configs.get(scope);
  }

  /**
   * The effective configuration of a scope right after entry `sequence`, with the assignment that a node had then.
   * @throws JournalStateError `unknownSequence`
   */
  effectiveConfigAt(scope: Scope, sequence: EntrySeq): EffectiveConfig {
    checkSequence(this.#tables, sequence);
    return this.#configs.getAt(scope, sequence);
  }

  /**
   * What changed in the effective configuration of a scope from right after entry `from` to right after entry `to`
   * (now, where left out).
   * @throws JournalStateError `unknownSequence`
   */
  diff(scope: Scope, from: EntrySeq, to?: EntrySeq): StateDelta {
    const after = to === undefined ? this.effectiveConfig(scope) : this.effectiveConfigAt(scope, to);
    return diffConfigs(this.effectiveConfigAt(scope, from), after);
  }

  /** All that was ever said about a key, oldest first, in one scope or, where none is given, in all. */
  history(kind: DeltaKind, key: string, scope?: Scope): readonly KeyChange[] {
    return keyHistory(this.#tables, kind, key, scope);
  }

  /** For each key in effect in a scope: which scope decides it, and which entry, author and time set it. */
  blame(scope: Scope): Iterable<BlameLine> {
    return blame(this.#tables, this.#configs, scope);
  }

  /**
   * What an entry changed in what its own scope declares: its own delta, or what a rollback brought back and took away.
   * @throws JournalStateError `unknownSequence`
   */
  effectOf(sequence: EntrySeq): StateDelta {
    return entryEffect(this.#tables, sequence);
  }

  nodeDelta(nodeId: ComputeNodeId): NodeDelta {
    return this.#deltas.get(nodeId);
  }

  /**
   * Commands for the leader to propose that end the ttls and the pending approvals which have run out by `now`, each in
   * order of time. One that is applied twice has an effect once.
   */
  dueExpirations(now: Timestamp, limit = 1000): readonly JournalCommand[] {
    return dueExpirations(this.#tables, now, limit);
  }

  /** When the next ttl or approval runs out; undefined where none is pending. */
  get nextExpiration(): Timestamp | undefined {
    const { expirations, approvals } = this.#tables;
    const due = Math.min(expirations.nextDueMs ?? Infinity, approvals.nextDueMs ?? Infinity);
    return due === Infinity ? undefined : msToTimestamp(due);
  }

  /** When the ttl of an entry runs out; undefined where it has none or was ended. */
  expiresAt(sequence: EntrySeq): Timestamp | undefined {
    return this.#tables.expiryOf(sequence);
  }

  // -- nodes ----------------------------------------------------------------------------------------------------

  nodeState(nodeId: ComputeNodeId): ConfigState | undefined {
    const node = this.#tables.nodes.get(nodeId);
    return node === undefined ? undefined : this.#tables.stateOf(node);
  }

  assignment(nodeId: ComputeNodeId): VClusterId | undefined {
    return this.#tables.nodes.assignment(nodeId) ?? undefined;
  }

  *nodes(): Generator<NodeSummary, void, undefined> {
    for (const node of this.#tables.nodes.all()) {
      yield {
        node_id: node.node_id,
        vcluster_id: assignedTo(node),
        config_state: this.#tables.stateOf(node),
        deviations: this.#deltas.deviations(node.node_id),
      };
    }
  }

  /** Number of nodes ever mentioned. */
  get nodeCount(): number {
    return this.#tables.nodes.size;
  }

  /** Nodes assigned to a vCluster, in no particular order. */
  *nodesOf(vclusterId: VClusterId): Generator<ComputeNodeId, void, undefined> {
    for (const node of this.#tables.nodes.membersOf(vclusterId)) yield node.node_id;
  }

  /** Nodes that differ from their vCluster, of one vCluster or of all. */
  deviatingNodes(vclusterId?: VClusterId): Iterable<DeviatingNode> {
    return deviatingNodes(this.#tables, this.#deltas, vclusterId);
  }

  /**
   * Number of nodes whose configuration is another one once these keys of the scope's have changed: where a virtual
   * cluster or a node says something about a key itself, what a wider scope says does not show.
   */
  nodesReached(scope: Scope, delta: StateDelta): number {
    return nodesReached(this.#tables, scope, delta);
  }

  /** Nodes that are in state Drifted. */
  driftedNodes(): Iterable<DriftedNode> {
    return driftedNodes(this.#tables);
  }

  /** How many nodes are in which state, by vCluster. Looks at every node. */
  stateSummaries(): readonly StateSummary[] {
    return stateSummaries(this.#tables);
  }

  /** Emergencies under way; those that have outlived their window by `now` are stale. */
  emergencies(now: Timestamp): readonly EmergencyStatus[] {
    return emergencies(this.#tables, now);
  }

  // -- vClusters ------------------------------------------------------------------------------------------------

  knowsVCluster(vclusterId: VClusterId): boolean {
    return this.#tables.knowsVCluster(vclusterId);
  }

  /** Ascending. */
  vclusters(): Iterable<VClusterId> {
    const { scopes, nodes } = this.#tables;
    return [...new Set([...scopes.vclusterIds(), ...nodes.assignedVClusters()])].sort();
  }

  vclusterVersion(vclusterId: VClusterId): EntrySeq | undefined {
    return this.#tables.vclusterVersion(vclusterId);
  }

  policy(vclusterId: VClusterId): VClusterPolicy {
    return this.#tables.policies.get(vclusterId);
  }

  /** Sequences of the entries that set the vCluster's policy, ascending; each carries the policy that it set. */
  policyHistory(vclusterId: VClusterId): readonly EntrySeq[] {
    return this.#tables.policies.history(vclusterId).slice();
  }

  /** Changes that wait for a second person, oldest first; those whose time is up by `now` are expired. */
  approvals(now: Timestamp): readonly ApprovalStatus[] {
    return pendingApprovals(this.#tables, now);
  }

  /** Whether an author may do something under the policy in force, without doing it. */
  evaluate(request: EvaluationRequest): Evaluation {
    return evaluate(this.#tables, request);
  }

  overlay(vclusterId: VClusterId): StoredOverlay | undefined {
    return this.#tables.overlays.get(vclusterId);
  }

  overlayInput(vclusterId: VClusterId): OverlayInput | undefined {
    const version = this.vclusterVersion(vclusterId);
    if (version === undefined) return undefined;
    const config = this.effectiveConfig({ VCluster: vclusterId });
    return { vcluster_id: vclusterId, version, config, policy: this.policy(vclusterId) };
  }
}
