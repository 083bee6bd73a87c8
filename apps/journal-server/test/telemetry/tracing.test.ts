/** OpenTelemetry traces of a cluster, as a collector receives them. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { append, commitOf, stubs } from '../support/calls.ts';
import { TestCluster } from '../support/test-cluster.ts';

interface OtlpSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[];
}

interface OtlpRequest {
  readonly resourceSpans: readonly {
    readonly resource: Pick<OtlpSpan, 'attributes'>;
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

/** A span and the node that it is from. */
interface Received extends OtlpSpan {
  readonly instance: string | undefined;
}

const spans: Received[] = [];
let collector: Server;
let cluster: TestCluster;

beforeAll(async () => {
  collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      if (request.url === '/v1/traces') receive(JSON.parse(Buffer.concat(chunks).toString()) as OtlpRequest);
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${String((collector.address() as AddressInfo).port)}`;
  cluster = await TestCluster.start({ nodes: 3, flags: ['--tracing-otlp-url', url] });
});

afterAll(async () => {
  await cluster.stop();
  collector.close();
});

function receive({ resourceSpans }: OtlpRequest): void {
  for (const { resource, scopeSpans } of resourceSpans) {
    const instance = valueOf(resource.attributes, 'service.instance.id');
    for (const scope of scopeSpans) for (const span of scope.spans) spans.push({ ...span, instance });
  }
}

function valueOf(attributes: OtlpSpan['attributes'], key: string): string | undefined {
  return attributes.find((attribute) => attribute.key === key)?.value.stringValue;
}

test('a commit is one trace over all nodes that took part, and a boot is a trace of its own', async () => {
  const leader = await cluster.leader();
  const follower = cluster.running.find((node) => node !== leader);
  const client = stubs(follower?.place.grpc ?? '');
  await append(client, commitOf('vm.traced', '1', { VCluster: 'ml' }), { 'x-pact-request-id': 'traced' });
  await new Promise<void>((resolve, reject) => {
    const boot = client.boot.streamBootConfig({
      nodeId: 'n1',
      vclusterId: 'ml',
      lastKnownVersion: undefined,
    });
    boot
      .on('data', () => undefined)
      .on('error', reject)
      .on('end', resolve);
  });
  client.close();

  const ofCommit = (): readonly Received[] =>
    spans.filter(({ attributes }) => valueOf(attributes, 'pact.request_id') === 'traced');
  const nodeName = (id: number | undefined): string => `pact/${String(id)}`;
  await expect
    .poll(() =>
      ofCommit()
        .map(({ instance, name }) => `${String(instance)} ${name}`)
        .sort(),
    )
    .toEqual(
      [
        ...[1, 2, 3].map((id) => `${nodeName(id)} apply`),
        `${nodeName(leader.place.id)} call`,
        `${nodeName(leader.place.id)} propose`,
        `${nodeName(follower?.place.id)} call`,
      ].sort(),
    );
  expect(new Set(ofCommit().map(({ traceId }) => traceId)).size).toBe(1);
  expect(new Set(ofCommit().map(({ spanId }) => spanId)).size).toBe(6);
  for (const { startTimeUnixNano, endTimeUnixNano } of ofCommit()) {
    expect(BigInt(endTimeUnixNano)).toBeGreaterThanOrEqual(BigInt(startTimeUnixNano));
  }
  await expect.poll(() => spans.filter(({ name }) => name === 'boot')).toHaveLength(1);
  const boot = spans.find(({ name }) => name === 'boot');
  expect(boot?.traceId).not.toBe(ofCommit()[0]?.traceId);
});
