import { applyEnvelope, validationError } from './apply/apply.ts';
import { NO_CHANGES } from './apply/outcome.ts';
import type { ApplyOutcome } from './apply/outcome.ts';
import type { Sha256 } from './canonical.ts';
import { EffectiveConfigs } from './config/effective.ts';
import { NodeDeltas } from './config/node-delta.ts';
import { decodeJson } from './parse/command.ts';
import { findEntries, findOperations } from './query/entries.ts';
import { captureSnapshot } from './snapshot/capture.ts';
import type { JournalSnapshot } from './snapshot/capture.ts';
import { assignedTo } from './tables/nodes.ts';
import { Tables } from './tables/tables.ts';
import type {
  AdminOperation,
  CommandEnvelope,
  ComputeNodeId,
  ConfigEntry,
  ConfigState,
  EntrySeq,
  Scope,
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
  /** SHA-256 over bytes. The default is plain JavaScript; on Node give it `node:crypto`'s, which is several times faster. */
  readonly sha256?: Sha256;
}

/**
 * The journal: entries and operations in order, and what follows from them. Deterministic: replicas that apply the same
 * commands in the same order have the same state, the same answers and the same digest, however the commands were
 * batched and wherever a snapshot was taken and restored in between.
 *
 * Everything is in memory; making commands and snapshots durable is the caller's part.
 */
export class JournalState implements JournalView {
  readonly #tables: Tables;
  readonly #configs: EffectiveConfigs;
  readonly #deltas: NodeDeltas;
  #digest: string | undefined;

  constructor(options: JournalStateOptions = {}, tables: Tables = new Tables(options.sha256)) {
    this.#tables = tables;
    this.#configs = new EffectiveConfigs(tables.entries, tables.scopes, tables.nodes);
    this.#deltas = new NodeDeltas(this.#configs);
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
    let json: unknown;
    try {
      json = decodeJson(bytes, 'command');
    } catch (error) {
      return { result: validationError(error), changes: NO_CHANGES, repeated: false };
    }
    return applyEnvelope(this.#tables, json);
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

  // -- configuration --------------------------------------------------------------------------------------------

  effectiveConfig(scope: Scope): EffectiveConfig {
    return this.#configs.get(scope);
  }

  nodeDelta(nodeId: ComputeNodeId): NodeDelta {
    return this.#deltas.get(nodeId);
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
