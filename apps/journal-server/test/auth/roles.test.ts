/** The table of roles: complete, and asserted for every call, role and state of credentials on a real server. */
import type { Client } from '@grpc/grpc-js';
import { Metadata, status, type ServiceDefinition } from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { config, fileDescriptorSet, journal, policy, stream } from '@pact-journal/journal-proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { authorize, rowOf } from '../../src/auth/authorizer.ts';
import { ROLES } from '../../src/auth/roles.ts';
import { callPath, clientOf } from '../support/raw-call.ts';
import { SecuredCluster } from '../support/secured-cluster.ts';

const SERVICES: readonly ServiceDefinition[] = [
  journal.ConfigServiceDefinition,
  journal.JournalAppendServiceDefinition,
  journal.NodeServiceDefinition,
  journal.AuditServiceDefinition,
  journal.ClusterServiceDefinition,
  journal.OverlayServiceDefinition,
  journal.BackupServiceDefinition,
  journal.JournalQueryServiceDefinition,
  policy.PolicyServiceDefinition,
  stream.BootConfigServiceDefinition,
];

/** The scopes in which everything is tried: `ml` has node-1, `hpc` has node-2; node-9 is assigned to none. */
type Place = 'ml' | 'hpc' | 'node-1' | 'node-2' | 'node-9' | 'global' | 'nowhere';
type Who = 'admin' | 'opsMl' | 'viewerMl' | 'node1' | 'nobody' | 'roleless';
const PLACES: readonly Place[] = ['ml', 'hpc', 'node-1', 'node-2', 'node-9', 'global', 'nowhere'];

const inMl: readonly Place[] = ['ml', 'node-1'];
const own: readonly Place[] = ['node-1'];
const ownAndAround: readonly Place[] = ['ml', 'node-1', 'global'];

/** Where each may: the specification that the table is held against. */
interface Expected {
  readonly ops: readonly Place[];
  readonly viewer: readonly Place[];
  readonly node: readonly Place[];
}
const READ: Expected = { ops: [...inMl, 'global'], viewer: [...inMl, 'global'], node: ownAndAround };
const READ_USERS: Expected = { ...READ, node: [] };
const WRITE: Expected = { ops: inMl, viewer: [], node: own };
const WRITE_USERS: Expected = { ...WRITE, node: [] };
const ADMIN: Expected = { ops: [], viewer: [], node: [] };
const OBSERVE: Expected = { ops: PLACES, viewer: PLACES, node: [] };
const OF_NODES: Expected = { ops: ['node-1'], viewer: ['node-1'], node: own };

const scope = (place: Place): config.Scope | undefined => {
  if (place === 'nowhere') return undefined;
  if (place === 'global') return { scope: { $case: 'global', value: true } };
  if (place.startsWith('node')) return { scope: { $case: 'nodeId', value: place } };
  return { scope: { $case: 'vclusterId', value: place } };
};
const vcluster = (place: Place): string => (place === 'ml' || place === 'hpc' ? place : '');
const node = (place: Place): string => (place.startsWith('node-') ? place : '');
const entry = (place: Place, entryType: config.EntryType): config.ConfigEntry => ({
  ...config.ConfigEntry.create(),
  entryType,
  scope: scope(place),
});
const isVCluster = (place: Place): boolean => vcluster(place) !== '';
const isNode = (place: Place): boolean => node(place) !== '';
const within = (expected: Expected, which: (place: Place) => boolean): Expected => ({
  ops: expected.ops.filter(which),
  viewer: expected.viewer.filter(which),
  node: expected.node.filter(which),
});

const DRIFT = { type: 4 } as const;
const COMMIT = 1;

/** A request of each call for each place, and who may. */
const CALLS: Readonly<Record<string, readonly [request: (place: Place) => unknown, expected: Expected]>> = {
  'ConfigService/AppendEntry': [(place) => ({ entry: entry(place, DRIFT.type) }), WRITE],
  'ConfigService/GetNodeState': [(place) => ({ nodeId: node(place) }), within(READ, isNode)],
  'ConfigService/ListEntries': [(place) => ({ scope: scope(place) }), READ],
  'ConfigService/GetOverlay': [(place) => ({ vclusterId: vcluster(place) }), within(READ, isVCluster)],
  'NodeService/UpdateNodeState': [
    (place) => ({ nodeId: node(place), configState: '' }),
    within(WRITE, isNode),
  ],
  'NodeService/AssignNode': [
    (place) => ({ nodeId: node(place), vclusterId: 'ml' }),
    { ops: ['node-1'], viewer: [], node: [] },
  ],
  'NodeService/GetNode': [(place) => ({ nodeId: node(place) }), within(READ, isNode)],
  'NodeService/ListNodes': [(place) => ({ vclusterId: vcluster(place) }), within(READ_USERS, isVCluster)],
  'AuditService/RecordOperation': [
    (place) => ({
      operation: { ...journal.Operation.create(), scope: scope(place) },
    }),
    WRITE,
  ],
  'AuditService/ListOperations': [() => ({}), ADMIN],
  'ClusterService/GetStatus': [() => ({}), OBSERVE],
  'ClusterService/ListMembers': [() => ({}), OBSERVE],
  'ClusterService/AddLearner': [() => ({ id: 7 }), ADMIN],
  'ClusterService/PromoteMember': [() => ({ id: 7 }), ADMIN],
  'ClusterService/RemoveMember': [() => ({ id: 7 }), ADMIN],
  'ClusterService/ReplaceMember': [() => ({ oldId: 7, newId: 8 }), ADMIN],
  'ClusterService/TransferLeadership': [() => ({ to: 7 }), ADMIN],
  'ClusterService/CreateSnapshot': [() => ({}), ADMIN],
  'ClusterService/GetDigest': [() => ({}), ADMIN],
  'ClusterService/RebuildReplica': [() => ({}), ADMIN],
  'BackupService/CreateBackup': [() => ({}), ADMIN],
  'BackupService/GetBackupStatus': [() => ({}), OBSERVE],
  'OverlayService/DescribeOverlay': [(place) => ({ vclusterId: vcluster(place) }), within(READ, isVCluster)],
  'OverlayService/RebuildOverlay': [
    (place) => ({ vclusterId: vcluster(place) }),
    within(WRITE_USERS, isVCluster),
  ],
  'OverlayService/ListOverlays': [() => ({}), ADMIN],
  'JournalQueryService/ListJournalEntries': [(place) => ({ scope: scope(place), entryTypes: [] }), READ],
  'JournalQueryService/GetEffectiveConfig': [(place) => ({ scope: scope(place) }), READ],
  'JournalQueryService/Diff': [(place) => ({ leftScope: scope(place), rightScope: scope(place) }), READ],
  'JournalQueryService/GetHistory': [(place) => ({ scope: scope(place), kind: '', key: '' }), READ],
  'JournalQueryService/PreviewEntry': [(place) => ({ entry: { entry: entry(place, COMMIT) } }), READ_USERS],
  'JournalQueryService/ListEmergencies': [() => ({}), ADMIN],
  'PolicyService/Evaluate': [(place) => ({ scope: scope(place), action: '' }), READ],
  'PolicyService/GetEffectivePolicy': [
    (place) => ({ vclusterId: vcluster(place) }),
    within(READ, isVCluster),
  ],
  'PolicyService/UpdatePolicy': [
    (place) => ({ vclusterId: vcluster(place) }),
    within(WRITE_USERS, isVCluster),
  ],
  'PolicyService/ListPendingApprovals': [
    (place) => ({
      scopeFilter:
        place === 'global' ? 'global' : isNode(place) ? `node ${place}` : `vcluster ${vcluster(place)}`,
    }),
    READ_USERS,
  ],
  'BootConfigService/StreamBootConfig': [(place) => ({ nodeId: node(place), vclusterId: '' }), OF_NODES],
  'BootConfigService/SubscribeConfigUpdates': [
    (place) => ({ nodeId: node(place), vclusterId: vcluster(place), fromSequence: 0 }),
    { ops: inMl, viewer: inMl, node: ['ml', 'node-1'] },
  ],
};

/** Decided by what the journal holds rather than by the request, or item by item: they have tests of their own. */
const OTHERWISE = [
  'ConfigService/GetEntry',
  'JournalQueryService/GetJournalEntry',
  'PolicyService/DecideApproval',
  'JournalAppendService/AppendStream',
];

const shortName = (path: string): string => path.slice(path.lastIndexOf('.') + 1);
const methods = SERVICES.flatMap((service) => Object.values(service));

/** The paths of all calls that the wire contract has, in whatever service. */
function described(): readonly string[] {
  const definition = loadFileDescriptorSetFromBuffer(Buffer.from(fileDescriptorSet()));
  return Object.values(definition).flatMap((type) =>
    'format' in type ? [] : Object.values(type as ServiceDefinition).map(({ path }) => path),
  );
}

describe('the table', () => {
  it('has a row for every call of the wire contract, and no other', () => {
    const standard = ROLES.map(({ path }) => path).filter((path) => path.startsWith('/grpc.'));
    expect(new Set(ROLES.map(({ path }) => path))).toEqual(new Set([...described(), ...standard]));
    expect(ROLES).toHaveLength(new Set(ROLES.map(({ path }) => path)).size);
  });

  it('is asserted below for every call', () => {
    expect(new Set([...Object.keys(CALLS), ...OTHERWISE])).toEqual(
      new Set(methods.map(({ path }) => shortName(path))),
    );
  });
});

let cluster: SecuredCluster;
let client: Client;
let asNode: Client;
const credentials = new Map<Who, Metadata>();

beforeAll(async () => {
  cluster = await SecuredCluster.start();
  client = clientOf(cluster.only.grpc, cluster.channel());
  asNode = clientOf(cluster.only.grpc, cluster.channel(cluster.identity('node-node-1/client')));
  credentials.set('admin', await cluster.as('pact-platform-admin'));
  credentials.set('opsMl', await cluster.as('pact-ops-ml'));
  credentials.set('viewerMl', await cluster.as('pact-viewer-ml'));
  credentials.set('roleless', await cluster.as('gardener'));
  credentials.set('node1', new Metadata());
  credentials.set('nobody', new Metadata());
  const { assignNode } = journal.NodeServiceDefinition;
  for (const [nodeId, vclusterId] of [
    ['node-1', 'ml'],
    ['node-2', 'hpc'],
  ] as const) {
    const request = assignNode.requestSerialize({ nodeId, vclusterId });
    expect(await callPath(client, assignNode.path, request, credentials.get('admin'))).toMatchObject({
      code: 0,
    });
  }
}, 60_000);
afterAll(async () => {
  client.close();
  asNode.close();
  await cluster.stop();
});

const mayAt = (who: Who, place: Place, { ops, viewer, node: nodes }: Expected): boolean => {
  switch (who) {
    case 'admin':
      return true;
    case 'opsMl':
      return ops.includes(place);
    case 'viewerMl':
      return viewer.includes(place);
    case 'node1':
      return nodes.includes(place);
    default:
      return false;
  }
};

/** What cannot be undone, or ends the server under the other tests, is asked of the table only for those who may. */
const NOT_DONE = new Set([
  'RebuildReplica',
  'TransferLeadership',
  'RemoveMember',
  'ReplaceMember',
  'AddLearner',
  'PromoteMember',
  'AssignNode',
]);

describe('on a real server', () => {
  describe.each(Object.entries(CALLS))('%s', (name, [requestAt, expected]) => {
    const method = methods.find(({ path }) => shortName(path) === name);
    if (method === undefined) throw new Error(`there is no ${name}`);
    it.each<Who>(['admin', 'opsMl', 'viewerMl', 'node1', 'roleless', 'nobody'])('%s', async (who) => {
      for (const place of PLACES) {
        const message = method.requestSerialize(requestAt(place));
        const may = mayAt(who, place, expected);
        if (may && NOT_DONE.has(name.slice(name.indexOf('/') + 1))) continue;
        const timeoutMs = name.includes('Subscribe') && may ? 300 : 10_000;
        const ended = await callPath(
          who === 'node1' ? asNode : client,
          method.path,
          message,
          credentials.get(who),
          timeoutMs,
        );
        const label = `${name} by ${who} at ${place}: ${ended.details}`;
        if (who === 'nobody') expect(ended, label).toMatchObject({ code: status.UNAUTHENTICATED });
        else if (may) {
          expect(ended.code, label).not.toBe(status.UNAUTHENTICATED);
          expect(ended.code, label).not.toBe(status.PERMISSION_DENIED);
        } else expect(ended, label).toMatchObject({ code: status.PERMISSION_DENIED });
      }
    });
  });

  it('a compute node may report, but not commit', async () => {
    const { appendEntry } = journal.ConfigServiceDefinition;
    for (const entryType of [1, 2, 6, 7, 8, 9, 13] as const) {
      const request = appendEntry.requestSerialize({ entry: entry('node-1', entryType) });
      expect(await callPath(asNode, appendEntry.path, request), String(entryType)).toMatchObject({
        code: status.PERMISSION_DENIED,
      });
    }
  });

  it('each item of an append stream is decided on its own', async () => {
    const stub = new journal.JournalAppendServiceClient(cluster.only.grpc, cluster.channel());
    const call = stub.appendStream(credentials.get('opsMl') ?? new Metadata());
    call.write({
      items: (['ml', 'hpc', 'global'] as const).map((place, correlationId) => ({
        correlationId,
        requestId: '',
        command: { $case: 'entry' as const, value: { entry: entry(place, DRIFT.type), message: undefined } },
      })),
    });
    call.end();
    const codes = new Map<number, number | undefined>();
    for await (const message of call as AsyncIterable<journal.AppendStreamResponse>) {
      for (const { correlationId, outcome } of message.outcomes)
        codes.set(correlationId, outcome?.$case === 'failure' ? outcome.value.code : undefined);
    }
    stub.close();
    expect(Object.fromEntries(codes)).toEqual({
      0: undefined,
      1: status.PERMISSION_DENIED,
      2: status.PERMISSION_DENIED,
    });
  });

  it.each(['grpc.health.v1.Health/Check', 'grpc.reflection.v1.ServerReflection/ServerReflectionInfo'])(
    '%s answers those who are known',
    async (path) => {
      for (const who of ['admin', 'viewerMl'] as const)
        expect(await callPath(client, `/${path}`, undefined, credentials.get(who)), who).toMatchObject({
          code: 0,
        });
      expect(await callPath(asNode, `/${path}`)).toMatchObject({ code: 0 });
      expect(await callPath(client, `/${path}`)).toMatchObject({ code: status.UNAUTHENTICATED });
      expect(await callPath(client, `/${path}`, undefined, credentials.get('roleless'))).toMatchObject({
        code: status.PERMISSION_DENIED,
      });
    },
  );

  it('a call without a row is refused whoever makes it', async () => {
    for (const path of ['/pact.journal.ConfigService/Nothing', '/pact.journal.ClusterService/', '/', '/x']) {
      expect(await callPath(client, path, undefined, credentials.get('admin')), path).toMatchObject({
        code: status.UNIMPLEMENTED,
        reason: 'methodUnknown',
      });
    }
  });
});

describe('what depends on the journal', () => {
  const at = { ml: 'ml', hpc: 'hpc' } as const;
  const view = {
    entry: (sequence: number) =>
      sequence > 1 ? undefined : { scope: { VCluster: sequence === 0 ? at.ml : at.hpc } },
    assignment: () => undefined,
  } as unknown as Parameters<typeof authorize>[3];
  const viewer = {
    kind: 'user',
    principal: 'v',
    principalType: 'Human',
    roles: ['pact-viewer-ml', 'pact-ops-ml'],
    expiresAtMs: Infinity,
  } as const;

  it.each([
    [journal.ConfigServiceDefinition.getEntry.path, (sequence: number) => ({ sequence })],
    [journal.JournalQueryServiceDefinition.getJournalEntry.path, (sequence: number) => ({ sequence })],
    [
      policy.PolicyServiceDefinition.decideApproval.path,
      (sequence: number) => ({ approvalId: String(sequence) }),
    ],
  ])('%s is decided by the scope of the entry', (path, request) => {
    const row = rowOf(path);
    if (row === undefined) throw new Error('a row');
    expect(() => authorize(viewer, row, request(0), view)).not.toThrow();
    expect(() => authorize(viewer, row, request(1), view)).toThrow(
      /may not (read|change) virtual cluster "hpc"/,
    );
    expect(() => authorize(viewer, row, request(2), view)).not.toThrow();
  });
});
