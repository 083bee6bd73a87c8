import type {
  AdminOperation,
  CommandResult,
  ComputeNodeId,
  ConfigEntry,
  Scope,
  VClusterId,
} from '../types.ts';

/** What one command changed, for those who follow the journal: subscriptions and the overlay builder. */
export interface StateChanges {
  /** The entry that was appended. Its strings may be parts of the command's text: to keep one keeps all of that. */
  readonly entry?: ConfigEntry;
  /** The operation that was recorded. */
  readonly operation?: AdminOperation;
  /** vClusters whose overlays are older than their configuration or policy now; `all` after a global change. */
  readonly staleOverlays: 'all' | readonly VClusterId[];
  /** The vCluster whose policy was set. */
  readonly policy?: VClusterId;
  /** The vCluster whose overlay was stored. */
  readonly overlay?: VClusterId;
  /** The node that became known or whose own reported state changed. */
  readonly nodeState?: ComputeNodeId;
  /** The node that moved to or from a vCluster. */
  readonly assignment?: ComputeNodeId;
  /** The exporter's cursor that moved. */
  readonly cursor?: string;
  /** The scope, all of whose nodes entered or left an emergency. */
  readonly emergency?: Scope;
}

export interface ApplyOutcome {
  readonly result: CommandResult;
  readonly changes: StateChanges;
  /** True where the request id was known and `result` is the first answer. */
  readonly repeated: boolean;
}

export const NO_VCLUSTERS: readonly VClusterId[] = Object.freeze([]);
export const NO_CHANGES: StateChanges = Object.freeze({ staleOverlays: NO_VCLUSTERS });
export const OK: CommandResult = Object.freeze({ type: 'Ok' });
