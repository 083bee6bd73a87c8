import { createHash, randomBytes } from 'node:crypto';
import { credentials, Metadata, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { decompress } from 'zstd-napi';
import { stream } from '@pact-journal/journal-proto';
import { DELTA_KINDS } from '@pact-journal/journal-state';
import { aCommit, node, vcluster } from '@pact-journal/journal-state/testing';
import { Replica } from './support/replica.ts';
import type { ReplicaOptions } from './support/replica.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(
  options: ReplicaOptions = {},
): Promise<{ replica: Replica; client: stream.BootConfigServiceClient }> {
  const replica = await Replica.start(options);
  const client = new stream.BootConfigServiceClient(replica.address, credentials.createInsecure());
  cleanups.push(
    () => replica.stop(),
    () => client.close(),
  );
  return { replica, client };
}

interface Outcome {
  readonly chunks: stream.ConfigChunk[];
  readonly error: ServiceError | undefined;
}

function collect(
  client: stream.BootConfigServiceClient,
  request: Partial<stream.BootConfigRequest>,
  metadata: Record<string, string> = {},
  deadlineMs?: number,
): Promise<Outcome> {
  const sent = new Metadata();
  for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
  const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
  const call = client.streamBootConfig({ nodeId: 'n1', vclusterId: 'ml', ...request }, sent, options);
  const chunks: stream.ConfigChunk[] = [];
  return new Promise((resolve) => {
    call.on('data', (chunk: stream.ConfigChunk) => chunks.push(chunk));
    call.on('error', (error: ServiceError) => resolve({ chunks, error }));
    call.on('end', () => resolve({ chunks, error: undefined }));
  });
}

function parts({ chunks, error }: Outcome): {
  kinds: (string | undefined)[];
  overlay: Record<string, unknown> & { version: number; kernel: { key: string; value: string }[] };
  delta: Record<string, unknown>;
  complete: stream.ConfigComplete | undefined;
} {
  if (error !== undefined) throw error;
  const data = chunks.flatMap(({ chunk }) => (chunk?.$case === 'baseOverlay' ? [chunk.value.data] : []));
  const delta = chunks.flatMap(({ chunk }) => (chunk?.$case === 'nodeDelta' ? [chunk.value] : []))[0];
  const complete = chunks.flatMap(({ chunk }) => (chunk?.$case === 'complete' ? [chunk.value] : []))[0];
  return {
    kinds: chunks.map(({ chunk }) => chunk?.$case),
    overlay: data.length === 0 ? {} : JSON.parse(decompress(Buffer.concat(data)).toString()),
    delta: JSON.parse(Buffer.from(delta?.data ?? '{}').toString()),
    complete,
  };
}

const sha256 = (data: Uint8Array): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;

describe.each([
  ['the front', {}],
  ['grpc-js alone', { plain: true }],
])('StreamBootConfig through %s', (_, how) => {
  it('sends the overlay, the delta and the end, each with its version and checksum', async () => {
    const { replica, client } = await start(how);
    const base = replica.append(aCommit(vcluster('ml'), { kernel: { 'vm.swappiness': '10' } }));
    const own = replica.append(
      aCommit(node('n1'), { kernel: { 'vm.swappiness': '1' }, mounts: { '/scratch': null } }),
    );
    const outcome = await collect(client, {});
    const { kinds, overlay, delta, complete } = parts(outcome);
    expect(kinds).toEqual(['baseOverlay', 'nodeDelta', 'complete']);
    expect(overlay).toMatchObject({ vcluster_id: 'ml', version: base });
    for (const kind of DELTA_KINDS) expect(overlay[kind]).toBeInstanceOf(Array);
    for (const kind of DELTA_KINDS) expect(delta[kind]).toBeInstanceOf(Array);
    expect(delta['kernel']).toMatchObject([{ key: 'vm.swappiness', value: '1' }]);
    expect(complete).toMatchObject({ baseVersion: base, nodeVersion: own });
    expect(Math.abs((complete?.timestamp?.seconds ?? 0) - Date.now() / 1000)).toBeLessThan(60);
    for (const { chunk } of outcome.chunks) {
      if (chunk?.$case === 'baseOverlay') {
        expect(chunk.value).toMatchObject({ vclusterId: 'ml', version: base, chunkIndex: 0, totalChunks: 1 });
        expect(chunk.value.checksum).toBe(sha256(chunk.value.data));
      }
      if (chunk?.$case === 'nodeDelta') {
        expect(chunk.value).toMatchObject({ nodeId: 'n1', version: own });
        expect(chunk.value.checksum).toBe(sha256(chunk.value.data));
      }
    }
  });

  it('sends no overlay to a client that has it, but the delta, and one again after a commit', async () => {
    const { replica, client } = await start(how);
    replica.append(aCommit(vcluster('ml'), { kernel: { a: '0' } }));
    const version = replica.append(aCommit(vcluster('ml'), { kernel: { a: '1' } }));
    expect(parts(await collect(client, { lastKnownVersion: version })).kinds).toEqual([
      'nodeDelta',
      'complete',
    ]);
    const newer = replica.append(aCommit('Global', { kernel: { b: '2' } }));
    const { overlay, complete } = parts(await collect(client, { lastKnownVersion: version }));
    expect(overlay.kernel).toMatchObject([
      { key: 'a', value: '1' },
      { key: 'b', value: '2' },
    ]);
    expect(complete?.baseVersion).toBe(newer);
  });

  it('sends an overlay of nearly 1 MiB as one message', async () => {
    const { replica, client } = await start(how);
    for (const key of ['a', 'b']) {
      const value = randomBytes(515_000).toString('base64');
      replica.append(aCommit(vcluster('ml'), { kernel: { [key]: value } }));
    }
    const { chunks } = await collect(client, {});
    const pieces = chunks.flatMap(({ chunk }) => (chunk?.$case === 'baseOverlay' ? [chunk.value] : []));
    expect(pieces).toHaveLength(1);
    expect(pieces[0]).toMatchObject({ chunkIndex: 0, totalChunks: 1 });
    expect(pieces[0]?.data.byteLength).toBeGreaterThan(1_000_000);
    expect(pieces[0]?.data.byteLength).toBeLessThanOrEqual(1024 * 1024);
  });

  it('splits an overlay above 1 MiB into messages of at most 1 MiB', async () => {
    const { replica, client } = await start(how);
    const value = (): string => randomBytes(500_000).toString('base64');
    for (let index = 0; index < 5; index += 1)
      replica.append(aCommit(vcluster('ml'), { kernel: { [`k${index}`]: value() } }));
    const outcome = await collect(client, {});
    const pieces = outcome.chunks.flatMap(({ chunk }) =>
      chunk?.$case === 'baseOverlay' ? [chunk.value] : [],
    );
    expect(pieces.length).toBeGreaterThan(2);
    for (const [index, piece] of pieces.entries()) {
      expect(piece).toMatchObject({ chunkIndex: index, totalChunks: pieces.length });
      expect(piece.data.byteLength).toBeLessThanOrEqual(1024 * 1024);
    }
    expect(sha256(Buffer.concat(pieces.map(({ data }) => data)))).toBe(pieces[0]?.checksum);
    expect(parts(outcome).overlay.kernel).toHaveLength(5);
  });

  it("uses the node's assignment where no virtual cluster is named", async () => {
    const { replica, client } = await start(how);
    replica.append(aCommit(vcluster('ml'), { kernel: { a: '1' } }));
    expect(await collect(client, { vclusterId: '' })).toMatchObject({ error: { code: status.NOT_FOUND } });
    replica.assign('n1', 'ml');
    expect(parts(await collect(client, { vclusterId: '' })).overlay).toMatchObject({ vcluster_id: 'ml' });
  });

  it('serves a virtual cluster that is known but empty', async () => {
    const { replica, client } = await start(how);
    replica.assign('n1', 'idle');
    const { overlay, complete } = parts(await collect(client, { vclusterId: 'idle', lastKnownVersion: 0 }));
    expect(overlay).toMatchObject({ vcluster_id: 'idle', version: 0, kernel: [] });
    expect(complete).toMatchObject({ baseVersion: 0, nodeVersion: 0 });
  });

  it('refuses what it cannot serve with the right status', async () => {
    const { replica, client } = await start(how);
    replica.append(aCommit(vcluster('ml'), {}));
    const refusals: [Partial<stream.BootConfigRequest>, Record<string, string>, status][] = [
      [{ vclusterId: 'nowhere' }, {}, status.NOT_FOUND],
      [{ nodeId: '' }, {}, status.INVALID_ARGUMENT],
      [{ nodeId: 'n'.repeat(10_240) }, {}, status.INVALID_ARGUMENT],
      [{ nodeId: 'é'.repeat(129) }, {}, status.INVALID_ARGUMENT],
      [{ vclusterId: 'a\nb' }, {}, status.INVALID_ARGUMENT],
      [{}, { 'x-pact-min-sequence': '-1' }, status.INVALID_ARGUMENT],
      [{}, { 'x-pact-min-sequence': '99999999999999999' }, status.INVALID_ARGUMENT],
    ];
    for (const [request, metadata, code] of refusals) {
      expect(await collect(client, request, metadata)).toMatchObject({ chunks: [], error: { code } });
    }
    expect(parts(await collect(client, { nodeId: 'é'.repeat(128) })).kinds).toHaveLength(3);
  });

  it('waits for the sequence that the client asks for, and no longer than it may', async () => {
    const { replica, client } = await start({ ...how, limits: { fenceWaitMsMax: 300 } });
    replica.append(aCommit(vcluster('ml'), { kernel: { a: '0' } }));
    expect(parts(await collect(client, {}, { 'x-pact-min-sequence': '0' })).overlay.version).toBe(0);

    const fenced = collect(client, {}, { 'x-pact-min-sequence': '1' });
    await expect.poll(() => replica.bootServer.stats().bootsActive).toBe(1);
    replica.append(aCommit(vcluster('ml'), { kernel: { a: '1' } }));
    expect(parts(await fenced).overlay.kernel).toMatchObject([{ value: '1' }]);

    expect(await collect(client, {}, { 'x-pact-min-sequence': '2' })).toMatchObject({
      error: { code: status.UNAVAILABLE },
    });
  });

  it('refuses more boots than it may have open, says when to come back, and goes on after', async () => {
    const { replica, client } = await start({ ...how, limits: { bootStreamsMax: 3, retryAfterMs: 200 } });
    replica.append(aCommit(vcluster('ml'), {}));
    const waiting = [0, 1, 2].map(() => collect(client, {}, { 'x-pact-min-sequence': '1' }));
    await expect.poll(() => replica.bootServer.stats().bootsActive).toBe(3);
    const { error } = await collect(client, {});
    expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
    const hintMs = Number(error?.metadata.get('retry-after-ms')[0]);
    expect(hintMs).toBeGreaterThanOrEqual(100);
    expect(hintMs).toBeLessThanOrEqual(300);
    replica.append(aCommit(vcluster('ml'), {}));
    for (const boot of waiting) expect(parts(await boot).kinds).toHaveLength(3);
    await expect.poll(() => replica.bootServer.stats().bootsActive).toBe(0);
    expect(parts(await collect(client, {})).kinds).toHaveLength(3);
    expect(replica.bootServer.stats()).toMatchObject({ bootsRefused: 1 });
  });

  it('ends at the deadline and when the client cancels, and frees the place', async () => {
    const { replica, client } = await start(how);
    replica.append(aCommit(vcluster('ml'), {}));
    const late = await collect(client, {}, { 'x-pact-min-sequence': '9' }, 150);
    expect(late.error?.code).toBe(status.DEADLINE_EXCEEDED);
    const call = client.streamBootConfig({ nodeId: 'n1', vclusterId: 'ml' }, fence('9'));
    call.on('error', () => undefined);
    await expect.poll(() => replica.bootServer.stats().bootsActive).toBe(1);
    call.cancel();
    await expect.poll(() => replica.bootServer.stats().bootsActive).toBe(0);
  });

  it('never mixes states and never serves one older than was acknowledged, whatever is committed meanwhile', async () => {
    const { replica, client } = await start(how);
    // Each commit sets the same value in the virtual cluster and on the node: any mixture shows.
    const commit = (round: number): void => {
      replica.append(
        aCommit(vcluster('ml'), { kernel: { round: String(round) } }),
        aCommit(node('n1'), { kernel: { own: String(round) } }),
      );
    };
    commit(0);
    let acknowledged = 0;
    let running = true;
    const committer = (async () => {
      for (let round = 1; running; round += 1) {
        commit(round);
        acknowledged = round;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const boots = Array.from({ length: 8 }, async () => {
      for (let count = 0; count < 25; count += 1) {
        const atLeast = acknowledged;
        const { overlay, delta } = parts(await collect(client, {}));
        const base = Number(overlay.kernel[0]?.value);
        const own = Number((delta['kernel'] as { value: string }[])[0]?.value);
        expect(own).toBe(base);
        expect(base).toBeGreaterThanOrEqual(atLeast);
      }
    });
    await Promise.all(boots);
    running = false;
    await committer;
    expect(acknowledged).toBeGreaterThan(20);
  });
});

function fence(sequence: string): Metadata {
  const metadata = new Metadata();
  metadata.set('x-pact-min-sequence', sequence);
  return metadata;
}
