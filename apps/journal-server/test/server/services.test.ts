/** Every service of one node, as a gRPC client sees it. */
import { credentials, status, type ServiceError } from '@grpc/grpc-js';
import {
  journal,
  newEntryToFieldedWire,
  newEntryToWire,
  newOperationToWire,
  policyToWire,
  VALIDATION_CODE_KEY,
} from '@pact-journal/journal-proto';
import { defaultPolicy, type NewAdminOperation } from '@pact-journal/journal-state';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { all, append, call, commitOf, listing, stubs, type Stubs } from '../support/calls.ts';
import { TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;
let at: Stubs;

beforeAll(async () => {
  cluster = await TestCluster.start({ flags: ['--max-message-size', '1MiB'] });
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

describe('ConfigService', () => {
  test('gives each entry the next sequence and a time, and reads it back', async () => {
    const count = (await listing(at)).length;
    const sequence = await append(
      at,
      commitOf('vm.swappiness', '10', { VCluster: 'ml' }, { policy_ref: 'why' }),
    );
    expect(sequence).toBe(count);
    const entry = await call(at.config, at.config.getEntry.bind(at.config), { sequence });
    expect(entry).toMatchObject({
      sequence,
      policyRef: 'why',
      scope: { scope: { $case: 'vclusterId', value: 'ml' } },
      author: ada,
    });
    expect(Math.abs((entry.timestamp?.seconds ?? 0) * 1_000 - Date.now())).toBeLessThan(60_000);
    expect(entry.stateDelta?.kernel).toMatchObject([{ key: 'vm.swappiness', declaredValue: '10' }]);
  });

  test('lists by scope, by range and the newest n, oldest of them first', async () => {
    const sequences: number[] = [];
    for (const value of ['1', '2', '3'])
      sequences.push(await append(at, commitOf('a', value, { Node: 'listed' })));
    const scope = { scope: { $case: 'nodeId' as const, value: 'listed' } };
    const list = async (more: object): Promise<number[]> => {
      const request = { scope, fromSequence: undefined, toSequence: undefined, limit: undefined, ...more };
      return (await all(at.config.listEntries(request))).map((entry) => entry.sequence);
    };
    expect(await list({})).toEqual(sequences);
    expect(await list({ limit: 2 })).toEqual(sequences.slice(1));
    expect(await list({ fromSequence: sequences[1] })).toEqual(sequences.slice(1));
    expect(await list({ toSequence: sequences[1] })).toEqual(sequences.slice(0, 2));
  });

  test('a request id is an idempotency key: the repeat gets the first answer', async () => {
    const headers = { 'x-pact-request-id': 'abc' };
    const first = await append(at, commitOf('a', '1'), headers);
    expect(await append(at, commitOf('a', '2'), headers)).toBe(first);
    expect((await listing(at)).length).toBe(first + 1);
  });

  test('J3: an anonymous author is refused as INVALID_ARGUMENT or by the state machine, and nothing is appended', async () => {
    const before = await listing(at);
    const entry = commitOf('a', '1', 'Global', {
      author: { principal: '', principal_type: 'Human', role: 'r' },
    });
    const error = await failureOf(append(at, entry));
    expect([status.INVALID_ARGUMENT, status.FAILED_PRECONDITION]).toContain(error.code);
    expect(await listing(at)).toEqual(before);
  });

  test("the state machine's refusals are FAILED_PRECONDITION with their code in the trailers", async () => {
    const error = await failureOf(append(at, commitOf('a', '1', 'Global', { ttl_seconds: 5 })));
    expect(error.code).toBe(status.FAILED_PRECONDITION);
    expect(error.metadata.get(VALIDATION_CODE_KEY)).toEqual(['ttlOutOfRange']);
    expect(error.details).toMatch(/900/);
  });

  test('malformed requests are INVALID_ARGUMENT and name the field', async () => {
    const { config } = at;
    expect(
      await failureOf(call(config, config.appendEntry.bind(config), { entry: undefined })),
    ).toMatchObject({ code: status.INVALID_ARGUMENT, details: /entry/ });
    const scopeless = { ...journal.AppendEntryRequest.fromPartial({ entry: { entryType: 1, author: ada } }) };
    expect(await failureOf(call(config, config.appendEntry.bind(config), scopeless))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: /scope/,
    });
    const key = { 'x-pact-request-id': 'x'.repeat(129) };
    expect(await failureOf(append(at, commitOf('a', '1'), key))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      details: /x-pact-request-id/,
    });
  });

  test('what does not exist is NOT_FOUND, in words', async () => {
    const { config } = at;
    expect(await failureOf(call(config, config.getEntry.bind(config), { sequence: 4_711 }))).toMatchObject({
      code: status.NOT_FOUND,
      details: /4711.*latest is \d+/,
    });
    expect(
      await failureOf(call(config, config.getNodeState.bind(config), { nodeId: 'nobody' })),
    ).toMatchObject({ code: status.NOT_FOUND, details: /"nobody"/ });
    expect(
      await failureOf(call(config, config.getOverlay.bind(config), { vclusterId: 'nowhere' })),
    ).toMatchObject({ code: status.NOT_FOUND, details: /"nowhere"/ });
  });

  test('an oversize message is refused and the connection goes on', async () => {
    const error = await failureOf(append(at, commitOf('a', 'x'.repeat(2 ** 20))));
    expect(error.code).toBe(status.RESOURCE_EXHAUSTED);
    await expect(append(at, commitOf('a', 'small'))).resolves.toBeGreaterThan(0);
  });

  test('bytes that are no protobuf are refused, and the server lives', async () => {
    const garbage = Buffer.from('ffffffffffffffff', 'hex');
    const error = await failureOf(
      new Promise((resolve, reject) => {
        at.config.makeUnaryRequest(
          '/pact.journal.ConfigService/AppendEntry',
          () => garbage,
          (bytes) => bytes,
          undefined,
          (reason, response) => {
            if (reason === null) resolve(response);
            else reject(reason);
          },
        );
      }),
    );
    expect([status.INTERNAL, status.INVALID_ARGUMENT]).toContain(error.code);
    await expect(listing(at)).resolves.toBeDefined();
  });

  test('compressed requests, and a client that gives up, are served like all others', async () => {
    const endpoint = cluster.places[0]?.grpc ?? '';
    const gzip = new journal.ConfigServiceClient(endpoint, credentials.createInsecure(), {
      'grpc.default_compression_algorithm': 2,
    });
    const sequence = await append({ ...at, config: gzip }, commitOf('vm.gzip', 'x'.repeat(5_000)));
    expect((await call(gzip, gzip.getEntry.bind(gzip), { sequence })).stateDelta?.kernel[0]?.key).toBe(
      'vm.gzip',
    );
    gzip.close();
    const error = await new Promise<ServiceError | null>((resolve) => {
      const pending = at.config.appendEntry({ entry: newEntryToFieldedWire(commitOf('vm.x', 'y')) }, resolve);
      setImmediate(() => {
        pending.cancel();
      });
    });
    expect([undefined, status.CANCELLED]).toContain(error?.code);
    await expect(listing(at)).resolves.toBeDefined();
  });

  test("a commit's overlay is compiled, served and stored", async () => {
    await append(at, commitOf('net.core.somaxconn', '4096', { VCluster: 'web' }));
    const { config, overlays } = at;
    const overlay = await call(config, config.getOverlay.bind(config), { vclusterId: 'web' });
    expect(overlay.checksum).toMatch(/^sha256:[0-9a-f]{64}$/);
    await expect
      .poll(
        async () =>
          (
            await call(overlays, overlays.describeOverlay.bind(overlays), {
              vclusterId: 'web',
              storedOnly: true,
            })
          ).overlay,
        { timeout: 15_000 },
      )
      .toMatchObject({ version: overlay.version, checksum: overlay.checksum, stale: false });
  });
});

describe('JournalAppendService', () => {
  function outcomesOf(
    items: readonly journal.AppendItem[],
    client = at.append,
  ): Promise<journal.AppendOutcome[]> {
    return new Promise((resolve, reject) => {
      const stream = client.appendStream();
      const outcomes: journal.AppendOutcome[] = [];
      stream.on('data', (message: journal.AppendStreamResponse) => outcomes.push(...message.outcomes));
      stream.on('error', reject);
      stream.on('end', () => {
        resolve(outcomes);
      });
      stream.write({ items: [...items] });
      stream.end();
    });
  }

  const entry = (
    correlationId: number,
    value: Parameters<typeof newEntryToWire>[0],
    requestId = '',
  ): journal.AppendItem => ({
    correlationId,
    requestId,
    command: { $case: 'entry', value: newEntryToWire(value) },
  });

  test('each item has its own outcome, and closing the sending side lets what is in flight finish', async () => {
    const outcomes = await outcomesOf([
      entry(1, commitOf('a', '1', 'Global', { message: 'words' })),
      entry(2, commitOf('a', '1', 'Global', { ttl_seconds: 5 })),
      { correlationId: 3, requestId: '', command: undefined },
      {
        correlationId: 4,
        requestId: '',
        command: { $case: 'operation', value: newOperationToWire(operation('stream-1')) },
      },
    ]);
    const byId = new Map(outcomes.map(({ correlationId, outcome }) => [correlationId, outcome]));
    expect(byId.get(1)).toMatchObject({
      $case: 'appended',
      value: { term: expect.any(Number) as number, index: expect.any(Number) as number },
    });
    expect(byId.get(2)).toMatchObject({
      $case: 'failure',
      value: {
        code: status.FAILED_PRECONDITION,
        validationCode: 'ttlOutOfRange',
        retryable: false,
        outcomeUnknown: false,
      },
    });
    expect(byId.get(3)).toMatchObject({ $case: 'failure', value: { code: status.INVALID_ARGUMENT } });
    expect(byId.get(4)).toMatchObject({ $case: 'appended', value: { sequence: undefined } });
  });

  test('a repeated request id gets the first sequence', async () => {
    const [first, again] = await outcomesOf([
      entry(1, commitOf('a', '1'), 'same'),
      entry(2, commitOf('a', '1'), 'same'),
    ]);
    expect(first?.outcome).toMatchObject({ $case: 'appended' });
    expect((again?.outcome?.value as journal.AppendReceipt).sequence).toBe(
      (first?.outcome?.value as journal.AppendReceipt).sequence,
    );
  });

  test('more items in a message than allowed end the stream', async () => {
    const many = Array.from({ length: 1_025 }, (_, index) => ({
      correlationId: index,
      requestId: '',
      command: undefined,
    }));
    await expect(outcomesOf(many)).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  test('a client that compresses its messages is served as well', async () => {
    const gzip = { 'grpc.default_compression_algorithm': 2 };
    const client = new journal.JournalAppendServiceClient(
      cluster.places[0]?.grpc ?? '',
      credentials.createInsecure(),
      gzip,
    );
    const [outcome] = await outcomesOf([entry(1, commitOf('zip', 'x'.repeat(10_000)))], client);
    expect(outcome?.outcome).toMatchObject({ $case: 'appended' });
    client.close();
  });

  test('what is no message of the service, and a message that is too large, end the stream', async () => {
    for (const [bytes, code] of [
      [Buffer.of(0x0a, 0x7f, 0x01), status.INVALID_ARGUMENT],
      [Buffer.alloc(1024 * 1024 + 1), status.RESOURCE_EXHAUSTED],
    ] as const) {
      const { path, responseDeserialize } = journal.JournalAppendServiceDefinition.appendStream;
      const stream = at.append.makeBidiStreamRequest(path, (raw: Buffer) => raw, responseDeserialize);
      stream.on('data', () => undefined);
      const failed = new Promise<unknown>((resolve) => stream.on('error', resolve));
      stream.write(bytes);
      expect(await failed).toMatchObject({ code });
    }
  });
});

function operation(operation_id: string): NewAdminOperation {
  return {
    operation_id,
    operation_type: 'Exec',
    author: { principal: 'ada', principal_type: 'Human', role: 'pact-platform-admin' },
    scope: { Node: 'n1' },
    detail: 'uptime',
    exit_code: 0,
    occurred_at: '2026-11-24T08:00:00.000Z',
  };
}

describe('nodes, audit and policy', () => {
  test('a node is assigned, set to a state, shown with its own delta and listed', async () => {
    const { nodes } = at;
    await call(nodes, nodes.assignNode.bind(nodes), { nodeId: 'n7', vclusterId: 'ml' });
    await call(nodes, nodes.updateNodeState.bind(nodes), { nodeId: 'n7', configState: 'converging' });
    expect((await call(nodes, nodes.getNode.bind(nodes), { nodeId: 'n7' })).node).toMatchObject({
      configState: 'Converging',
      vclusterId: 'ml',
      deviations: 0,
    });
    await append(at, commitOf('vm.dirty_ratio', '5', { Node: 'n7' }));
    const shown = await call(nodes, nodes.getNode.bind(nodes), { nodeId: 'n7' });
    expect(shown.node).toMatchObject({ vclusterId: 'ml', configState: 'Committed', deviations: 1 });
    expect(shown.delta?.kernel).toMatchObject([{ key: 'vm.dirty_ratio' }]);
    const listed = await all(
      nodes.listNodes({ vclusterId: 'ml', configState: undefined, deviatingOnly: true, limit: 10 }),
    );
    expect(listed.flatMap((page) => page.nodes).map((node) => node.nodeId)).toEqual(['n7']);
    expect(
      await failureOf(call(nodes, nodes.updateNodeState.bind(nodes), { nodeId: 'n7', configState: 'happy' })),
    ).toMatchObject({ code: status.INVALID_ARGUMENT });
  });

  test('operations are recorded once and listed in order', async () => {
    const { audit } = at;
    const record = (id: string): Promise<unknown> =>
      call(audit, audit.recordOperation.bind(audit), { operation: newOperationToWire(operation(id)) });
    await record('op-a');
    await record('op-b');
    await record('op-a');
    const listed = (await all(audit.listOperations({ from: undefined, limit: 2 }))).flatMap(
      (page) => page.operations,
    );
    expect(listed.map((item) => item.operationId)).toEqual(['op-a', 'op-b']);
    expect(listed[0]?.hash).toMatch(/^sha256:/);
  });

  test('a policy is the defaults until it is set, and then what was set', async () => {
    const { policy } = at;
    expect(await call(policy, policy.getEffectivePolicy.bind(policy), { vclusterId: 'ml' })).toMatchObject({
      driftSensitivity: 2,
      enforcementMode: 'observe',
      emergencyAllowed: true,
      auditRetentionDays: 2_555,
    });
    const wanted = { ...policyToWire(defaultPolicy('ml')), enforcementMode: 'enforce' };
    const updated = await call(policy, policy.updatePolicy.bind(policy), {
      vclusterId: 'ml',
      policy: wanted,
      author: ada,
      message: 'stricter',
    });
    expect(updated).toMatchObject({ success: true });
    expect(await call(policy, policy.getEffectivePolicy.bind(policy), { vclusterId: 'ml' })).toMatchObject({
      enforcementMode: 'enforce',
      policyId: updated.policyRef,
    });
    const error = await failureOf(
      call(policy, policy.updatePolicy.bind(policy), {
        vclusterId: 'other',
        policy: wanted,
        author: ada,
        message: '',
      }),
    );
    expect(error.code).toBe(status.INVALID_ARGUMENT);
  });
});

describe('JournalQueryService', () => {
  test('explains a key: in effect, who set it, its history, what changed between two points, and what a rollback would do', async () => {
    const { query } = at;
    const scope = { scope: { $case: 'vclusterId' as const, value: 'q' } };
    const first = await append(at, commitOf('kernel.q', 'old', { VCluster: 'q' }));
    const second = await append(
      at,
      commitOf(
        'kernel.q',
        'new',
        { VCluster: 'q' },
        { author: { principal: 'bob', principal_type: 'Agent', role: 'r' } },
      ),
    );
    const effective = async (asOf: number | undefined): Promise<journal.EffectiveItem | undefined> =>
      (await all(query.getEffectiveConfig({ scope, asOf })))
        .flatMap((page) => page.items)
        .find((item) => item.key === 'kernel.q');
    expect(await effective(undefined)).toMatchObject({
      kind: 'kernel',
      value: 'new',
      setBy: second,
      setAuthor: { principal: 'bob', principalType: 'agent' },
    });
    expect(await effective(first)).toMatchObject({ value: 'old', setBy: first });
    const diff = await call(query, query.diff.bind(query), {
      leftScope: scope,
      leftAsOf: first,
      rightScope: scope,
      rightAsOf: undefined,
    });
    expect(diff.delta?.kernel).toMatchObject([{ key: 'kernel.q', declaredValue: 'new', actualValue: 'old' }]);
    const history = (
      await all(query.getHistory({ kind: 'kernel', key: 'kernel.q', scope, limit: undefined }))
    ).flatMap((page) => page.entries);
    expect(
      history.map((item) => [item.entry?.sequence, item.entry?.stateDelta?.kernel[0]?.declaredValue]),
    ).toEqual([
      [first, 'old'],
      [second, 'new'],
    ]);
    const rollback = newEntryToWire({
      ...commitOf('x', 'x', { VCluster: 'q' }),
      entry_type: 'Rollback',
      state_delta: null,
      parent: first as never,
    });
    const preview = await call(query, query.previewEntry.bind(query), { entry: rollback });
    expect(preview).toMatchObject({
      refusal: '',
      affectedVclusters: 1,
      delta: { kernel: [{ key: 'kernel.q', declaredValue: 'old' }] },
    });
    const refused = newEntryToWire(commitOf('x', 'x', 'Global', { parent: 99_999 as never }));
    expect((await call(query, query.previewEntry.bind(query), { entry: refused })).refusal).toMatch(/parent/);
  });

  test('a sequence that does not exist is NOT_FOUND', async () => {
    const scope = { scope: { $case: 'global' as const, value: true } };
    await expect(all(at.query.getEffectiveConfig({ scope, asOf: 99_999 }))).rejects.toMatchObject({
      code: status.NOT_FOUND,
    });
  });

  test('emergencies under way are listed', async () => {
    const start = await append(at, {
      ...commitOf('x', 'x', { Node: 'hot' }),
      entry_type: 'EmergencyStart',
      state_delta: null,
      emergency_reason: 'smoke',
    });
    const { query, nodes } = at;
    const { emergencies } = await call(query, query.listEmergencies.bind(query), { staleOnly: false });
    expect(emergencies).toMatchObject([{ sequence: start, reason: 'smoke', stale: false }]);
    expect((await call(nodes, nodes.getNode.bind(nodes), { nodeId: 'hot' })).node?.configState).toBe(
      'Emergency',
    );
    expect((await call(query, query.listEmergencies.bind(query), { staleOnly: true })).emergencies).toEqual(
      [],
    );
  });
});

describe('ClusterService', () => {
  test('takes a snapshot, and tells the digest of the state it is of', async () => {
    const { cluster: service } = at;
    const snapshot = await call(service, service.createSnapshot.bind(service), {});
    expect(snapshot.sizeBytes).toBeGreaterThan(0);
    const shown = await call(service, service.getStatus.bind(service), {});
    expect(shown).toMatchObject({ role: 'leader', leaderId: 1, nodeId: 1, insecure: false, alarms: [] });
    expect(shown.snapshotIndex).toBeGreaterThan(0);
    const digest = await call(service, service.getDigest.bind(service), {});
    expect(digest).toMatchObject({
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) as string,
      entries: shown.entries,
      headHash: shown.headHash,
    });
  });

  test('refuses to remove the only voter', async () => {
    const { cluster: service } = at;
    expect(await failureOf(call(service, service.removeMember.bind(service), { id: 1 }))).toMatchObject({
      code: status.FAILED_PRECONDITION,
    });
    expect(await failureOf(call(service, service.removeMember.bind(service), { id: 0 }))).toMatchObject({
      code: status.INVALID_ARGUMENT,
    });
  });
});
