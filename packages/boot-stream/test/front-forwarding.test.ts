import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type {
  sendUnaryData,
  ServerDuplexStream,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceError,
} from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import { stream } from '@pact-journal/journal-proto';
import { aCommit, vcluster } from '@pact-journal/journal-state/testing';
import { FRONT_PEER_KEY } from '../src/index.ts';
import type { Replica } from './support/replica.ts';
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

/** A replica that also has a service on grpc-js. */
async function startWithService(): Promise<Replica> {
  const replica = await start();
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

describe('every other call', () => {
  it('reaches grpc-js whole: messages, metadata, trailers, statuses', async () => {
    const { address } = await startWithService();
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
    const { address } = await startWithService();
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
    const { address } = await startWithService();
    const client = grpcClient(address);
    const flood = client.makeServerStreamRequest('/test.Test/Flood', asIs, asIs, Buffer.from('x'));
    flood.on('error', () => undefined);
    flood.once('data', () => flood.pause());
    await once(flood, 'pause');
    // The server writes whenever it may. Calls on the same way give it its turns, however busy the machine is.
    for (let last = -1; last !== floodedBytes;) {
      last = floodedBytes;
      for (let turn = 0; turn < 30; turn += 1) await unary(client, '/test.Test/Echo', Buffer.from('x'));
      expect(floodedBytes).toBeLessThan(8_000_000);
    }
    flood.cancel();
    await expect.poll(() => floodCancelled, { timeout: 10_000 }).toBe(true);
  });

  it('tells the service who the peer is, whatever a client claims', async () => {
    const { address } = await startWithService();
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
    const { address } = await startWithService();
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
