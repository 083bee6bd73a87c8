import { createHash, randomBytes } from 'node:crypto';
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { ServerWritableStream } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { compress, CompressStream } from 'zstd-napi';
import { stream } from '@pact-journal/journal-proto';
import { aCommit, node, vcluster } from '@pact-journal/journal-state/testing';
import { BootClient, decompressBounded } from '../src/index.ts';
import type { BootClientOptions } from '../src/index.ts';
import { Replica } from './support/replica.ts';
import type { ReplicaOptions } from './support/replica.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function replica(options: ReplicaOptions = {}): Promise<Replica> {
  const started = await Replica.start(options);
  cleanups.push(() => started.stop());
  return started;
}

function clientOf(endpoints: readonly string[], options: Partial<BootClientOptions> = {}): BootClient {
  const client = new BootClient({ endpoints, ...options });
  cleanups.push(() => client.close());
  return client;
}

type BootHandler = (
  call: ServerWritableStream<stream.BootConfigRequest, stream.ConfigChunk>,
  count: number,
) => void;

/** A replica that does what the test says. */
async function impostor(handler: BootHandler): Promise<{ address: string; calls: () => number }> {
  let calls = 0;
  const server = new Server();
  server.addService(stream.BootConfigServiceDefinition, {
    streamBootConfig: (call: Parameters<BootHandler>[0]) => handler(call, (calls += 1)),
    subscribeConfigUpdates: (call: ServerWritableStream<unknown, unknown>) => call.end(),
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  cleanups.push(() => server.forceShutdown());
  return { address: `127.0.0.1:${port}`, calls: () => calls };
}

const sha256 = (data: Uint8Array): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;
const kinds = { mounts: [], files: [], network: [], services: [], kernel: [], packages: [], gpu: [] };

interface Told {
  overlay?: Uint8Array;
  checksum?: string;
  delta?: unknown;
  deltaChecksum?: string;
}

function tell(
  call: Parameters<BootHandler>[0],
  { overlay, checksum, delta = kinds, deltaChecksum }: Told = {},
): void {
  const data =
    overlay ?? compress(Buffer.from(JSON.stringify({ vcluster_id: 'ml', version: 1, policy: {}, ...kinds })));
  const deltaData = Buffer.from(JSON.stringify(delta));
  const base = {
    version: 1,
    vclusterId: 'ml',
    data,
    chunkIndex: 0,
    totalChunks: 1,
    checksum: checksum ?? sha256(data),
  };
  call.write({ chunk: { $case: 'baseOverlay', value: base } });
  const value = {
    nodeId: call.request.nodeId,
    version: 0,
    data: deltaData,
    checksum: deltaChecksum ?? sha256(deltaData),
  };
  call.write({ chunk: { $case: 'nodeDelta', value } });
  call.write({
    chunk: { $case: 'complete', value: { baseVersion: 1, nodeVersion: 0, timestamp: undefined } },
  });
  call.end();
}

const once = { attemptsPerEndpointMax: 1 };

describe('BootClient', () => {
  it("gives the virtual cluster's configuration with the node's on top, and nothing of another's", async () => {
    const served = await replica();
    served.append(
      aCommit('Global', { kernel: { g: 'global', both: 'global' }, packages: { slurm: '24.05' } }),
      aCommit(vcluster('ml'), {
        kernel: { both: 'ml', gone: 'x', ['__proto__']: 'odd' },
        mounts: {
          '/data': {
            value: 'nfs:/d',
            spec: { fs_type: 'nfs', source: 'nfs:/d', options: 'ro,hard', read_only: true },
          },
        },
        files: { '/etc/motd': { value: 'sha256:aa', spec: { mode: 0o644, owner: 'root:root' } } },
      }),
      aCommit(vcluster('other'), { kernel: { other: '1' } }),
      aCommit(node('n1'), { kernel: { own: '1', gone: null } }),
      aCommit(node('n2'), { kernel: { second: '1' } }),
    );
    const boot = await clientOf([served.address]).boot({ nodeId: 'n1', vclusterId: 'ml' });
    expect(boot.config.kernel).toEqual(
      Object.fromEntries([
        ['__proto__', { value: 'odd' }],
        ['both', { value: 'ml' }],
        ['g', { value: 'global' }],
        ['own', { value: '1' }],
      ]),
    );
    expect(Object.keys(boot.config.kernel)).toEqual(['__proto__', 'both', 'g', 'own']);
    expect(boot.config.mounts['/data']?.spec).toEqual({
      fs_type: 'nfs',
      source: 'nfs:/d',
      options: 'ro,hard',
      read_only: true,
    });
    expect(boot.config.files['/etc/motd']).toEqual({
      value: 'sha256:aa',
      spec: { mode: 0o644, owner: 'root:root' },
    });
    expect(boot).toMatchObject({
      nodeId: 'n1',
      vclusterId: 'ml',
      baseVersion: 1,
      nodeVersion: 3,
      overlaySent: true,
      attempts: 1,
      endpoint: served.address,
    });
    expect(boot.policy.vcluster_id).toBe('ml');
    expect(boot.firstMessageMs).toBeLessThanOrEqual(boot.overlayMs);
    expect(boot.overlayMs).toBeLessThanOrEqual(boot.durationMs);
  });

  it('uses the overlay that it has while it is current', async () => {
    const served = await replica();
    served.append(
      aCommit(vcluster('ml'), { kernel: { a: '0' } }),
      aCommit(vcluster('ml'), { kernel: { a: '1' } }),
    );
    const client = clientOf([served.address]);
    const first = await client.boot({ nodeId: 'n1', vclusterId: 'ml' });
    served.append(aCommit(node('n1'), { kernel: { own: '1' } }));
    const second = await client.boot({ nodeId: 'n1', vclusterId: 'ml', known: first.overlay });
    expect(second).toMatchObject({ overlaySent: false, overlayChecksum: first.overlayChecksum });
    expect(second.config.kernel).toEqual({ a: { value: '1' }, own: { value: '1' } });
    served.append(aCommit(vcluster('ml'), { kernel: { a: '2' } }));
    const third = await client.boot({ nodeId: 'n1', vclusterId: 'ml', known: first.overlay });
    expect(third).toMatchObject({ overlaySent: true, config: { kernel: { a: { value: '2' } } } });
  });

  it('boots from an overlay of nearly 10 MiB; a larger one is refused in words, and others are served', async () => {
    const served = await replica();
    // Random bytes as text take three quarters of it once compressed.
    const value = (): string => randomBytes(780_000).toString('base64');
    const keep = (index: number): unknown =>
      served.append(aCommit(vcluster('big'), { kernel: { [`k${index}`]: value() } }));
    for (let index = 0; index < 13; index += 1) keep(index);
    served.append(aCommit(vcluster('ml'), { kernel: { small: '1' } }));
    const client = clientOf([served.address]);
    const boot = await client.boot({ nodeId: 'n1', vclusterId: 'big' });
    expect(boot.overlaySizeBytes).toBeGreaterThan(9.5 * 1024 * 1024);
    expect(Object.keys(boot.config.kernel)).toHaveLength(13);
    keep(13);
    await expect(client.boot({ nodeId: 'n1', vclusterId: 'big' })).rejects.toMatchObject({
      code: 'notPossible',
      message: expect.stringContaining('10') as string,
    });
    expect((await client.boot({ nodeId: 'n1', vclusterId: 'ml' })).config.kernel).toEqual({
      small: { value: '1' },
    });
  });

  it('goes on with another replica when one breaks off, lies or is not there', async () => {
    const good = await replica();
    good.append(
      aCommit(vcluster('ml'), { kernel: { a: '0' } }),
      aCommit(vcluster('ml'), { kernel: { a: 'good' } }),
    );
    const breaksOff = await impostor((call) => {
      const value = {
        version: 1,
        vclusterId: 'ml',
        data: randomBytes(100),
        chunkIndex: 0,
        totalChunks: 2,
        checksum: '',
      };
      call.write({ chunk: { $case: 'baseOverlay', value } }, () => call.destroy());
    });
    const lies = await impostor((call) => tell(call, { checksum: sha256(Buffer.from('other')) }));
    const silent = await impostor(() => undefined);
    for (const bad of [breaksOff.address, lies.address, silent.address, '127.0.0.1:1']) {
      for (let round = 0; round < 4; round += 1) {
        const client = clientOf([bad, good.address], { attemptMsMax: 500 });
        const boot = await client.boot({ nodeId: 'n1', vclusterId: 'ml' });
        expect(boot.config.kernel).toEqual({ a: { value: 'good' } });
        expect((await client.boot({ nodeId: 'n1', vclusterId: 'ml' })).attempts).toBe(1); // it keeps to what works
      }
    }
    expect(breaksOff.calls() + lies.calls() + silent.calls()).toBeGreaterThan(0);
  });

  it('comes back to a replica that is overloaded when that says', async () => {
    const busy = await impostor((call, count) => {
      if (count > 3) return tell(call);
      call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: 'busy' });
    });
    const boot = await clientOf([busy.address], once).boot({ nodeId: 'n1' });
    expect(boot.attempts).toBe(4);
  });

  it.each<[string, Told, string]>([
    ['an overlay that is not what its checksum says', { checksum: sha256(Buffer.from('other')) }, 'corrupt'],
    [
      'a delta that is not what its checksum says',
      { deltaChecksum: sha256(Buffer.from('other')) },
      'corrupt',
    ],
    ['an overlay that is no zstd', { overlay: randomBytes(1_000) }, 'corrupt'],
    ['an overlay that is cut off', { overlay: compress(randomBytes(50_000)).subarray(0, 20_000) }, 'corrupt'],
    ['an overlay that is empty', { overlay: Buffer.alloc(0) }, 'corrupt'],
    ['an overlay that is no JSON', { overlay: compress(Buffer.from('{')) }, 'corrupt'],
    ['an overlay without all kinds', { overlay: compress(Buffer.from('{"mounts":[]}')) }, 'corrupt'],
    [
      'a delta with an item without a key',
      { delta: { ...kinds, gpu: [{ action: 'Add', value: '1' }] } },
      'corrupt',
    ],
    [
      'a delta with an unknown action',
      { delta: { ...kinds, gpu: [{ action: 'Set', key: '0', value: '1' }] } },
      'corrupt',
    ],
  ])('refuses %s', async (_, told, code) => {
    const liar = await impostor((call) => tell(call, told));
    await expect(clientOf([liar.address], once).boot({ nodeId: 'n1' })).rejects.toMatchObject({
      name: 'BootStreamError',
      code,
    });
  });

  it('refuses messages out of order', async () => {
    const value = { nodeId: 'n1', version: 0, data: Buffer.from(JSON.stringify(kinds)), checksum: '' };
    const piece = {
      version: 1,
      vclusterId: 'ml',
      data: randomBytes(10),
      chunkIndex: 0,
      totalChunks: 2,
      checksum: '',
    };
    const delta: stream.ConfigChunk = { chunk: { $case: 'nodeDelta', value } };
    const overlay: stream.ConfigChunk = { chunk: { $case: 'baseOverlay', value: piece } };
    const complete: stream.ConfigChunk = {
      chunk: { $case: 'complete', value: { baseVersion: 1, nodeVersion: 0, timestamp: undefined } },
    };
    const sequences = [
      [],
      [complete],
      [delta, delta],
      [delta, overlay],
      [overlay, overlay],
      [overlay, delta, complete],
      [{ chunk: undefined }],
      [delta, complete, delta],
    ];
    for (const messages of sequences) {
      const odd = await impostor((call) => {
        for (const message of messages) call.write(message);
        call.end();
      });
      await expect(clientOf([odd.address], once).boot({ nodeId: 'n1' })).rejects.toMatchObject({
        code: 'corrupt',
      });
    }
  });

  it('stops reading a replica that sends without end', async () => {
    let cancelled = false;
    const endless = await impostor((call) => {
      const send = (chunkIndex: number): void => {
        cancelled = call.cancelled;
        if (cancelled) return;
        const data = Buffer.alloc(1_000_000);
        const value = {
          version: 1,
          vclusterId: 'ml',
          data,
          chunkIndex,
          totalChunks: 0xffffffff,
          checksum: '',
        };
        if (call.write({ chunk: { $case: 'baseOverlay', value } })) setImmediate(send, chunkIndex + 1);
        else call.once('drain', () => send(chunkIndex + 1));
      };
      call.on('cancelled', () => (cancelled = true));
      send(0);
    });
    const client = clientOf([endless.address], { ...once, dataSizeBytesMax: 5_000_000 });
    await expect(client.boot({ nodeId: 'n1' })).rejects.toMatchObject({ code: 'tooLarge' });
    await expect.poll(() => cancelled).toBe(true);
  });

  it('does not ask again where asking is no use', async () => {
    const served = await replica();
    const client = clientOf([served.address]);
    await expect(client.boot({ nodeId: 'n1', vclusterId: 'nowhere' })).rejects.toMatchObject({
      code: 'notFound',
    });
    await expect(client.boot({ nodeId: '' })).rejects.toMatchObject({ code: 'invalidRequest' });
    expect(served.bootServer.stats().bootsAdmitted).toBe(2);
  });

  it('gives up when its caller does, and at its deadline', async () => {
    const silent = await impostor(() => undefined);
    const client = clientOf([silent.address], { deadlineMs: 300 });
    await expect(client.boot({ nodeId: 'n1' })).rejects.toMatchObject({ code: 'deadlineExceeded' });
    const patient = clientOf([silent.address]);
    const boot = patient.boot({ nodeId: 'n1', signal: AbortSignal.timeout(200) });
    await expect(boot).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('follows updates across replicas without gap or repeat', async () => {
    const replicas = [await replica({ limits: { subscriberLagBytesMax: 20_000 } }), await replica()];
    const entries = Array.from({ length: 300 }, (_, index) =>
      aCommit(vcluster('ml'), { kernel: { a: String(index) } }),
    );
    const client = clientOf(replicas.map(({ address }) => address));
    const stop = new AbortController();
    const got: number[] = [];
    const following = (async () => {
      for await (const update of client.subscribe({
        nodeId: 'n1',
        vclusterId: 'ml',
        fromSequence: 3,
        signal: stop.signal,
      })) {
        got.push(update.sequence);
        expect(update.kind).toBe('vcluster_change');
        expect(update.payload).toMatchObject({ sequence: update.sequence, entry_type: 'Commit' });
        if (got.length === 50)
          replicas.find((one) => one.bootServer.stats().subscribers > 0)?.bootServer.close();
      }
    })();
    for (const entry of entries) {
      for (const one of replicas) one.append(entry);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await expect.poll(() => got.length, { timeout: 20_000 }).toBe(297);
    expect(got).toEqual(Array.from({ length: 297 }, (_, index) => index + 3));
    stop.abort();
    await following;
  });
});

describe('decompressBounded', () => {
  const bomb = (sizeBytes: number): Buffer => compress(Buffer.alloc(sizeBytes));

  it('gives what was compressed, whatever the frame says of its size', async () => {
    const content = randomBytes(300_000);
    expect(decompressBounded(compress(content), 300_000).equals(content)).toBe(true);
    expect(decompressBounded(await streamed(content), 300_000).equals(content)).toBe(true);
    expect(decompressBounded(compress(Buffer.alloc(0)), 10)).toHaveLength(0);
  });

  it('refuses a bomb, announced or not, in one frame or in many', async () => {
    const sizeBytes = 200_000_000;
    expect(bomb(sizeBytes).length).toBeLessThan(30_000);
    const before = process.memoryUsage().rss;
    expect(() => decompressBounded(bomb(sizeBytes), 1_000_000)).toThrow(
      expect.objectContaining({ code: 'tooLarge' }),
    );
    const unannounced = await streamed(Buffer.alloc(sizeBytes / 10));
    expect(() => decompressBounded(unannounced, 1_000_000)).toThrow(
      expect.objectContaining({ code: 'tooLarge' }),
    );
    const many = Buffer.concat(Array.from({ length: 30 }, () => bomb(100_000)));
    expect(() => decompressBounded(many, 1_000_000)).toThrow(expect.objectContaining({ code: 'tooLarge' }));
    expect(process.memoryUsage().rss - before).toBeLessThan(450_000_000); // what the test itself made
  });

  it('refuses a frame that needs a larger window than any overlay has', async () => {
    const content = Buffer.from('{}');
    expect(decompressBounded(await streamed(content, 26), 1_000_000).equals(content)).toBe(true);
    const needsMore = await streamed(content, 27);
    expect(() => decompressBounded(needsMore, 1_000_000)).toThrow(
      expect.objectContaining({ code: 'corrupt' }),
    );
  });

  async function streamed(content: Buffer, windowLog?: number): Promise<Buffer> {
    const compressing = new CompressStream({ windowLog });
    compressing.end(content);
    const pieces: Buffer[] = [];
    for await (const piece of compressing) pieces.push(piece as Buffer);
    return Buffer.concat(pieces);
  }
});
