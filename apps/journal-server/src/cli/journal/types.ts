/** The journal as commands see it, in the journal's own JSON types. */
import type {
  AdminOperation,
  ComputeNodeId,
  ConfigEntry,
  ConfigState,
  DeltaKind,
  EntryFilter,
  EntrySeq,
  Identity,
  NewAdminOperation,
  NewConfigEntry,
  NodeSummary,
  Scope,
  StateDelta,
  Timestamp,
  VClusterId,
  VClusterPolicy,
} from '@pact-journal/journal-state';
import type { BlamedItem, NodeDetail, OverlayInfo } from '@pact-journal/journal-proto';

export type { OverlayInfo } from '@pact-journal/journal-proto';

/** Where a command is in the Raft log. */
export interface CommandReceipt {
  readonly index: number;
  readonly term: number;
}

/** Where an entry is in the journal and in the Raft log. */
export interface EntryReceipt extends CommandReceipt {
  readonly sequence: number;
}

export interface MemberStatus {
  readonly id: number;
  /** `leader`, `follower` or `learner`. */
  readonly role: string;
  /** Null where only the leader could know. */
  readonly match_index: number | null;
  readonly grpc: string;
  readonly raft: string;
  readonly metrics: string;
  /** Null where only the leader could know. */
  readonly active: boolean | null;
}

export interface AlarmStatus {
  readonly code: string;
  readonly message: string;
  readonly since: Timestamp;
  readonly node_id: number;
}

/** What one node knows of itself and the group. */
export interface ClusterStatus {
  /** 0 where nobody is known to lead. */
  readonly leader_id: number;
  readonly term: number;
  readonly commit_index: number;
  readonly applied_index: number;
  readonly members: readonly MemberStatus[];
  readonly alarms: readonly AlarmStatus[];
  /** The node that answered, and its role. */
  readonly node_id: number;
  readonly role: string;
  readonly cluster_id: string;
  readonly last_index: number;
  readonly snapshot_index: number;
  readonly entries: number;
  readonly operations: number;
  readonly head_hash: string;
  readonly version: string;
  readonly uptime_ms: number;
  readonly insecure: boolean;
}

export interface NewLearner {
  readonly id: number;
  readonly raft: string;
  readonly grpc: string;
  readonly metrics: string;
  readonly auto_promote: boolean;
}

export interface SnapshotReport extends CommandReceipt {
  readonly size_bytes: number;
  readonly written_bytes: number;
}

/** What an entry would do. */
export interface EntryPreview {
  readonly delta: StateDelta;
  readonly affected_nodes: number;
  readonly affected_vclusters: number;
  /** Why it would be refused; empty where it would not. */
  readonly refusal: string;
}

export interface EmergencyStatus {
  readonly sequence: number;
  readonly scope: Scope;
  readonly author: Identity;
  readonly reason: string;
  readonly started_at: Timestamp;
  readonly window_ends_at: Timestamp;
  readonly stale: boolean;
}

/** A scope's configuration, now or right after an entry. */
export interface ConfigPoint {
  readonly scope: Scope;
  readonly as_of: EntrySeq | undefined;
}

export interface NodeFilter {
  readonly vcluster_id?: VClusterId;
  readonly config_state?: ConfigState;
  readonly deviating_only: boolean;
  readonly limit?: number;
}

/** Overlay bytes as they are served. */
export interface OverlayData {
  readonly vcluster_id: VClusterId;
  readonly version: number;
  readonly data: Uint8Array;
  readonly checksum: string;
}

/** Every method fails with a CliError. Writes are retried until they are decided or time is up, and done once. */
export interface Journal {
  append(entry: NewConfigEntry): Promise<EntryReceipt>;
  preview(entry: NewConfigEntry): Promise<EntryPreview>;
  entry(sequence: EntrySeq): Promise<ConfigEntry>;
  entries(filter: EntryFilter): AsyncIterable<ConfigEntry>;
  /** Applied to the left one it gives the right one. */
  diff(left: ConfigPoint, right: ConfigPoint): Promise<StateDelta>;
  /** Oldest first; each entry has only what it says about the key in its delta. */
  history(kind: DeltaKind, key: string, filter: HistoryFilter): AsyncIterable<ConfigEntry>;
  effectiveConfig(scope: Scope, asOf: EntrySeq | undefined): AsyncIterable<BlamedItem>;

  nodes(filter: NodeFilter): AsyncIterable<NodeSummary>;
  node(nodeId: ComputeNodeId): Promise<NodeDetail>;
  setNodeState(nodeId: ComputeNodeId, state: ConfigState): Promise<CommandReceipt>;
  assignNode(nodeId: ComputeNodeId, vclusterId: VClusterId | null): Promise<CommandReceipt>;

  policy(vclusterId: VClusterId): Promise<VClusterPolicy>;
  setPolicy(
    vclusterId: VClusterId,
    policy: VClusterPolicy,
    author: Identity,
    message: string,
  ): Promise<{ readonly policy_ref: string }>;
  emergencies(filter: { readonly stale_only: boolean }): Promise<readonly EmergencyStatus[]>;

  recordOperation(operation: NewAdminOperation): Promise<CommandReceipt>;
  operations(filter: { readonly from?: number; readonly limit?: number }): AsyncIterable<AdminOperation>;

  overlay(vclusterId: VClusterId): Promise<OverlayData>;
  overlayInfo(vclusterId: VClusterId, options: { readonly stored_only: boolean }): Promise<OverlayInfo>;
  rebuildOverlay(vclusterId: VClusterId): Promise<OverlayInfo>;
  overlays(): AsyncIterable<OverlayInfo>;

  status(): Promise<ClusterStatus>;
  members(): Promise<readonly MemberStatus[]>;
  addLearner(learner: NewLearner): Promise<readonly MemberStatus[]>;
  promoteMember(id: number): Promise<readonly MemberStatus[]>;
  removeMember(id: number): Promise<readonly MemberStatus[]>;
  replaceMember(oldId: number, newId: number): Promise<readonly MemberStatus[]>;
  /** Without `to`: to whoever is best placed. */
  transferLeadership(to: number | undefined): Promise<{ readonly leader_id: number; readonly term: number }>;
  createSnapshot(): Promise<SnapshotReport>;
}

export interface HistoryFilter {
  readonly scope: Scope | undefined;
  readonly limit: number | undefined;
}
