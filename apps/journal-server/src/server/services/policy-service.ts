/** PolicyService: a virtual cluster's policy. */
import { status } from '@grpc/grpc-js';
import { identityFromWire, policy, policyFromWire, policyToWire } from '@pact-journal/journal-proto';
import { CallError } from '../grpc-status.ts';
import { invalid, requiredId, type ServiceContext } from './context.ts';

const methods = policy.PolicyServiceDefinition;

export function policyService({ rpc, writer, journal: state }: ServiceContext): policy.PolicyServiceServer {
  return {
    getEffectivePolicy: rpc.unary(methods.getEffectivePolicy, (request) =>
      policyToWire(state().policy(requiredId(request.vclusterId, 'vcluster_id'))),
    ),
    updatePolicy: rpc.leader(methods.updatePolicy, async (request, { requestId, author: known }) => {
      const vcluster_id = requiredId(request.vclusterId, 'vcluster_id');
      if (
        request.policy !== undefined &&
        request.policy.vclusterId !== '' &&
        request.policy.vclusterId !== vcluster_id
      ) {
        throw invalid(
          `policy.vcluster_id: is ${request.policy.vclusterId}, but the request is for ${vcluster_id}; they must agree`,
        );
      }
      const given = policyFromWire(
        request.policy === undefined ? undefined : { ...request.policy, vclusterId: vcluster_id },
      );
      const author = known ?? identityFromWire(request.author);
      const message = request.message === '' ? {} : { message: request.message };
      await writer.append({ type: 'SetPolicy', vcluster_id, policy: given, author, ...message }, requestId);
      return { success: true, policyRef: state().policy(vcluster_id).policy_id, error: undefined };
    }),
    evaluate: rpc.unary(
      methods.evaluate,
      notYet('policies are stored and shown, but not evaluated, by this version'),
    ),
    listPendingApprovals: rpc.unary(
      methods.listPendingApprovals,
      notYet('two-person approval is not part of this version'),
    ),
    decideApproval: rpc.unary(
      methods.decideApproval,
      notYet('two-person approval is not part of this version'),
    ),
  };
}

function notYet(details: string): () => never {
  return () => {
    throw new CallError(status.UNIMPLEMENTED, details);
  };
}
