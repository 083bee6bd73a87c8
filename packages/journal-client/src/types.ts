/** What the client gives and takes beside the journal's own types. Field names are those of the journal's JSON. */
import type {
  ComputeNodeId,
  ConfigState,
  EntrySeq,
  Identity,
  Scope,
  StateDelta,
  Timestamp,
  VClusterId,
} from '@pact-journal/journal-state';

/** Where a command is in the Raft log. */
export interface CommandReceipt {
  readonly index: number;
  readonly term: number;
}

/** Where an entry is in the journal and in the Raft log. */
export interface EntryReceipt extends CommandReceipt {
  readonly sequence: number;
  /** It has no effect until a second person approves it: `sequence` is the approval's id. */
  readonly pending_approval?: true;
}

/** A change that waits for a second person. */
export interface PendingApproval {
  readonly approval_id: string;
  /** What is to be done: `commit`, `rollback`, `policy_update`, ... */
  readonly action: string;
  /** `global`, `vcluster V` or `node N`. */
  readonly scope: string;
  readonly requester: string;
  /** `pending`, or `expired` where the journal is about to say so. */
  readonly status: string;
  readonly created_at: Timestamp;
  readonly expires_at: Timestamp;
}

/** Whether somebody may do something. */
export interface PolicyEvaluation {
  readonly authorized: boolean;
  readonly policy_ref: string;
  /** Why not; where it is authorized: what a policy that only warns has against it. */
  readonly denial_reason: string | null;
  /** Set where a second person must approve; the id is empty while nobody has asked. */
  readonly approval: { readonly approval_type: string; readonly pending_approval_id: string } | null;
}

/** What to ask a policy. */
export interface PolicyQuestion {
  readonly author: Identity;
  readonly scope: Scope;
  /** `commit`, `exec`, `emergency_start`, ... */
  readonly action: string;
  readonly proposed_change?: StateDelta;
  readonly command?: string;
}

export interface MemberStatus {
  readonly id: number;
  /** `leader`, `follower` or `learner`. */
  readonly role: string;
  /** The last log index known to be on it; null where only the leader could know. */
  readonly match_index: number | null;
  /** Where clients, peers and scrapers reach it. */
  readonly grpc: string;
  readonly raft: string;
  readonly metrics: string;
  /** The leader has heard from it lately; null where only the leader could know. */
  readonly active: boolean | null;
  /** Committed log entries that are not known to be on it; null where only the leader could know. */
  readonly lag_entries: number | null;
  /** How old the oldest of these is, in milliseconds, as far as the leader remembers; null where it cannot know. */
  readonly lag_ms: number | null;
  /** A learner that is given a vote once it has caught up. */
  readonly promoting: boolean;
  /** Of the program that it runs; empty where the node that answered has not heard it say so. */
  readonly version: string;
}

/** The file system below a node's data directory. Sizes in bytes. */
export interface DiskStatus {
  readonly data_dir: string;
  /** What the journal takes there. */
  readonly used_bytes: number;
  /** What it may still take. */
  readonly free_bytes: number;
  /** Of the whole file system. */
  readonly total_bytes: number;
}

/** A certificate that a node presents or trusts. */
export interface CertificateStatus {
  /** What it is for, for example `peer` or `client CA`. */
  readonly purpose: string;
  readonly subject: string;
  /** The file that it was read from. */
  readonly path: string;
  readonly not_after: Timestamp;
}

/** Something that an operator must look at. */
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
  /** 0 for none. */
  readonly snapshot_index: number;
  readonly entries: number;
  readonly operations: number;
  readonly head_hash: string;
  readonly version: string;
  readonly uptime_ms: number;
  readonly insecure: boolean;
  /** Of the node that answered, like what follows; null where its file system does not tell. */
  readonly disk: DiskStatus | null;
  /** Empty without TLS. */
  readonly certificates: readonly CertificateStatus[];
}

export interface NewLearner {
  /** Never used before in this group. */
  readonly id: number;
  readonly raft: string;
  readonly grpc: string;
  readonly metrics: string;
  /** Give it a vote once it has caught up. */
  readonly auto_promote: boolean;
}

export interface SnapshotReport extends CommandReceipt {
  readonly size_bytes: number;
  readonly written_bytes: number;
}

/** A node's state in one value, to be compared at equal indexes. */
export interface StateDigest {
  readonly node_id: number;
  readonly applied_index: number;
  readonly digest: string;
  readonly head_hash: string;
  readonly entries: number;
  readonly operations: number;
}

/** A replica that starts anew from the leader's state. */
export interface RebuildReport {
  readonly node_id: number;
  /** Log index of the state that it starts from. */
  readonly index: number;
  readonly fetched_bytes: number;
}

/** A restore point in a backup. */
export interface BackupReport extends CommandReceipt {
  /** Number of journal entries in it. */
  readonly entries: number;
  /** Of everything that it needs. */
  readonly size_bytes: number;
  /** Of which the store did not have so much yet. */
  readonly sent_bytes: number;
  readonly digest: string;
  readonly url: string;
}

/** How a node's export is doing. What a node does not know is null: only the leader exports. */
export interface BackupStatus {
  readonly node_id: number;
  /** Empty where none is configured. */
  readonly url: string;
  readonly exporting: boolean;
  /** Everything up to this log index can be restored. */
  readonly exported_index: number | null;
  /** Committed log entries that cannot be restored yet. */
  readonly lag_entries: number | null;
  /** For how long the oldest of them has been waiting. */
  readonly lag_seconds: number | null;
  /** Why it fails at the moment; empty where it does not. */
  readonly failure: string;
  readonly last_snapshot: Timestamp | null;
}

/** What an entry would do. */
export interface EntryPreview {
  readonly delta: StateDelta;
  readonly affected_nodes: number;
  readonly affected_vclusters: number;
  /** Why it would be refused; empty where it would not. */
  readonly refusal: string;
  /** It would wait for a second person. */
  readonly wants_approval: boolean;
}

/** What became of a policy that was to be set. */
export type PolicyReceipt =
  | { readonly policy_ref: string }
  /** Not in force yet: it waits for a second person, under this id. */
  | { readonly pending_approval: true; readonly approval_id: string };

/** An emergency that has not ended. */
export interface EmergencyStatus {
  readonly sequence: number;
  readonly scope: Scope;
  readonly author: Identity;
  readonly reason: string;
  readonly started_at: Timestamp;
  readonly window_ends_at: Timestamp;
  /** It has outlived its window. */
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
  /** Only those that differ from their virtual cluster. */
  readonly deviating_only: boolean;
  readonly limit?: number;
}

export interface HistoryFilter {
  readonly scope: Scope | undefined;
  /** Only the newest n, oldest of them first. */
  readonly limit: number | undefined;
}

/** Overlay bytes as they are served; the checksum has been verified by nobody yet. */
export interface OverlayData {
  readonly vcluster_id: VClusterId;
  readonly version: number;
  readonly data: Uint8Array;
  readonly checksum: string;
}

/** A node's name and state. */
export interface NodeState {
  readonly node_id: ComputeNodeId;
  readonly config_state: ConfigState;
}
