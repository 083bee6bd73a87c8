/** What readers may ask of a journal's state: the interface that overlays, boots and services are written against. */
import type {
  AdminOperation,
  ComputeNodeId,
  ConfigEntry,
  ConfigState,
  DeltaItem,
  DeltaKind,
  EntrySeq,
  EntryType,
  Scope,
  StateDelta,
  VClusterId,
  VClusterPolicy,
} from './types.ts';

/** A key's value in effect, and the entry that set it. */
export interface EffectiveItem {
  readonly value: string | null;
  readonly spec?: DeltaItem['spec'];
  readonly set_by: EntrySeq;
}

/** A scope's configuration in effect: for each kind, its keys in ascending order (code units). */
export type EffectiveConfig = { readonly [Kind in DeltaKind]: ReadonlyMap<string, EffectiveItem> };

/** What a node needs on top of its virtual cluster's overlay. */
export interface NodeDelta {
  readonly node_id: ComputeNodeId;
  /** The latest sequence of the node's own scope; -1 where there is none. */
  readonly version: number;
  /** Add, Modify and Remove items, each kind sorted by key. */
  readonly delta: StateDelta;
}

/** What an overlay is built from, all of the same moment. */
export interface OverlayInput {
  readonly vcluster_id: VClusterId;
  readonly version: EntrySeq;
  readonly config: EffectiveConfig;
  readonly policy: VClusterPolicy;
}

/** A stored overlay; `data` are the zstd bytes themselves. */
export interface StoredOverlay {
  readonly vcluster_id: VClusterId;
  readonly version: EntrySeq;
  readonly data: Uint8Array;
  readonly checksum: string;
  readonly raw_size_bytes: number;
}

export interface EntryFilter {
  readonly scope?: Scope;
  readonly entry_types?: readonly EntryType[];
  readonly author?: string;
  /** Inclusive bounds. */
  readonly from_sequence?: EntrySeq;
  readonly to_sequence?: EntrySeq;
  /** The newest n matches, oldest of them first. */
  readonly limit?: number;
}

export interface NodeSummary {
  readonly node_id: ComputeNodeId;
  readonly vcluster_id: VClusterId | null;
  readonly config_state: ConfigState;
  /** Number of keys in which its own scope differs from its virtual cluster. */
  readonly deviations: number;
}

/**
 * Read access to the local replica. All answers are of the last applied command; none scans the journal.
 * Returned objects are immutable and stay valid.
 */
export interface JournalView {
  /** Number of entries; the next sequence. */
  readonly entryCount: number;
  /** `sha256:<hex>` of the newest entry, or of nothing. */
  readonly headHash: string;
  entry(sequence: EntrySeq): ConfigEntry | undefined;
  entries(filter: EntryFilter): Iterable<ConfigEntry>;
  operations(filter: { readonly from?: number; readonly limit?: number }): Iterable<AdminOperation>;
  readonly operationCount: number;

  /** Effective configuration of a scope now: global, plus the virtual cluster's, plus the node's. */
  effectiveConfig(scope: Scope): EffectiveConfig;
  /**
   * What an entry changed in what its own scope declares, with previous values: its own delta, or what a rollback
   * brought back and took away. Empty for entries that change no configuration.
   * @throws JournalStateError `unknownSequence`
   */
  effectOf(sequence: EntrySeq): StateDelta;
  /** Constant time. Removals are told even of keys that the node's present virtual cluster does not have. */
  nodeDelta(nodeId: ComputeNodeId): NodeDelta;
  nodeState(nodeId: ComputeNodeId): ConfigState | undefined;
  assignment(nodeId: ComputeNodeId): VClusterId | undefined;
  nodes(): Iterable<NodeSummary>;

  /** True once any entry, policy, overlay or assignment has named it. */
  knowsVCluster(vclusterId: VClusterId): boolean;
  vclusters(): Iterable<VClusterId>;
  /** The latest sequence that affects the virtual cluster (its own or global, configuration or policy); undefined where there is none. */
  vclusterVersion(vclusterId: VClusterId): EntrySeq | undefined;
  /** The policy in force: the stored one or the defaults. */
  policy(vclusterId: VClusterId): VClusterPolicy;
  overlay(vclusterId: VClusterId): StoredOverlay | undefined;
  /** Undefined where `vclusterVersion` is: an overlay without a version is never stored. */
  overlayInput(vclusterId: VClusterId): OverlayInput | undefined;
}
