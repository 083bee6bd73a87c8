/** PolicyService: a virtual cluster's policy, what it allows, and changes that wait for a second person. */
import { status } from '@grpc/grpc-js';
import {
  decisionGivenFromWire,
  identityFromWire,
  pendingPolicyError,
  policy,
  policyFromWire,
  policyToWire,
  scopeFromWire,
  stateDeltaFromWire,
  timestampToWire,
} from '@pact-journal/journal-proto';
import {
  formatScope,
  isEntrySeq,
  type ApprovalStatus,
  type EntrySeq,
  type EvaluationRequest,
  type Identity,
  type JournalState,
} from '@pact-journal/journal-state';
import { CallError } from '../grpc-status.ts';
import { invalid, notFound, requiredId, type ServiceContext } from './context.ts';

const methods = policy.PolicyServiceDefinition;
const TWO_PERSON = 'two_person';

export function policyService({
  rpc,
  writer,
  journal: state,
  now,
}: ServiceContext): policy.PolicyServiceServer {
  return {
    getEffectivePolicy: rpc.unary(methods.getEffectivePolicy, (request) =>
      policyToWire(state().policy(requiredId(request.vclusterId, 'vcluster_id'))),
    ),
    updatePolicy: rpc.leader(methods.updatePolicy, async (request, { requestId, author }) => {
      const command = setPolicyOf(request, author);
      const { sequence, pendingApproval } = await writer.append(command, requestId);
      if (pendingApproval) {
        return { success: false, policyRef: '', error: pendingPolicyError(String(sequence)) };
      }
      const policyRef = state().entry(sequence)?.policy?.policy_id ?? '';
      return { success: true, policyRef, error: undefined };
    }),
    evaluate: rpc.unary(methods.evaluate, (request, { caller, author }) => {
      const { authorized, policy_ref, reason, approval } = state().evaluate(
        // A compute node asks on behalf of whoever wants something of it.
        questionOf(request, caller.kind === 'user' ? author : undefined),
      );
      return {
        authorized,
        policyRef: policy_ref,
        denialReason: reason,
        approval:
          approval === undefined
            ? undefined
            : { approvalType: TWO_PERSON, pendingApprovalId: approval.pending?.toString() ?? '' },
      };
    }),
    listPendingApprovals: rpc.unary(methods.listPendingApprovals, ({ scopeFilter }) => {
      const pending = state().approvals(now());
      return { approvals: pending.filter((each) => isOfScope(each, scopeFilter)).map(approvalToWire) };
    }),
    decideApproval: rpc.leader(methods.decideApproval, async (request, { requestId, author }) => {
      const pending = approvalIdOf(request.approvalId);
      const approver = author ?? identityFromWire(request.approver, 'approver');
      const decision = decisionGivenFromWire(request.decision);
      checkMayApprove(state(), pending, approver);
      const reason = request.reason === undefined ? {} : { reason: request.reason };
      await writer.append({ type: 'DecideApproval', pending, approver, decision, ...reason }, requestId);
      return { success: true, error: undefined };
    }),
  };
}

function setPolicyOf(request: policy.UpdatePolicyRequest, author: Identity | undefined) {
  const vcluster_id = requiredId(request.vclusterId, 'vcluster_id');
  const named = request.policy?.vclusterId ?? '';
  if (named !== '' && named !== vcluster_id) {
    throw invalid(`policy.vcluster_id: is ${named}, but the request is for ${vcluster_id}; they must agree`);
  }
  const given = request.policy === undefined ? undefined : { ...request.policy, vclusterId: vcluster_id };
  return {
    type: 'SetPolicy' as const,
    vcluster_id,
    policy: policyFromWire(given),
    author: author ?? identityFromWire(request.author),
    ...(request.message === '' ? {} : { message: request.message }),
  };
}

function questionOf(request: policy.PolicyEvalRequest, author: Identity | undefined): EvaluationRequest {
  const { proposedChange, command } = request;
  return {
    action: requiredId(request.action, 'action'),
    author: author ?? identityFromWire(request.author),
    scope: scopeFromWire(request.scope),
    ...(proposedChange === undefined
      ? {}
      : { proposed_change: stateDeltaFromWire(proposedChange, 'proposed_change') }),
    ...(command === undefined ? {} : { command }),
  };
}

/** As the listing shows it, or the name of the virtual cluster or node alone. */
function isOfScope({ scope }: ApprovalStatus, filter: string | undefined): boolean {
  if (filter === undefined || filter === '' || filter === formatScope(scope)) return true;
  if (scope === 'Global') return false;
  return filter === ('VCluster' in scope ? scope.VCluster : scope.Node);
}

function approvalToWire(pending: ApprovalStatus): policy.PendingApprovalEntry {
  return {
    approvalId: String(pending.sequence),
    action: pending.action,
    scope: formatScope(pending.scope),
    requester: pending.requester.principal,
    status: pending.expired ? 'expired' : 'pending',
    createdAt: timestampToWire(pending.created_at, 'created_at'),
    expiresAt: timestampToWire(pending.expires_at, 'expires_at'),
  };
}

function approvalIdOf(text: string): EntrySeq {
  const id = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
  if (isEntrySeq(id)) return id;
  throw notFound(
    `there is no approval ${JSON.stringify(text.slice(0, 40))}: ids are sequences of the journal`,
  );
}

/** Whether it is still pending, and by whom it was asked for, is for the state machine to say. */
function checkMayApprove(state: JournalState, pending: EntrySeq, approver: Identity): void {
  const entry = state.entry(pending);
  if (entry?.proposal === undefined) {
    throw notFound(
      `there is no approval ${String(pending)}; "policy approvals" lists those that are pending`,
    );
  }
  const { authorized, reason } = state.evaluate({ author: approver, scope: entry.scope, action: 'approve' });
  if (!authorized) throw new CallError(status.PERMISSION_DENIED, reason ?? 'the policy does not allow it');
}
