export * from './types.ts';
export type * from './view.ts';
export { JournalState } from './journal-state.ts';
export type { JournalStateOptions } from './journal-state.ts';
export type { ApplyOutcome, StateChanges } from './apply/outcome.ts';
export { SYSTEM_IDENTITY } from './apply/system.ts';
export { changesConfiguration } from './parse/entry.ts';
export { JournalStateError, isJournalStateError } from './errors.ts';
export type { JournalStateErrorCode } from './errors.ts';
export type { Sha256 } from './canonical.ts';
export { canonicalJson } from './canonical.ts';
export * from './limits.ts';
export { msToTimestamp, timestampToMs } from './timestamp.ts';
export { deltaSize, emptyDelta, parseStateDelta } from './parse/delta.ts';
export { ENTRY_TYPES, parseIdentity, parseNewEntry } from './parse/entry.ts';
export { defaultPolicy, parsePolicy } from './parse/policy.ts';
export { formatScope, parseScope, sameScope } from './parse/scope.ts';
export {
  CONFIG_STATES,
  decodeCommand,
  encodeCommand,
  parseCommand,
  parseEnvelope,
  parseNewOperation,
} from './parse/command.ts';
export { entrySeq, isEntrySeq } from './parse/fields.ts';
export { RestoreBuilder } from './snapshot/restore.ts';
export type { RestoreOptions } from './snapshot/restore.ts';
export { findBrokenLink } from './log/chain-stretch.ts';
export type { ChainStretch } from './log/chain-stretch.ts';
export type { JournalSnapshot, JournalSnapshotSection } from './snapshot/capture.ts';
export type { BlameLine, KeyChange } from './query/history.ts';
export { diffConfigs } from './query/history.ts';
export type {
  ApprovalStatus,
  DeviatingNode,
  DriftedNode,
  EmergencyStatus,
  StateSummary,
} from './query/operations.ts';
export type { PendingApproval } from './tables/approvals.ts';
export { POLICY_ACTIONS } from './policy/actions.ts';
export type { PolicyAction } from './policy/actions.ts';
export type { Evaluation, EvaluationRequest } from './policy/evaluate.ts';
export type { ActiveEmergency } from './tables/emergencies.ts';
