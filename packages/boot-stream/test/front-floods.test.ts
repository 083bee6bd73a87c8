/** What a flooder meets, and that the next one is served all the same. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { aCommit, vcluster } from '@pact-journal/journal-state/testing';
import { Doorkeeper } from '../src/front/doorkeeper.ts';
import { stream } from '@pact-journal/journal-proto';
import type { AddressLimits, Admit, UnaryMethod } from '../src/index.ts';
import { CallHeaders, headersFrames, PREFACE, resetFrame } from '../src/testing/index.ts';
import { BOOT_PATH, bootRequest, cleanups, framed, post, session, start } from './support/wire-client.ts';

const CALL = { ':method': 'POST', ':path': BOOT_PATH, 'content-type': 'application/grpc' } as const;
const SUBSCRIBE_PATH = stream.BootConfigServiceDefinition.subscribeConfigUpdates.path;
const ADDRESS: AddressLimits = {
  connectionsMax: 100,
  connectionsPerSecond: 1,
  connectionsBurst: 100,
  penaltyMs: 60_000,
};

/** Connects, and tells whether the connection was still there when the server had had its say. */
async function knock(address: string): Promise<boolean> {
  const opened = session(address);
  return Promise.race([
    once(opened, 'remoteSettings').then(() => true),
    new Promise<boolean>((resolve) => opened.once('close', () => resolve(false))),
  ]);
}

async function served(opened: ClientHttp2Session): Promise<void> {
  expect((await post(opened, framed(bootRequest()))).trailers['grpc-status']).toBe('0');
}

/** Opens so many boots and resets each in the next frame (CVE-2023-44487), thousands in one read of the server's. */
function openedAndReset(streams: number, code: number): Buffer {
  const headers = new CallHeaders('x', BOOT_PATH, 'none');
  const frames: Buffer[] = [];
  for (let id = 1; id < 2 * streams; id += 2)
    frames.push(headersFrames(id, id === 1 ? headers.first : headers.again), resetFrame(id, code));
  return Buffer.concat(frames);
}

function goawayOf(opened: ClientHttp2Session): Promise<number> {
  return new Promise((resolve) => opened.once('goaway', resolve));
}

describe('an address', () => {
  it('has no more connections at once than it may, and gets others when they are closed', async () => {
    const { address, front } = await start({ front: { perAddress: { ...ADDRESS, connectionsMax: 3 } } });
    const sockets: Socket[] = [];
    for (let count = 0; count < 3; count += 1) {
      const socket = connect(Number(address.split(':')[1]), '127.0.0.1');
      cleanups.push(() => socket.destroy());
      await once(socket, 'connect');
      sockets.push(socket);
    }
    await expect.poll(() => knock(address)).toBe(false);
    expect(front.stats().connectionsRefused).toBeGreaterThan(0);
    sockets[0]?.destroy();
    await expect.poll(() => knock(address)).toBe(true);
  });

  it('opens no more connections than its burst and its rate allow, and keeps those that it has', async () => {
    const { address, front } = await start({ front: { perAddress: { ...ADDRESS, connectionsBurst: 5 } } });
    const first = session(address);
    await served(first);
    for (let count = 0; count < 4; count += 1) expect(await knock(address)).toBe(true);
    const outcomes = await Promise.all(Array.from({ length: 16 }, () => knock(address)));
    expect(outcomes).toContain(false);
    expect(front.stats().connectionsRefused).toBeGreaterThanOrEqual(10);
    await served(first);
  });

  it('that is turned away waits for it where there is room, and costs the server no socket where there is none', async () => {
    const { address, front } = await start({ front: { perAddress: { ...ADDRESS, connectionsBurst: 5 } } });
    const outcome = (): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect(Number(address.split(':')[1]), '127.0.0.1').resume();
        cleanups.push(() => socket.destroy());
        socket.once('error', () => resolve('reset')).once('close', () => resolve('closed'));
      });
    const outcomes: string[] = [];
    for (let count = 0; count < 300; count += 1) void outcome().then((each) => outcomes.push(each));
    // node:net closes what it makes no socket of; what waits is reset.
    await expect.poll(() => outcomes).toEqual(Array.from({ length: 300 - 5 - 256 }, () => 'closed'));
    expect(front.stats().connectionsRefused).toBe(295);
    await expect
      .poll(() => outcomes.filter((each) => each === 'reset'), { timeout: 5_000 })
      .toHaveLength(256);
  });

  it('is forgotten once there is nothing left to hold against it', () => {
    const doorkeeper = new Doorkeeper({ ...ADDRESS, penaltyMs: 1_000 });
    const visit = (remoteAddress: string, nowMs: number): boolean => {
      let close = (): void => undefined;
      const socket = { remoteAddress, once: (_: string, listener: () => void) => (close = listener) };
      const admitted = doorkeeper.admits(socket as unknown as Socket, nowMs);
      close();
      return admitted;
    };
    for (let host = 0; host < 4_096; host += 1)
      expect(visit(`10.0.${host >> 8}.${host & 255}`, 0)).toBe(true);
    doorkeeper.flooded('10.1.0.0', 0);
    expect(visit('10.1.0.0', 999)).toBe(false);
    expect(visit('10.1.0.0', 1_001)).toBe(true);
    for (let host = 0; host < 8_192; host += 1) visit(`10.2.${host >> 8}.${host & 255}`, 200_000);
    expect(doorkeeper.visitors).toBeLessThanOrEqual(8_192 + 1);
  });
});

describe('an address that floods', () => {
  const refusedUntil = (doorkeeper: Doorkeeper, fromMs: number): number => {
    const socket = { remoteAddress: 'a', once: () => undefined } as unknown as Socket;
    for (let nowMs = fromMs; ; nowMs += 500) if (doorkeeper.admits(socket, nowMs)) return nowMs;
  };

  it('is turned away for twice as long each time that it goes on, and for less once it has stopped', () => {
    const doorkeeper = new Doorkeeper({ ...ADDRESS, penaltyMs: 1_000 });
    doorkeeper.flooded('a', 0);
    doorkeeper.flooded('a', 10); // another connection of the same flood
    expect(refusedUntil(doorkeeper, 0)).toBe(1_000);
    doorkeeper.flooded('a', 1_500);
    expect(refusedUntil(doorkeeper, 1_500)).toBe(3_500);
    doorkeeper.flooded('a', 5_000);
    expect(refusedUntil(doorkeeper, 5_000)).toBe(9_000);
    doorkeeper.flooded('a', 20_000);
    expect(refusedUntil(doorkeeper, 20_000)).toBe(21_000);
    for (let nowMs = 30_000; nowMs < 3_000_000;) {
      doorkeeper.flooded('a', nowMs);
      const endMs = refusedUntil(doorkeeper, nowMs);
      expect(endMs - nowMs).toBeLessThanOrEqual(300_000);
      nowMs = endMs;
    }
  });

  it('may open some connections for nothing, as probes do, but not without end', () => {
    const doorkeeper = new Doorkeeper(ADDRESS);
    for (let second = 0; second < 600; second += 1)
      for (let probe = 0; probe < 4; probe += 1) expect(doorkeeper.wasted('a', 1_000 * second)).toBe(false);
    const outcomes = Array.from({ length: 100 }, () => doorkeeper.wasted('a', 600_000));
    expect(outcomes.filter(Boolean)).toHaveLength(1); // told of once
    expect(outcomes.indexOf(true)).toBeGreaterThanOrEqual(60);
    const socket = { remoteAddress: 'a', once: () => undefined } as unknown as Socket;
    expect(doorkeeper.admits(socket, 600_001)).toBe(false);
  });
});

describe('a caller', () => {
  it('has at most 512 boots sent at once, on however many connections, and others are served meanwhile', async () => {
    const admit: Admit = ({ headers }) => ({
      type: 'admitted',
      metadata: {},
      expiresAtMs: Infinity,
      share: headers['authorization'],
    });
    const { address, bootServer } = await start({ front: { admit } });
    const begunOf = [0, 0, 0];
    const begun = (): number => begunOf.reduce((sum, each) => sum + each, 0);
    const readers = begunOf.map(() => session(address, { settings: { initialWindowSize: 0 } }));
    for (const [at, reader] of readers.entries()) {
      await once(reader, 'localSettings');
      for (let count = 0; count < 200; count += 1) {
        const request = reader.request({ ...CALL, authorization: 'mallory' }).on('error', () => undefined);
        request.on('response', () => (begunOf[at] = (begunOf[at] ?? 0) + 1)).end(framed(bootRequest()));
      }
    }
    await expect.poll(begun).toBe(512);
    const other = await post(session(address), framed(bootRequest()), { authorization: 'alice' });
    expect(other.trailers['grpc-status']).toBe('0');
    expect(begun()).toBe(512);
    readers[0]?.destroy(); // and those of its boots that still wait
    await expect.poll(() => begunOf.slice(1)).toEqual([200, 200]);
    for (const reader of readers) reader.destroy();
    await expect.poll(() => bootServer.stats().bootsActive).toBe(0);
  });
});

describe('a connection', () => {
  it.each([
    ['CANCEL', constants.NGHTTP2_CANCEL],
    ['INTERNAL_ERROR', constants.NGHTTP2_INTERNAL_ERROR],
  ])(
    'whose streams are opened and reset (%s) without end is ended, and its address gets no other one',
    async (_, code) => {
      const { address, front } = await start({
        front: { perAddress: ADDRESS, streamsPerConnectionMax: 50 },
      });
      const bystander = session(address);
      await served(bystander);
      const flooder = session(address);
      await once(flooder, 'remoteSettings');
      const goaway = goawayOf(flooder);
      let opened = 0;
      while (!flooder.destroyed && !flooder.closed && opened < 400) {
        const requests = Array.from({ length: 8 }, () => flooder.request(CALL).on('error', () => undefined));
        opened += requests.length;
        // A round trip later the server has all of them.
        await Promise.race([new Promise((resolve) => flooder.ping(resolve)), once(flooder, 'close')]);
        for (const request of requests) request.close(code);
      }
      expect(await goaway).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      expect(opened).toBeLessThan(400);
      expect(front.stats().floods).toBe(1);
      expect(await knock(address)).toBe(false);
      await served(bystander);
    },
  );

  it('whose answers the server itself breaks off does not flood', async () => {
    const replica = await start({ front: { perAddress: ADDRESS, streamsPerConnectionMax: 5 } });
    const { address, front } = replica;
    for (let part = 0; part < 10; part += 1) {
      const value = randomBytes(90_000).toString('base64');
      replica.append(aCommit(vcluster('ml'), { kernel: { [`random${part}`]: value } }));
    }
    await replica.currentOverlay('ml');
    const slow = session(address, { settings: { initialWindowSize: 0 } });
    await once(slow, 'remoteSettings');
    const boot = (): Promise<number> =>
      new Promise((resolve) => {
        const request = slow.request({ ...CALL, 'grpc-timeout': '10m' }).on('error', () => undefined);
        request.once('close', () => resolve(request.rstCode)).end(framed(bootRequest()));
      });
    for (let round = 0; round < 5; round += 1) {
      const codes = await Promise.all(Array.from({ length: 5 }, boot));
      expect(codes).toEqual(Array.from({ length: 5 }, () => constants.NGHTTP2_CANCEL));
    }
    expect(front.stats().floods).toBe(0);
  });

  it.each([
    ['CANCEL', constants.NGHTTP2_CANCEL],
    ['NO_ERROR', constants.NGHTTP2_NO_ERROR],
  ])(
    'whose resets (%s) come in the same breath as its calls is ended before they cost much',
    async (_, code) => {
      const { address, front, bootServer } = await start({
        front: { perAddress: ADDRESS, streamsPerConnectionMax: 50 },
      });
      const bystander = session(address);
      await served(bystander);
      const flooder = connect(Number(address.split(':')[1]), '127.0.0.1').resume();
      flooder.on('error', () => undefined).write(Buffer.concat([PREFACE, openedAndReset(20_000, code)]));
      await once(flooder, 'close');
      expect(front.stats().floods).toBe(1);
      // The bystander's, and the first few.
      expect(bootServer.stats().bootsAdmitted).toBeLessThan(50);
      expect(bootServer.stats().bootsActive).toBe(0);
      expect(await knock(address)).toBe(false);
      await served(bystander);
    },
  );

  it('that asks for as much as it may in one breath gets all of it', async () => {
    const { address, front } = await start({ front: { perAddress: ADDRESS, streamsPerConnectionMax: 50 } });
    const opened = session(address);
    await once(opened, 'remoteSettings');
    await Promise.all(Array.from({ length: 50 }, () => served(opened)));
    expect(front.stats().floods).toBe(0);
  });

  it('that gives up on all of its calls at once is left alone', async () => {
    const { address, front } = await start({ front: { perAddress: ADDRESS, streamsPerConnectionMax: 50 } });
    const opened = session(address);
    await once(opened, 'remoteSettings');
    const requests = Array.from({ length: 40 }, () => opened.request(CALL).on('error', () => undefined));
    await new Promise((resolve) => opened.ping(resolve));
    for (const request of requests) request.close(constants.NGHTTP2_CANCEL);
    await served(opened);
    expect(front.stats().floods).toBe(0);
  });

  it.each([
    ['many calls with headers that are too large floods', 40, 1],
    ['one such call is ended, and nothing is held against its address', 1, 0],
  ])('with %s', async (_, calls, floods) => {
    const { address, front } = await start({ front: { perAddress: ADDRESS, headerSizeBytesMax: 4_096 } });
    const bystander = session(address);
    await served(bystander);
    const opened = session(address, { maxSendHeaderBlockLength: 1024 * 1024 });
    await once(opened, 'remoteSettings');
    const goaway = goawayOf(opened);
    const big = Object.fromEntries(Array.from({ length: 60 }, (_each, at) => [`x-${at}`, 'y'.repeat(1_000)]));
    for (let count = 0; count < calls; count += 1)
      opened.request({ ...CALL, ...big }).on('error', () => undefined);
    expect(await goaway).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    expect(front.stats().floods).toBe(floods);
    expect(await knock(address)).toBe(floods === 0);
    await served(bystander);
  });

  it('that reads nothing has no more calls open than it may, costs bounded memory, and others are served', async () => {
    const replica = await start({
      front: { sessionMemoryBytesMax: 1024 * 1024, streamsPerConnectionMax: 4 },
    });
    const { address } = replica;
    for (let part = 0; part < 10; part += 1) {
      const value = randomBytes(90_000).toString('base64');
      replica.append(aCommit(vcluster('ml'), { kernel: { [`random${part}`]: value } }));
    }
    const bystander = session(address);
    await served(bystander);
    const reader = session(address, { settings: { initialWindowSize: 0 } });
    await once(reader, 'localSettings');
    const before = process.memoryUsage().arrayBuffers;
    const ends = Array.from({ length: 40 }, async () => {
      const request = reader.request(CALL).on('error', () => undefined);
      request.end(framed(bootRequest()));
      await once(request, 'close');
      return request.rstCode;
    });
    await expect.poll(() => replica.bootServer.stats().bootsActive).toBe(4);
    await served(bystander);
    expect(replica.bootServer.stats().bootsActive).toBe(4);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * 1024 * 1024);
    reader.destroy();
    await Promise.allSettled(ends);
    await expect.poll(() => replica.bootServer.stats().bootsActive).toBe(0);
  });

  it('whose client does not read is ended in time, and one that reads slowly or only listens is not', async () => {
    const replica = await start({ front: { stallTimeoutMs: 400 } });
    const { address, front, bootServer } = replica;
    for (let part = 0; part < 10; part += 1) {
      const value = randomBytes(90_000).toString('base64');
      replica.append(aCommit(vcluster('ml'), { kernel: { [`random${part}`]: value } }));
    }
    const subscriber = session(address);
    const updates = subscriber.request({ ...CALL, ':path': SUBSCRIBE_PATH });
    updates.end(
      framed(
        stream.SubscribeRequest.encode({ nodeId: 'n1', vclusterId: 'ml', fromSequence: 9_999 }).finish(),
      ),
    );
    const slow = session(address, { settings: { initialWindowSize: 1_024 * 1_024 } });
    await once(slow, 'localSettings');
    const slowBoot = slow.request(CALL).on('error', () => undefined);
    slowBoot.end(framed(bootRequest()));
    let received = 0;
    // 40 KiB in a quarter of the time that it has.
    const sips = setInterval(() => {
      const piece: unknown = slowBoot.read(40 * 1_024);
      if (Buffer.isBuffer(piece)) received += piece.length;
    }, 100);
    cleanups.push(() => clearInterval(sips));
    const reader = session(address, { settings: { initialWindowSize: 0 } });
    await once(reader, 'localSettings');
    const closed = once(reader, 'close');
    reader
      .request(CALL)
      .on('error', () => undefined)
      .end(framed(bootRequest()));
    await closed;
    expect(front.stats().stalls).toBe(1);
    await expect.poll(() => received, { timeout: 5_000 }).toBeGreaterThan(500_000);
    expect(front.stats()).toMatchObject({ stalls: 1, connections: 2 });
    expect(subscriber.destroyed).toBe(false);
    expect(bootServer.stats().bootsActive).toBeLessThanOrEqual(1);
  });

  it('has no more waiting for itself than it may: requests that are not whole, and answers that it does not read', async () => {
    const mebibyte = 1024 * 1024;
    const answer = Buffer.alloc(mebibyte);
    const large: UnaryMethod = {
      requestSizeBytesMax: 4 * mebibyte,
      handle: () => Promise.resolve(answer),
      failure: () => ({ code: 13, message: '', trailers: {} }),
    };
    const { address } = await start({
      front: { sessionMemoryBytesMax: 8 * mebibyte, unaryMethods: new Map([['/test/Large', large]]) },
    });
    const statusOf = (request: ClientHttp2Stream): Promise<unknown> =>
      new Promise((resolve) => {
        request.on('error', () => undefined);
        request.on('response', (headers) => {
          if (headers['grpc-status'] !== undefined) resolve(headers['grpc-status']);
        });
        request.on('close', () => resolve(undefined));
      });
    const calling = { ...CALL, ':path': '/test/Large' };

    const reader = session(address, { settings: { initialWindowSize: 0 } });
    await once(reader, 'localSettings');
    const before = process.memoryUsage().arrayBuffers;
    const answers = Array.from({ length: 40 }, () => {
      const request = reader.request(calling);
      request.end(framed(Buffer.alloc(1)));
      return statusOf(request);
    });
    const refused: unknown[] = [];
    for (const answer of answers) void answer.then((code) => refused.push(code));
    await expect.poll(() => refused.length).toBe(32);
    expect(new Set(refused)).toEqual(new Set(['8']));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(24 * mebibyte);
    reader.destroy();
    await Promise.all(answers);

    const writer = session(address);
    const begun = Array.from({ length: 6 }, () => {
      const request = writer.request(calling);
      request.write(framed(Buffer.alloc(3 * mebibyte)).subarray(0, 2 * mebibyte));
      return request;
    });
    const codes: unknown[] = [];
    for (const request of begun) void statusOf(request).then((code) => codes.push(code));
    await expect.poll(() => codes).toEqual(expect.arrayContaining(['8']));
    // Who has what it needs is served, and so is everybody else.
    const other = session(address, { settings: { initialWindowSize: 4 * mebibyte } });
    expect(
      (await post(other, framed(Buffer.alloc(1)), { ':path': '/test/Large' })).trailers['grpc-status'],
    ).toBe('0');
    writer.destroy();
  });

  /** Somebody who is connected and closes nothing. */
  function clinging(address: string): void {
    const port = Number(address.split(':')[1]);
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined);
    cleanups.push(() => client.destroy());
    client.resume().write(PREFACE);
  }

  it('whose client does not close it does not keep the server from stopping', async () => {
    const { address, front } = await start();
    clinging(address);
    await expect.poll(() => front.stats().connections).toBe(1);
    await front.close(100);
    await expect.poll(() => front.stats().connections).toBe(0);
  });

  it('that does nothing is dropped where its client does not close it', async () => {
    const { address, front } = await start({
      front: { idleTimeoutMs: 50, keepAliveTimeoutMs: 100, perAddress: { ...ADDRESS, connectionsMax: 1 } },
    });
    clinging(address);
    await expect.poll(() => front.stats().connections).toBe(1);
    await expect.poll(() => front.stats().connections).toBe(0);
    expect(await knock(address)).toBe(true);
  });

  it('that floods while the server stops does not keep it', async () => {
    const { address, front } = await start();
    const opened = session(address, { maxSendHeaderBlockLength: 1024 * 1024 });
    await once(opened, 'remoteSettings');
    const big = Object.fromEntries(Array.from({ length: 60 }, (_each, at) => [`x-${at}`, 'y'.repeat(1_000)]));
    for (let count = 0; count < 8; count += 1)
      opened.request({ ...CALL, ...big }).on('error', () => undefined);
    await new Promise((resolve) => opened.ping(resolve));
    await front.close(100);
    await expect.poll(() => front.stats().connections).toBe(0);
  });
});
