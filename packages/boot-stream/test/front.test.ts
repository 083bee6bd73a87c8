import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { status } from '@grpc/grpc-js';
import type { ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { describe, expect, it } from 'vitest';
import { aCommit, vcluster } from '@pact-journal/journal-state/testing';
import { BootClient, BootStreamError } from '../src/index.ts';
import type { FrontCall, FrontCallEnd } from '../src/index.ts';
import {
  answerOf,
  BOOT_PATH,
  bootRequest,
  cleanups,
  framed,
  post,
  session,
  start,
} from './support/wire-client.ts';
import type { Answer } from './support/wire-client.ts';

describe('a boot on the wire', () => {
  it('has headers, messages and trailers as gRPC has them', async () => {
    const { address } = await start();
    const { headers, trailers, body } = await post(session(address), framed(bootRequest()));
    expect(headers).toMatchObject({
      ':status': 200,
      'content-type': 'application/grpc+proto',
      'grpc-accept-encoding': 'identity',
    });
    expect(headers['grpc-status']).toBeUndefined();
    expect(trailers['grpc-status']).toBe('0');
    let count = 0;
    for (let offset = 0; offset < body.length; count += 1) {
      expect(body[offset]).toBe(0);
      offset += 5 + body.readUInt32BE(offset + 1);
      expect(offset).toBeLessThanOrEqual(body.length);
    }
    expect(count).toBe(3);
  });

  it('takes a request in any pieces', async () => {
    const { address } = await start();
    const opened = session(address);
    const request = opened.request({
      ':method': 'POST',
      ':path': BOOT_PATH,
      'content-type': 'application/grpc+proto',
    });
    const answer = answerOf(request);
    for (const byte of framed(bootRequest())) {
      request.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    request.end();
    expect((await answer).trailers['grpc-status']).toBe('0');
  });

  it('refuses what is no call by HTTP status', async () => {
    const { address } = await start();
    const opened = session(address);
    const body = framed(bootRequest());
    expect((await post(opened, body, { 'content-type': 'application/json' })).headers[':status']).toBe(415);
    expect((await post(opened, body, { 'content-type': 'application/grpc-web' })).headers[':status']).toBe(
      415,
    );
    expect((await post(opened, undefined, { ':method': 'GET' })).headers[':status']).toBe(405);
  });

  it.each<[string, Buffer | undefined, OutgoingHttpHeaders, status]>([
    ['no message', undefined, {}, status.UNIMPLEMENTED],
    ['an empty body', Buffer.alloc(0), {}, status.UNIMPLEMENTED],
    ['two messages', Buffer.concat([framed(bootRequest()), framed(bootRequest())]), {}, status.UNIMPLEMENTED],
    ['a compressed message', framed(bootRequest(), 1), { 'grpc-encoding': 'gzip' }, status.UNIMPLEMENTED],
    ['a message that is cut off', framed(bootRequest()).subarray(0, 9), {}, status.INTERNAL],
    ['a prefix that is cut off', Buffer.from([0, 0]), {}, status.INTERNAL],
    ['a message that is no protobuf', framed(Buffer.from([0xff, 0xff, 0xff])), {}, status.INVALID_ARGUMENT],
    ['a node id of 10 KB', framed(bootRequest('n'.repeat(10_240))), {}, status.INVALID_ARGUMENT],
    ['a message above the limit', framed(bootRequest('n'.repeat(100_000))), {}, status.RESOURCE_EXHAUSTED],
    [
      'a length that only pretends',
      Buffer.from([0, 0x7f, 0xff, 0xff, 0xff, 1]),
      {},
      status.RESOURCE_EXHAUSTED,
    ],
    ['a malformed deadline', framed(bootRequest()), { 'grpc-timeout': 'soon' }, status.INTERNAL],
  ])('refuses %s by gRPC status, and keeps the connection', async (_, body, over, code) => {
    const replica = await start();
    const opened = session(replica.address);
    const { headers, trailers } = await post(opened, body, over);
    expect({ ...headers, ...trailers }).toMatchObject({ ':status': 200, 'grpc-status': String(code) });
    expect({ ...headers, ...trailers }['grpc-message']).toBeTruthy();
    expect((await post(opened, framed(bootRequest()))).trailers['grpc-status']).toBe('0');
    expect(replica.bootServer.stats().bootsActive).toBe(0);
  });

  it('keeps a deadline even of a client that does not', async () => {
    const { address, bootServer } = await start();
    const { trailers } = await post(session(address), framed(bootRequest()), {
      'grpc-timeout': '100m',
      'x-pact-min-sequence': '9',
    });
    expect(trailers['grpc-status']).toBe(String(status.DEADLINE_EXCEEDED));
    expect(bootServer.stats().bootsActive).toBe(0);
  });

  it('gives up a reader that does not read, and one that is gone, with bounded memory', async () => {
    const replica = await start({ limits: { bootDurationMsMax: 400 } });
    for (let index = 0; index < 4; index += 1) {
      const value = Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString('hex');
      for (let part = 0; part < 12; part += 1)
        replica.append(aCommit(vcluster('ml'), { kernel: { [`k${index}-${part}`]: value + part } }));
    }
    await replica.currentOverlay('ml');
    const before = process.memoryUsage();
    const opened = session(replica.address);
    const readers = Array.from({ length: 100 }, () => {
      const request = opened.request({
        ':method': 'POST',
        ':path': BOOT_PATH,
        'content-type': 'application/grpc',
      });
      request.end(framed(bootRequest()));
      return request; // never read: the window stays closed
    });
    const closed = readers.map((request) =>
      once(
        request.on('error', () => undefined),
        'close',
      ),
    );
    await expect.poll(() => replica.bootServer.stats().bootsActive).toBe(100);
    const during = process.memoryUsage();
    expect(during.arrayBuffers - before.arrayBuffers).toBeLessThan(60_000_000);
    await expect.poll(() => replica.bootServer.stats().bootsActive, { timeout: 5_000 }).toBe(0);
    await Promise.all(closed);
    const gone = session(replica.address);
    const request = gone.request({
      ':method': 'POST',
      ':path': BOOT_PATH,
      'content-type': 'application/grpc',
      'x-pact-min-sequence': '999',
    });
    request.on('error', () => undefined).end(framed(bootRequest()));
    await expect.poll(() => replica.bootServer.stats().bootsActive).toBe(1);
    gone.destroy();
    await expect.poll(() => replica.bootServer.stats().bootsActive).toBe(0);
  });

  it('serves or refuses 20,000 at once, and forgets all of them', { timeout: 60_000 }, async () => {
    const replica = await start({ limits: { bootStreamsMax: 1_000 } });
    const outcomes: Record<string, number> = {};
    const sessions = Array.from({ length: 20 }, () => session(replica.address));
    await Promise.all(sessions.map((opened) => once(opened, 'remoteSettings')));
    await Promise.all(
      sessions.flatMap((opened) =>
        Array.from({ length: 1_000 }, async () => {
          const { headers, trailers } = await post(opened, framed(bootRequest()));
          const code = trailers['grpc-status'] ?? headers['grpc-status'] ?? 'none';
          outcomes[String(code)] = (outcomes[String(code)] ?? 0) + 1;
        }),
      ),
    );
    expect(Object.keys(outcomes).filter((code) => !['0', '8'].includes(code))).toEqual([]);
    expect((outcomes['0'] ?? 0) + (outcomes['8'] ?? 0)).toBe(20_000);
    expect(outcomes['0']).toBeGreaterThanOrEqual(1_000);
    expect(replica.bootServer.stats()).toMatchObject({ bootsActive: 0, bootsRefused: outcomes['8'] ?? 0 });
  });

  it('takes a boot on a connection that has not read many big overlays yet', async () => {
    const replica = await start();
    for (let part = 0; part < 10; part += 1) {
      const value = randomBytes(90_000).toString('base64');
      replica.append(aCommit(vcluster('ml'), { kernel: { [`random${part}`]: value } }));
    }
    await post(session(replica.address), framed(bootRequest())); // from now on the overlay is there
    // No stream may send anything: all that the boots have to say is queued by the server.
    const opened = session(replica.address, { settings: { initialWindowSize: 0 } });
    await once(opened, 'localSettings');
    const boot = (): ClientHttp2Stream => {
      const request = opened.request({
        ':method': 'POST',
        ':path': BOOT_PATH,
        'content-type': 'application/grpc',
      });
      request.end(framed(bootRequest()));
      return request;
    };
    const answers: Promise<Answer>[] = [];
    // node:http2 refuses new streams where it counts more than it may: 10 MB, if it is not told otherwise.
    for (let count = 0; count < 30; count += 1) {
      const request = boot();
      answers.push(answerOf(request));
      await once(request, 'response');
    }
    opened.settings({ initialWindowSize: 2 ** 31 - 1 });
    opened.setLocalWindowSize(2 ** 31 - 1);
    for (const { trailers, body } of await Promise.all(answers)) {
      expect(trailers['grpc-status']).toBe('0');
      expect(body.length).toBeGreaterThan(900_000);
    }
  });

  it('asks whether it may, and tells how it ended', async () => {
    const ends: FrontCallEnd[] = [];
    const asked: FrontCall[] = [];
    const replica = await start({
      front: {
        authorize: async (call) => {
          asked.push(call);
          await Promise.resolve();
          const { authorization } = call.headers;
          if (authorization === undefined) throw new BootStreamError('unauthenticated', 'who are you?');
          if (authorization !== `Bearer ${call.nodeId}`)
            throw new BootStreamError('permissionDenied', 'not your node');
        },
        onCallEnd: (end) => ends.push(end),
      },
    });
    const boot = (token?: string): Promise<unknown> => {
      const client = new BootClient({
        endpoints: [replica.address],
        ...(token === undefined ? {} : { token }),
      });
      cleanups.push(() => client.close());
      return client.boot({ nodeId: 'n1', vclusterId: 'ml' });
    };
    await expect(boot()).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(boot('n2')).rejects.toMatchObject({ code: 'permissionDenied' });
    await expect(boot('n1')).resolves.toMatchObject({ vclusterId: 'ml' });
    expect(asked[0]).toMatchObject({ method: 'StreamBootConfig', nodeId: 'n1', vclusterId: 'ml' });
    expect(asked[0]?.socket.remoteAddress).toBe('127.0.0.1');
    await expect.poll(() => ends.map(({ statusCode }) => statusCode)).toEqual([16, 7, 0]);
  });
});
