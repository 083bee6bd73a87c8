/** How a node leaves: what is under way is finished, what is new goes elsewhere, leadership is handed over. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import { status, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import { stream } from '@pact-journal/journal-proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { all, append, commitOf, stubs, type Stubs } from '../support/calls.ts';
import { TestCluster, type NodePlace, type TestNode } from '../support/test-cluster.ts';

const DRAIN_MS = 2_000;

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await TestCluster.start({ nodes: 3, flags: ['--drain-timeout', `${String(DRAIN_MS)}ms`] });
  const client = stubs(cluster.places[0]?.grpc ?? '');
  // More than all the buffers between a server and a client that does not read, and it cannot be compressed.
  for (let part = 0; part < 6; part += 1) {
    const value = randomBytes(600_000).toString('base64');
    await append(client, commitOf(`vm.part${String(part)}`, value, { VCluster: 'big' }));
  }
  client.close();
});

afterAll(async () => {
  await cluster.stop();
});

const boot = ({ boot: service }: Stubs): ClientReadableStream<stream.ConfigChunk> =>
  service.streamBootConfig({ nodeId: 'n1', vclusterId: 'big', lastKnownVersion: undefined });

/** A boot whose client stops reading after its first bytes; on HTTP/2 itself, where nothing else reads ahead. */
class StalledBoot {
  readonly #session: ClientHttp2Session;
  readonly #call: ClientHttp2Stream;
  /** `grpc-status`, once it has come; `lost` where it never will. */
  readonly outcome: Promise<string>;

  private constructor(address: string) {
    this.#session = connect(`http://${address}`);
    this.#session.on('error', () => undefined);
    this.#call = this.#session.request({
      ':method': 'POST',
      ':path': '/pact.stream.BootConfigService/StreamBootConfig',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    const request = { nodeId: 'n1', vclusterId: 'big', lastKnownVersion: undefined };
    const message = stream.BootConfigRequest.encode(request).finish();
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(message.length, 1);
    this.#call.end(Buffer.concat([prefix, message]));
    this.outcome = new Promise((resolve) => {
      this.#call.on('trailers', (trailers) => {
        resolve(String(trailers['grpc-status']));
      });
      this.#call.on('error', () => undefined);
      this.#call.on('close', () => {
        resolve('lost');
      });
    });
  }

  static async start({ grpc }: NodePlace): Promise<StalledBoot> {
    const boot = new StalledBoot(grpc);
    await once(boot.#call, 'data');
    boot.#call.pause();
    return boot;
  }

  readOn(): void {
    this.#call.resume();
  }

  close(): void {
    this.#session.destroy();
  }
}

async function restart(node: TestNode): Promise<void> {
  cluster.startNode(node.place.id);
  await cluster.leader();
}

test('a stopping leader finishes the boots under way, sends new ones elsewhere, and hands leadership over', async () => {
  const leader = await cluster.leader();
  const client = stubs(leader.place.grpc);
  await all(boot(client)); // connected, and the overlay is built
  const stalled = await StalledBoot.start(leader.place);
  const stopped = leader.kill('SIGTERM');
  await expect.poll(() => leader.log, { timeout: 5_000, interval: 5 }).toContain('stopping');
  const refusal = await all(boot(client)).then(
    () => undefined,
    (error: unknown) => error as ServiceError,
  );
  expect(refusal).toMatchObject({
    code: status.UNAVAILABLE,
    details: expect.stringContaining('shutting down') as string,
  });
  expect(Number(refusal?.metadata.get('retry-after-ms')[0])).toBeGreaterThan(0);
  stalled.readOn();
  expect(await stalled.outcome).toBe('0');
  await stopped;
  expect(await leader.exited).toEqual({ code: 0, signal: null });
  expect((await cluster.leader()).place.id).not.toBe(leader.place.id);
  client.close();
  stalled.close();
  await restart(leader);
});

test('a boot that does not end holds a stopping node up for the drain timeout and no longer', async () => {
  const node = await cluster.leader();
  const stalled = await StalledBoot.start(node.place);
  const startedMs = performance.now();
  await node.kill('SIGTERM');
  const tookMs = performance.now() - startedMs;
  expect(await node.exited).toEqual({ code: 0, signal: null });
  expect(tookMs).toBeGreaterThan(DRAIN_MS - 100);
  expect(tookMs).toBeLessThan(2 * DRAIN_MS);
  expect(await stalled.outcome).toBe('lost');
  stalled.close();
  await restart(node);
});

test('a second signal ends it at once', async () => {
  const node = await cluster.leader();
  const stalled = await StalledBoot.start(node.place);
  const startedMs = performance.now();
  const stopped = node.kill('SIGTERM');
  await expect.poll(() => node.log, { timeout: 5_000, interval: 5 }).toContain('stopping');
  await node.kill('SIGTERM');
  await stopped;
  expect(await node.exited).toEqual({ code: 128 + 15, signal: null });
  expect(performance.now() - startedMs).toBeLessThan(DRAIN_MS);
  stalled.close();
});
