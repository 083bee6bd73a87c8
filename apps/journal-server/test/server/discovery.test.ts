/** What tools find without knowing the journal: health, reflection, and the HTTP endpoint. */
import {
  credentials,
  type Client,
  loadPackageDefinition,
  type ClientDuplexStream,
  type GrpcObject,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { append, commitOf, stubs } from '../support/calls.ts';
import { TestCluster } from '../support/test-cluster.ts';

let cluster: TestCluster;
let endpoint = '';

beforeAll(async () => {
  cluster = await TestCluster.start({
    flags: ['--auth-idp-url', 'https://idp.example/realms/hpc', '--auth-client-id', 'pact'],
  });
  endpoint = cluster.places[0]?.grpc ?? '';
});

afterAll(async () => {
  await cluster.stop();
});

/** A client made from a .proto file at run time, as generic tools do it. */
function genericClient(path: readonly string[], file: string): Client & Record<string, unknown> {
  let found: unknown = loadPackageDefinition(loadSync(file, { longs: Number, bytes: Buffer }));
  for (const part of path) found = (found as GrpcObject)[part];
  return new (found as ServiceClientConstructor)(endpoint, credentials.createInsecure());
}

describe('grpc.health.v1', () => {
  test('reports the server and each service as serving', async () => {
    const client = genericClient(['grpc', 'health', 'v1', 'Health'], protoPath);
    const check = client['check'] as (
      request: object,
      done: (error: Error | null, answer: { status: string | number }) => void,
    ) => void;
    for (const service of ['', 'pact.journal.ConfigService', 'pact.stream.BootConfigService']) {
      const answer = await new Promise<{ status: string | number }>((resolve, reject) => {
        check.call(client, { service }, (error, response) => {
          if (error === null) resolve(response);
          else reject(error);
        });
      });
      expect(answer.status).toBe(1);
    }
    client.close();
  });
});

describe('server reflection', () => {
  const folder = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));

  /** Asks like grpcurl: one stream, one question after the other. */
  async function ask(
    version: 'v1' | 'v1alpha',
    questions: readonly object[],
  ): Promise<Record<string, unknown>[]> {
    const file = join(folder, 'build', 'proto', 'grpc', 'reflection', version, 'reflection.proto');
    const client = genericClient(['grpc', 'reflection', version, 'ServerReflection'], file);
    const open = client['serverReflectionInfo'] as () => ClientDuplexStream<object, Record<string, unknown>>;
    const stream = open.call(client);
    const answers: Record<string, unknown>[] = [];
    await new Promise<void>((resolve, reject) => {
      stream.on('data', (answer: Record<string, unknown>) => answers.push(answer));
      stream.on('error', reject);
      stream.on('end', resolve);
      for (const question of questions) stream.write(question);
      stream.end();
    });
    client.close();
    return answers;
  }

  test.each(['v1', 'v1alpha'] as const)('%s lists every service', async (version) => {
    const [answer] = await ask(version, [{ listServices: '' }]);
    const { service } = answer?.['listServicesResponse'] as { service: { name: string }[] };
    expect(service.map(({ name }) => name).sort()).toEqual([
      'grpc.health.v1.Health',
      'pact.journal.AuditService',
      'pact.journal.BackupService',
      'pact.journal.ClusterService',
      'pact.journal.ConfigService',
      'pact.journal.JournalAppendService',
      'pact.journal.JournalQueryService',
      'pact.journal.NodeService',
      'pact.journal.OverlayService',
      'pact.policy.PolicyService',
      'pact.stream.BootConfigService',
    ]);
  });

  test('a client that knows nothing but reflection can call a method', async () => {
    const client = stubs(endpoint);
    const sequence = await append(client, commitOf('vm.reflected', '1'));
    client.close();
    const files = new Map<string, Buffer>();
    const collect = async (question: object): Promise<void> => {
      const [answer] = await ask('v1', [question]);
      const { fileDescriptorProto } = answer?.['fileDescriptorResponse'] as { fileDescriptorProto: Buffer[] };
      for (const bytes of fileDescriptorProto) files.set(bytes.toString('base64'), bytes);
    };
    await collect({ fileContainingSymbol: 'pact.journal.ConfigService' });
    for (const name of [
      'pact/config.proto',
      'google/protobuf/timestamp.proto',
      'google/protobuf/duration.proto',
    ])
      await collect({ fileByFilename: name });
    const set = Buffer.concat(
      [...files.values()].map((bytes) => Buffer.concat([Buffer.from([0x0a]), varint(bytes.length), bytes])),
    );
    const definition = loadFileDescriptorSetFromBuffer(set, { longs: Number });
    const service = ((loadPackageDefinition(definition)['pact'] as GrpcObject)['journal'] as GrpcObject)[
      'ConfigService'
    ] as ServiceClientConstructor;
    const generic = new service(endpoint, credentials.createInsecure()) as unknown as Client & {
      getEntry(
        request: object,
        done: (error: Error | null, entry: { state_delta: { kernel: { key: string }[] } }) => void,
      ): void;
    };
    const entry = await new Promise<{ state_delta: { kernel: { key: string }[] } }>((resolve, reject) => {
      generic.getEntry({ sequence }, (error, response) => {
        if (error === null) resolve(response);
        else reject(error);
      });
    });
    generic.close();
    expect(entry.state_delta.kernel.map(({ key }) => key)).toEqual(['vm.reflected']);
  });

  test('an unknown symbol is answered, not fatal', async () => {
    const [answer] = await ask('v1', [{ fileContainingSymbol: 'no.such.Thing' }]);
    expect(answer?.['errorResponse']).toMatchObject({ errorCode: 5 });
  });
});

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    bytes.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
    if (rest <= 0x7f) return Buffer.from(bytes);
  }
}

describe('HTTP on the metrics port', () => {
  const node = (): ReturnType<TestCluster['node']> => cluster.node(1);

  test('/health and /ready say what the node is and that it serves', async () => {
    const health = await node().http('/health');
    expect(health.status).toBe(200);
    expect(await health.json()).toMatchObject({
      status: 'ok',
      node_id: 1,
      role: 'leader',
      leader_id: 1,
      cluster_id: 'pact',
    });
    expect(await (await node().http('/ready')).json()).toMatchObject({ ready: true, reasons: [] });
  });

  test('/discovery lists the members and where they are', async () => {
    const place = cluster.places[0];
    expect(await (await node().http('/discovery')).json()).toMatchObject({
      leader_id: 1,
      members: [{ id: 1, role: 'leader', grpc: place?.grpc, raft: place?.raft, metrics: place?.metrics }],
    });
  });

  test('/auth/discovery says where to log in, without a token', async () => {
    expect(await (await node().http('/auth/discovery')).json()).toEqual({
      idp_url: 'https://idp.example/realms/hpc',
      client_id: 'pact',
      scopes: ['openid', 'profile'],
    });
  });

  test('/metrics has what operators and dashboards rely on', async () => {
    const client = stubs(endpoint);
    await append(client, commitOf('vm.metric', '1', { VCluster: 'm' }));
    client.close();
    const value = async (line: string): Promise<number | undefined> => {
      const text = await (await node().http('/metrics')).text();
      const found = text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
      return found === undefined ? undefined : Number(found.split(' ')[1]);
    };
    expect(await value('pact_raft_leader')).toBe(1);
    expect(await value('pact_raft_term')).toBeGreaterThan(0);
    expect(await value('pact_raft_log_entries')).toBeGreaterThan(0);
    expect(await value('pact_journal_entries_total')).toBeGreaterThan(0);
    expect(await value('pact_journal_boot_streams_active')).toBe(0);
    expect(await value('pact_journal_boot_stream_duration_seconds_count')).toBe(0);
    expect(await value('pact_emergency_sessions_stale')).toBe(0);
    expect(await value('pact_raft_queue_bytes{queue="proposals"}')).toBeGreaterThanOrEqual(0);
    expect(await value('pact_journal_boot_refusals_total')).toBe(0);
    expect(
      await value('pact_grpc_requests_total{method="/pact.journal.ConfigService/AppendEntry",code="OK"}'),
    ).toBeGreaterThan(0);
    await expect
      .poll(() => value('pact_journal_overlay_builds_total{reason="commit"}'), { timeout: 15_000 })
      .toBeGreaterThan(0);
    expect((await (await node().http('/metrics')).text()).includes('pact_raft_replication_lag')).toBe(true);
  });

  test('other paths and methods are answered in words', async () => {
    const missing = await node().http('/nope');
    expect(missing.status).toBe(404);
    expect(await missing.json()).toMatchObject({ error: expect.stringContaining('/health') as string });
    const posted = await fetch(`http://${node().place.metrics}/health`, { method: 'POST' });
    expect(posted.status).toBe(405);
    expect(posted.headers.get('allow')).toBe('GET, HEAD');
  });
});
