/** Answers in the journal's own types. All fail with `malformed`, or journal-proto's `WireError` that becomes it. */
import {
  identityFromWire,
  scopeFromWire,
  scopeToWire,
  stateDeltaFromWire,
  timestampFromWire,
} from '@pact-journal/journal-proto';
import type { config, journal, policy } from '@pact-journal/journal-proto';
import type { Scope, StateDelta } from '@pact-journal/journal-state';
import { JournalClientError } from './errors.ts';
import type {
  ClusterStatus,
  CommandReceipt,
  DiskStatus,
  EmergencyStatus,
  MemberStatus,
  PendingApproval,
  PolicyEvaluation,
} from './types.ts';

export function receiptFromWire(receipt: journal.CommandReceipt | undefined): CommandReceipt {
  if (receipt === undefined) {
    throw new JournalClientError('malformed', 'the server acknowledged without saying where the command is');
  }
  return { index: receipt.index, term: receipt.term };
}

export function membersFromWire(answer: {
  readonly members: readonly journal.MemberStatus[];
}): readonly MemberStatus[] {
  return answer.members.map((member) => ({
    id: member.id,
    role: member.role,
    match_index: member.matchIndex ?? null,
    grpc: member.grpc,
    raft: member.raft,
    metrics: member.metrics,
    active: member.active ?? null,
    lag_entries: member.lagEntries ?? null,
    lag_ms: member.lagMs ?? null,
    promoting: member.promoting,
    version: member.version,
  }));
}

function diskFromWire(disk: journal.DiskStatus | undefined): DiskStatus | null {
  if (disk === undefined) return null;
  const { dataDir, usedBytes, freeBytes, totalBytes } = disk;
  return { data_dir: dataDir, used_bytes: usedBytes, free_bytes: freeBytes, total_bytes: totalBytes };
}

export function statusFromWire(status: journal.GetStatusResponse): ClusterStatus {
  return {
    leader_id: status.leaderId,
    term: status.term,
    commit_index: status.commitIndex,
    applied_index: status.appliedIndex,
    members: membersFromWire(status),
    alarms: status.alarms.map((alarm) => ({
      code: alarm.code,
      message: alarm.message,
      since: timestampFromWire(alarm.since, 'alarm.since'),
      node_id: alarm.nodeId,
    })),
    node_id: status.nodeId,
    role: status.role,
    cluster_id: status.clusterId,
    last_index: status.lastIndex,
    snapshot_index: status.snapshotIndex,
    entries: status.entries,
    operations: status.operations,
    head_hash: status.headHash,
    version: status.version,
    uptime_ms: status.uptimeMs,
    insecure: status.insecure,
    disk: diskFromWire(status.disk),
    certificates: status.certificates.map(({ purpose, subject, path, notAfter }) => ({
      purpose,
      subject,
      path,
      not_after: timestampFromWire(notAfter, 'certificate.not_after'),
    })),
  };
}

export function emergencyFromWire(emergency: journal.Emergency): EmergencyStatus {
  return {
    sequence: emergency.sequence,
    scope: scopeFromWire(emergency.scope),
    author: identityFromWire(emergency.author),
    reason: emergency.reason,
    started_at: timestampFromWire(emergency.startedAt, 'started_at'),
    window_ends_at: timestampFromWire(emergency.windowEndsAt, 'window_ends_at'),
    stale: emergency.stale,
  };
}

export function approvalFromWire(approval: policy.PendingApprovalEntry): PendingApproval {
  return {
    approval_id: approval.approvalId,
    action: approval.action,
    scope: approval.scope,
    requester: approval.requester,
    status: approval.status,
    created_at: timestampFromWire(approval.createdAt, 'created_at'),
    expires_at: timestampFromWire(approval.expiresAt, 'expires_at'),
  };
}

export function evaluationFromWire(answer: policy.PolicyEvalResponse): PolicyEvaluation {
  const { authorized, policyRef, denialReason, approval } = answer;
  return {
    authorized,
    policy_ref: policyRef,
    denial_reason: denialReason ?? null,
    approval:
      approval === undefined
        ? null
        : { approval_type: approval.approvalType, pending_approval_id: approval.pendingApprovalId },
  };
}

export function optionalScope(scope: Scope | undefined): config.Scope | undefined {
  return scope === undefined ? undefined : scopeToWire(scope);
}

/** An absent delta changes nothing. */
export function deltaOf(wire: config.StateDelta | undefined): StateDelta {
  return wire === undefined
    ? { mounts: [], files: [], network: [], services: [], kernel: [], packages: [], gpu: [] }
    : stateDeltaFromWire(wire);
}
