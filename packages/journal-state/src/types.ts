/**
 * The journal's vocabulary. A value of these types *is* its JSON: field names are those on disk, in `--json` and in
 * `bytes` fields on the wire, so nothing is renamed on the way and nothing can get lost in a mapper.
 */

declare const brand: unique symbol;

/** Position of an entry in the journal: a safe integer from 0, without gaps. */
export type EntrySeq = number & { readonly [brand]: 'EntrySeq' };

/** RFC 3339 in UTC with milliseconds: `2026-11-24T08:00:00.000Z`. Sorts as text. */
export type Timestamp = string;

export type VClusterId = string;
/** A compute node's name, not a Raft node's id. */
export type ComputeNodeId = string;

export type EntryType =
  | 'Commit'
  | 'Rollback'
  | 'AutoConverge'
  | 'DriftDetected'
  | 'CapabilityChange'
  | 'PolicyUpdate'
  | 'BootConfig'
  | 'EmergencyStart'
  | 'EmergencyEnd'
  | 'ExecLog'
  | 'ShellSession'
  | 'ServiceLifecycle'
  | 'PendingApproval';

/** What an entry concerns. Later scopes in this order win by key: global, virtual cluster, node. */
export type Scope = 'Global' | { readonly VCluster: VClusterId } | { readonly Node: ComputeNodeId };

export type PrincipalType = 'Human' | 'Agent' | 'Service';

/** Who did it: an OIDC subject, or a principal of the system's own (`system:journal`). */
export interface Identity {
  readonly principal: string;
  readonly principal_type: PrincipalType;
  readonly role: string;
}

export type DeltaAction = 'Add' | 'Remove' | 'Modify';

/** The seven kinds of declared state, in canonical order. */
export const DELTA_KINDS = ['mounts', 'files', 'network', 'services', 'kernel', 'packages', 'gpu'] as const;
export type DeltaKind = (typeof DELTA_KINDS)[number];

/** A mount as declared (mount(8)). */
export interface MountSpec {
  readonly fs_type: string;
  readonly source: string;
  /** Comma-separated, as in /proc/self/mountinfo. */
  readonly options: string;
  readonly read_only: boolean;
}

/** A file's attributes. */
export interface FileSpec {
  /** Permission bits, for example 0o644; at most 0o7777. */
  readonly mode?: number;
  /** `user:group` */
  readonly owner?: string;
}

/**
 * One key's change. `key` is the mount point, path, interface, unit, sysctl, package name or GPU index; `value` the
 * mount's source, the file's content hash (`sha256:<hex>`), the interface's detail, the service's declared state, the
 * sysctl's value, the package's version or the GPU's detail.
 */
export interface DeltaItem {
  readonly action: DeltaAction;
  readonly key: string;
  readonly value: string | null;
  /** What was there before, where it is known. */
  readonly previous: string | null;
  /** Mounts: a MountSpec; files: a FileSpec; absent for other kinds. */
  readonly spec?: MountSpec | FileSpec;
  /** Mounts: what was mounted before, where it is known. */
  readonly previous_spec?: MountSpec;
}

/** A change of declared state. All seven arrays are always present. */
export type StateDelta = { readonly [Kind in DeltaKind]: readonly DeltaItem[] };

/** What a client asks to append: the journal adds sequence, timestamp and hash. */
export interface NewConfigEntry {
  readonly entry_type: EntryType;
  readonly scope: Scope;
  readonly author: Identity;
  /** An earlier entry that this one continues; for a Rollback, the entry whose state is restored. */
  readonly parent: EntrySeq | null;
  readonly state_delta: StateDelta | null;
  readonly policy_ref: string | null;
  /** 900 (15 minutes) to 864,000 (10 days) seconds. */
  readonly ttl_seconds: number | null;
  readonly emergency_reason: string | null;
  /** The author's words. */
  readonly message?: string;
  /** On the Rollback that ends a ttl: the entry that ran out. */
  readonly expires?: EntrySeq;
}

export interface ConfigEntry extends NewConfigEntry {
  readonly sequence: EntrySeq;
  readonly timestamp: Timestamp;
  /** `sha256:<hex>` over the predecessor's hash (as this text) and this entry's canonical JSON without `hash`. */
  readonly hash: string;
  /** On the PolicyUpdate that a SetPolicy command appends: the policy that was set; on its PendingApproval: is to be. */
  readonly policy?: VClusterPolicy;
  /** On a PendingApproval that asks: what the rest of this entry becomes once a second person approves it. */
  readonly proposal?: Proposal;
  /** On the entry that an approval brought about, or that records why there is none. */
  readonly decision?: Decision;
}

/** What a second person is asked to approve. */
export interface Proposal {
  /** Of the entry that approval appends. */
  readonly entry_type: EntryType;
  /** From this time on it can no longer be approved. */
  readonly expires_at: Timestamp;
}

export type ApprovalOutcome = 'approved' | 'rejected' | 'expired';

/** What became of a proposal. */
export interface Decision {
  /** Who decided: another person than its author, or `system:journal` where its time ran out. */
  readonly by: Identity;
  readonly outcome: ApprovalOutcome;
  /** The PendingApproval entry that asked. */
  readonly pending: EntrySeq;
  readonly reason: string | null;
}

export type ConfigState = 'ObserveOnly' | 'Committed' | 'Drifted' | 'Converging' | 'Emergency';

export type EnforcementMode = 'observe' | 'warn' | 'enforce';

export interface RoleBinding {
  readonly role: string;
  readonly principals: readonly string[];
  readonly allowed_actions: readonly string[];
}

/** A virtual cluster's policy, with the field names of the wire. */
export interface VClusterPolicy {
  readonly vcluster_id: VClusterId;
  readonly policy_id: string;
  readonly updated_at: Timestamp | null;
  readonly drift_sensitivity: number;
  readonly base_commit_window_seconds: number;
  readonly emergency_window_seconds: number;
  readonly auto_converge_categories: readonly string[];
  readonly require_ack_categories: readonly string[];
  readonly enforcement_mode: EnforcementMode;
  readonly role_bindings: readonly RoleBinding[];
  readonly regulated: boolean;
  readonly two_person_approval: boolean;
  readonly audit_retention_days: number;
  readonly federation_template: string | null;
  readonly supervisor_backend: string;
  readonly exec_whitelist: readonly string[];
  readonly shell_whitelist: readonly string[];
  readonly emergency_allowed: boolean;
  readonly ai_exec_allowed: boolean;
}

/** A pre-computed boot overlay as it is stored through `SetOverlay`. */
export interface BootOverlay {
  readonly vcluster_id: VClusterId;
  /** The latest sequence that affects the virtual cluster, as of the build. */
  readonly version: EntrySeq;
  /** zstd bytes, base64 in JSON. At most 10 MiB decoded. */
  readonly data: string;
  /** `sha256:<hex>` of the decoded data. */
  readonly checksum: string;
  /** Length of the content before compression, in bytes. */
  readonly raw_size_bytes: number;
}

export type AdminOperationType = 'Exec' | 'ShellStart' | 'ShellEnd';

/** One remote command or shell session, as an administrator did it. */
export interface NewAdminOperation {
  /** The client's own id for it, unique among operations. */
  readonly operation_id: string;
  readonly operation_type: AdminOperationType;
  readonly author: Identity;
  readonly scope: Scope;
  /** The command line, or the session's id. */
  readonly detail: string;
  /** Exit status, where it is known. */
  readonly exit_code: number | null;
  /** When it happened, by the clock of the machine it happened on. */
  readonly occurred_at: Timestamp;
}

export interface AdminOperation extends NewAdminOperation {
  /** Position in the audit log, from 0. */
  readonly audit_sequence: number;
  readonly timestamp: Timestamp;
  readonly hash: string;
}

/** How far something that carries the journal elsewhere has got, so that whoever leads next goes on from there. */
export interface ExportCursor {
  /** Who carries, for example `loki`; an id of at most 64 bytes. */
  readonly name: string;
  /** Entries before this one have arrived. */
  readonly next_sequence: number;
  /** What the exporter needs to know to go on; at most 1 KiB, of no meaning to the journal. */
  readonly detail: string;
}

/** What can be asked of the state machine. */
export type JournalCommand =
  | { readonly type: 'AppendEntry'; readonly entry: NewConfigEntry }
  | { readonly type: 'UpdateNodeState'; readonly node_id: ComputeNodeId; readonly state: ConfigState }
  | {
      readonly type: 'SetPolicy';
      readonly vcluster_id: VClusterId;
      readonly policy: VClusterPolicy;
      readonly author: Identity;
      readonly message?: string;
    }
  | { readonly type: 'SetOverlay'; readonly overlay: BootOverlay }
  | { readonly type: 'RecordOperation'; readonly operation: NewAdminOperation }
  | { readonly type: 'AssignNode'; readonly node_id: ComputeNodeId; readonly vcluster_id: VClusterId | null }
  | { readonly type: 'MoveCursor'; readonly cursor: ExportCursor }
  | {
      readonly type: 'DecideApproval';
      /** The PendingApproval entry. */
      readonly pending: EntrySeq;
      readonly approver: Identity;
      /** `expired` is the leader's own, once the time is up. */
      readonly decision: ApprovalOutcome;
      readonly reason?: string;
    };

/** A command as it is replicated: the leader adds the time, so that no replica needs a clock. */
export interface CommandEnvelope {
  readonly time: Timestamp;
  /** The client's idempotency key, 1 to 128 characters. */
  readonly request_id?: string;
  readonly command: JournalCommand;
}

/** Why a command was refused. */
export const VALIDATION_CODES = [
  'malformed',
  'anonymousAuthor',
  'parentNotBefore',
  'parentUnknown',
  'ttlOutOfRange',
  'emergencyActive',
  'noEmergency',
  'emergencyNotAllowed',
  'principalNotAllowed',
  'overlayChecksum',
  'overlayVersion',
  'overlayTooLarge',
  'tooLarge',
  'vclusterMismatch',
  'duplicateOperation',
  'outOfOrder',
  'approvalUnknown',
  'approvalDecided',
  'approvalExpired',
  'approvalNotExpired',
  'selfApproval',
] as const;
export type ValidationCode = (typeof VALIDATION_CODES)[number];

export type CommandResult =
  | { readonly type: 'Ok' }
  | {
      readonly type: 'EntryAppended';
      readonly sequence: EntrySeq;
      /** The entry is a PendingApproval that has no effect until a second person approves it. */
      readonly pending?: true;
    }
  | { readonly type: 'ValidationError'; readonly code: ValidationCode; readonly reason: string };
