/** PolicyService of one node, as a gRPC client sees it. */
import { status, type ServiceError } from '@grpc/grpc-js';
import { config, policyToWire } from '@pact-journal/journal-proto';
import { defaultPolicy } from '@pact-journal/journal-state';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { append, call, commitOf, stubs, type Stubs } from '../support/calls.ts';
import { TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;
let at: Stubs;

beforeAll(async () => {
  cluster = await TestCluster.start();
  at = stubs(cluster.places[0]?.grpc ?? '');
});

afterAll(async () => {
  at.close();
  await cluster.stop();
});

async function failureOf(attempt: Promise<unknown>): Promise<ServiceError> {
  return attempt.then(
    () => {
      throw new Error('it was accepted');
    },
    (error: ServiceError) => error,
  );
}

const ada = { principal: 'ada', principalType: 'human', role: 'pact-platform-admin' };

test('a change that needs two persons waits until another one approves it, and only then can be seen', async () => {
  const { policy, query, config: entries } = at;
  const scope = { VCluster: 'two' };
  const twoPersons = { ...policyToWire(defaultPolicy('two')), twoPersonApproval: true };
  const update = { vclusterId: 'two', policy: twoPersons, author: ada, message: '' };
  await call(policy, policy.updatePolicy.bind(policy), update);
  const off = await call(policy, policy.updatePolicy.bind(policy), {
    ...update,
    policy: policyToWire(defaultPolicy('two')),
  });
  expect(off).toMatchObject({
    success: false,
    policyRef: '',
    error: expect.stringMatching(/approval \d+/),
  });

  const asked = await append(at, commitOf('kernel.two', 'new', scope));
  const listed = await call(policy, policy.listPendingApprovals.bind(policy), { scopeFilter: 'two' });
  expect(listed.approvals).toMatchObject([
    { action: 'policy_update', scope: 'vcluster two', requester: 'ada', status: 'pending' },
    { action: 'commit', approvalId: String(asked), requester: 'ada', status: 'pending' },
  ]);
  expect(
    (await call(policy, policy.listPendingApprovals.bind(policy), { scopeFilter: 'other' })).approvals,
  ).toEqual([]);
  const question = {
    author: ada,
    scope: { scope: { $case: 'vclusterId' as const, value: 'two' } },
    action: 'commit',
    proposedChange: undefined,
    command: undefined,
  };
  expect(await call(policy, policy.evaluate.bind(policy), question)).toMatchObject({
    authorized: false,
    approval: { approvalType: 'two_person', pendingApprovalId: String(asked) },
  });

  const decide = (approvalId: string, approver: typeof ada, decision = 'approved'): Promise<unknown> =>
    call(policy, policy.decideApproval.bind(policy), { approvalId, approver, decision, reason: 'fine' });
  const bob = { ...ada, principal: 'bob' };
  const id = String(asked);
  expect(await failureOf(decide(id, ada))).toMatchObject({ code: status.FAILED_PRECONDITION });
  expect(await failureOf(decide(id, { ...bob, role: 'pact-viewer-two' }))).toMatchObject({
    code: status.PERMISSION_DENIED,
  });
  expect(await failureOf(decide(id, bob, 'maybe'))).toMatchObject({ code: status.INVALID_ARGUMENT });
  for (const none of ['', 'x', '0', '99999']) {
    expect(await failureOf(decide(none, bob))).toMatchObject({ code: status.NOT_FOUND });
  }
  expect(await decide(id, bob)).toMatchObject({ success: true });
  expect(await failureOf(decide(id, bob))).toMatchObject({ code: status.FAILED_PRECONDITION });

  const { entry } = await call(query, query.getJournalEntry.bind(query), { sequence: asked + 1 });
  expect(entry).toMatchObject({
    entry: { entryType: config.EntryType.COMMIT, author: { principal: 'ada' } },
    decision: { pending: asked, outcome: 'approved', by: { principal: 'bob' }, reason: 'fine' },
  });
  const overlay = await call(entries, entries.getOverlay.bind(entries), { vclusterId: 'two' });
  expect(overlay.version).toBe(asked + 1);
});

test('Evaluate answers by role, whitelist and enforcement mode', async () => {
  const { policy } = at;
  const strict = {
    ...policyToWire(defaultPolicy('strict')),
    enforcementMode: 'enforce',
    execWhitelist: ['ps'],
  };
  const updated = await call(policy, policy.updatePolicy.bind(policy), {
    vclusterId: 'strict',
    policy: strict,
    author: ada,
    message: '',
  });
  const evaluate = (command: string, role = 'pact-ops-strict'): Promise<unknown> =>
    call(policy, policy.evaluate.bind(policy), {
      author: { ...ada, role },
      scope: { scope: { $case: 'vclusterId' as const, value: 'strict' } },
      action: 'exec',
      proposedChange: undefined,
      command,
    });
  expect(await evaluate('ps aux')).toEqual({
    authorized: true,
    policyRef: updated.policyRef,
    denialReason: undefined,
    approval: undefined,
  });
  expect(await evaluate('reboot')).toMatchObject({ authorized: false, denialReason: expect.any(String) });
  expect(await evaluate('ps', 'pact-ops-other')).toMatchObject({ authorized: false });
});
