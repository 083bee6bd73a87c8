import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import type {
  ClientHttp2Session,
  ClientSessionOptions,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
} from 'node:http2';
import { connect } from 'node:net';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceError,
} from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { stream } from '@pact-journal/journal-proto';
import { aCommit, vcluster } from '@pact-journal/journal-state/testing';
import { BootClient, BootStreamError, FRONT_PEER_KEY } from '../src/index.ts';
import type { FrontCall, FrontCallEnd } from '../src/index.ts';
import { Replica } from './support/replica.ts';
import type { ReplicaOptions } from './support/replica.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const BOOT_PATH = stream.BootConfigServiceDefinition.streamBootConfig.path;
const asIs = (bytes: Buffer): Buffer => bytes;
const method = {
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
};
const testService = {
  echo: { path: '/test.Test/Echo', requestStream: false, responseStream: false, ...method },
  fail: { path: '/test.Test/Fail', requestStream: false, responseStream: false, ...method },
  peer: { path: '/test.Test/Peer', requestStream: false, responseStream: false, ...method },
  flood: { path: '/test.Test/Flood', requestStream: false, responseStream: true, ...method },
  chat: { path: '/test.Test/Chat', requestStream: true, responseStream: true, ...method },
} as const;

let floodedBytes = 0;
let floodCancelled = false;

async function start(options: ReplicaOptions = {}): Promise<Replica> {
  const replica = await Replica.start(options);
  cleanups.push(() => replica.stop());
  replica.append(aCommit(vcluster('ml'), { kernel: { a: '1' } }));
  floodedBytes = 0;
  floodCancelled = false;
  replica.grpcServer.addService(testService, {
    echo: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
      const trailers = new Metadata();
      trailers.set('x-echo', String(call.metadata.get('x-say')[0] ?? ''));
      answer(null, call.request, trailers);
    },
    fail: (_: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) => {
      const metadata = new Metadata();
      metadata.set('x-why', 'because');
      answer({ code: status.FAILED_PRECONDITION, details: 'nö: 100 %', metadata });
    },
    peer: (call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) =>
      answer(null, Buffer.from(JSON.stringify(call.metadata.getMap()))),
    flood: (call: ServerWritableStream<Buffer, Buffer>) => {
      call.on('cancelled', () => (floodCancelled = true));
      const send = (): void => {
        if (call.cancelled) return;
        floodedBytes += 100_000;
        if (call.write(Buffer.alloc(100_000))) setImmediate(send);
        else call.once('drain', send);
      };
      send();
    },
    chat: (call: ServerDuplexStream<Buffer, Buffer>) => {
      call.on('data', (message: Buffer) => call.write(message));
      call.on('end', () => call.end());
    },
  });
  return replica;
}

function grpcClient(address: string): Client {
  const client = new Client(address, credentials.createInsecure());
  cleanups.push(() => client.close());
  return client;
}

function unary(
  client: Client,
  path: string,
  message: Buffer,
  metadata: Record<string, string> = {},
): Promise<{ message: Buffer | undefined; error: ServiceError | null; trailers: Metadata | undefined }> {
  const sent = new Metadata();
  for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
  return new Promise((resolve) => {
    let trailers: Metadata | undefined;
    client
      .makeUnaryRequest(path, asIs, asIs, message, sent, {}, (error, answer) => {
        setImmediate(() => resolve({ message: answer, error, trailers }));
      })
      .on('status', ({ metadata: received }) => (trailers = received));
  });
}

function session(address: string, options: ClientSessionOptions = {}): ClientHttp2Session {
  const opened = connectHttp2(`http://${address}`, options);
  opened.on('error', () => undefined);
  cleanups.push(() => opened.destroy());
  return opened;
}

interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly rstCode: number;
}

const framed = (message: Uint8Array, flags = 0): Buffer => {
  const prefix = Buffer.from([flags, 0, 0, 0, 0]);
  prefix.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([prefix, message]);
};
const bootRequest = (nodeId = 'n1'): Uint8Array =>
  stream.BootConfigRequest.encode({ nodeId, vclusterId: 'ml', lastKnownVersion: undefined }).finish();

async function answerOf(request: ClientHttp2Stream): Promise<Answer> {
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const pieces: Buffer[] = [];
  request.on('response', (received) => (headers = received));
  request.on('trailers', (received: IncomingHttpHeaders) => (trailers = received));
  request.on('data', (piece: Buffer) => pieces.push(piece));
  request.on('error', () => undefined);
  await once(request, 'close');
  return { headers, trailers, body: Buffer.concat(pieces), rstCode: request.rstCode ?? 0 };
}

function post(
  opened: ClientHttp2Session,
  body: Buffer | undefined,
  over: OutgoingHttpHeaders = {},
): Promise<Answer> {
  const headers = {
    ':method': 'POST',
    ':path': BOOT_PATH,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...over,
  };
  const request = opened.request(headers, { endStream: body === undefined });
  if (body !== undefined) request.end(body);
  return answerOf(request);
}

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

  it('serves many big overlays on one connection', async () => {
    const replica = await start();
    for (let part = 0; part < 10; part += 1) {
      const value = randomBytes(90_000).toString('base64');
      replica.append(aCommit(vcluster('ml'), { kernel: { [`random${part}`]: value } }));
    }
    const opened = session(replica.address, { settings: { initialWindowSize: 2 ** 31 - 1 } });
    await once(opened, 'connect');
    opened.setLocalWindowSize(2 ** 31 - 1); // takes all that the server has
    const answers = await Promise.all(Array.from({ length: 150 }, () => post(opened, framed(bootRequest()))));
    for (const { trailers, body } of answers) {
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

describe('every other call', () => {
  it('reaches grpc-js whole: messages, metadata, trailers, statuses', async () => {
    const { address } = await start();
    const client = grpcClient(address);
    const big = Buffer.alloc(3_000_000, 'x');
    const echoed = await unary(client, '/test.Test/Echo', big, { 'x-say': 'hello' });
    expect(echoed.message?.equals(big)).toBe(true);
    expect(echoed.trailers?.get('x-echo')).toEqual(['hello']);
    const failed = await unary(client, '/test.Test/Fail', Buffer.from('x'));
    expect(failed.error).toMatchObject({ code: status.FAILED_PRECONDITION, details: 'nö: 100 %' });
    expect(failed.error?.metadata.get('x-why')).toEqual(['because']);
    expect((await unary(client, '/test.Test/Missing', Buffer.from('x'))).error?.code).toBe(
      status.UNIMPLEMENTED,
    );
    expect((await unary(client, '/test.Test/Echo', Buffer.alloc(5_000_000))).error?.code).toBe(
      status.RESOURCE_EXHAUSTED,
    );
  });

  it('streams both ways', async () => {
    const { address } = await start();
    const chat = grpcClient(address).makeBidiStreamRequest('/test.Test/Chat', asIs, asIs);
    const got: string[] = [];
    chat.on('data', (message: Buffer) => got.push(message.toString()));
    for (let count = 0; count < 200; count += 1) {
      chat.write(Buffer.from(`m${count}`));
      await expect.poll(() => got.at(-1), { interval: 1 }).toBe(`m${count}`);
    }
    chat.end();
    await once(chat, 'end');
    expect(got).toHaveLength(200);
  });

  it('holds back a server whose reader is slow, and tells it when the reader leaves', async () => {
    const { address } = await start();
    const flood = grpcClient(address).makeServerStreamRequest(
      '/test.Test/Flood',
      asIs,
      asIs,
      Buffer.from('x'),
    );
    flood.on('error', () => undefined);
    flood.once('data', () => flood.pause());
    await once(flood, 'pause');
    let last = -1;
    await expect
      .poll(
        () => {
          const stands = floodedBytes === last;
          last = floodedBytes;
          return stands;
        },
        { interval: 150, timeout: 10_000 },
      )
      .toBe(true);
    expect(floodedBytes).toBeLessThan(8_000_000);
    flood.cancel();
    await expect.poll(() => floodCancelled).toBe(true);
  });

  it('tells the service who the peer is, whatever a client claims', async () => {
    const { address } = await start();
    const { message } = await unary(grpcClient(address), '/test.Test/Peer', Buffer.from('x'), {
      [FRONT_PEER_KEY]: 'forged:1',
      'x-pact-front-subject': 'forged',
      'x-other': 'kept',
    });
    const metadata = JSON.parse(message?.toString() ?? '{}') as Record<string, string>;
    expect(metadata[FRONT_PEER_KEY]).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(metadata['x-pact-front-subject']).toBeUndefined();
    expect(metadata['x-other']).toBe('kept');
  });
});

describe('the listener', () => {
  it('survives what is no HTTP/2', async () => {
    const { address } = await start();
    const [host, port] = address.split(':');
    for (const rubbish of [
      'GET / HTTP/1.1\r\nhost: x\r\n\r\n',
      '\0\0\0\0',
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish-rubbish',
    ]) {
      const socket = connect(Number(port), host);
      socket.on('error', () => undefined).on('data', () => undefined);
      socket.end(rubbish);
      await once(socket, 'close');
    }
    expect((await post(session(address), framed(bootRequest()))).trailers['grpc-status']).toBe('0');
  });

  it('survives requests that are no calls, and clients that leave at any moment', async () => {
    const { address } = await start();
    const opened = session(address);
    const tunnel = opened.request({ ':method': 'CONNECT', ':authority': 'elsewhere:443' });
    tunnel.end();
    const connected = await answerOf(tunnel);
    expect(connected.headers[':status']).toBe(415);
    const odd = await post(opened, undefined, { ':method': 'GET', ':path': '/' });
    expect(odd.headers['grpc-status']).toBe('12');
    for (const path of [BOOT_PATH, '/test.Test/Echo', '/test.Test/Flood', '/nowhere']) {
      for (let turns = 0; turns < 12; turns += 1) {
        const leaving = connectHttp2(`http://${address}`).on('error', () => undefined);
        const request = leaving.request({
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
        });
        request.on('error', () => undefined).end(framed(bootRequest()));
        await once(leaving, 'connect');
        for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
        if (turns % 2 === 0) request.close();
        else leaving.destroy();
        leaving.destroy();
      }
    }
    expect((await post(opened, framed(bootRequest()))).trailers['grpc-status']).toBe('0');
  });

  it('lets boots finish when it closes, refuses new ones, and ends subscriptions', async () => {
    const replica = await start();
    const opened = session(replica.address);
    const boot = post(opened, framed(bootRequest()), { 'x-pact-min-sequence': '1' });
    const client = new stream.BootConfigServiceClient(replica.address, credentials.createInsecure());
    cleanups.push(() => client.close());
    const subscription = client.subscribeConfigUpdates({ nodeId: 'n1', vclusterId: 'ml', fromSequence: 0 });
    const ended = once(subscription, 'error') as Promise<[ServiceError]>;
    await expect.poll(() => replica.bootServer.stats()).toMatchObject({ bootsActive: 1, subscribers: 1 });
    subscription.on('data', () => undefined);
    const closed = replica.front.close(5_000);
    const [error] = await ended;
    expect(error.code).toBe(status.UNAVAILABLE);
    replica.append(aCommit(vcluster('ml'), { kernel: { a: '2' } }));
    expect((await boot).trailers['grpc-status']).toBe('0');
    await closed;
    await expect(once(connect(Number(replica.address.split(':')[1])), 'connect')).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
  });

  it('drops a peer that answers no ping', async () => {
    const replica = await start({ front: { keepAliveIntervalMs: 50, keepAliveTimeoutMs: 100 } });
    const [host, port] = replica.address.split(':');
    const mute = connect(Number(port), host);
    mute.on('error', () => undefined).on('data', () => undefined);
    mute.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    mute.write(Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])); // empty SETTINGS
    const alive = session(replica.address);
    await expect.poll(() => replica.front.stats().connections).toBe(2);
    await once(mute, 'close');
    expect((await post(alive, framed(bootRequest()))).trailers['grpc-status']).toBe('0');
    expect(replica.front.stats().connections).toBe(1);
    expect(alive.destroyed).toBe(false);
  });
});
