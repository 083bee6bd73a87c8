import { once } from 'node:events';
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';
import { constants } from 'node:http2';
import { connect } from 'node:net';
import { Client, credentials, Metadata, status } from '@grpc/grpc-js';
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';
import { describe, expect, it } from 'vitest';
import type { Admit, BootFrontOptions, DuplexCall, DuplexListener } from '../src/index.ts';
import { CallHeaders, dataFrame, headersFrames, PREFACE, resetFrame } from '../src/testing/index.ts';
import type { Replica } from './support/replica.ts';
import { answerOf, bootRequest, cleanups, framed, post, session, start } from './support/wire-client.ts';

const PATH = '/test.Test/Echo';
const MESSAGE_BYTES_MAX = 1_000_000;
const OK = { code: status.OK, message: '', trailers: {} };

/** One call as the method saw it. */
class Echo implements DuplexListener {
  readonly call: DuplexCall;
  readonly messages: Buffer[] = [];
  readonly over: number[] = [];
  halfClosed = false;
  drains = 0;
  /** Sent back in answer to each message. */
  answer: (message: Buffer) => Buffer | undefined = (message) => message;
  /** False: ends only when told to. */
  endsItself = true;
  hasRoom = true;

  constructor(call: DuplexCall) {
    this.call = call;
  }

  onMessage(message: Buffer): void {
    this.messages.push(message);
    const answer = this.answer(message);
    if (answer !== undefined) this.hasRoom = this.call.write(answer);
  }

  onEnd(): void {
    this.halfClosed = true;
    if (this.endsItself) this.call.end(OK);
  }

  onDrain(): void {
    this.drains += 1;
  }

  onOver(statusCode: number): void {
    this.over.push(statusCode);
  }
}

interface Served {
  readonly replica: Replica;
  readonly calls: Echo[];
  /** The call that was opened last. */
  echo(): Promise<Echo>;
}

async function serve(
  front: Partial<BootFrontOptions> = {},
  opened: (echo: Echo) => void = () => undefined,
  windowSizeBytes?: number,
): Promise<Served> {
  const calls: Echo[] = [];
  const method = {
    messageSizeBytesMax: MESSAGE_BYTES_MAX,
    ...(windowSizeBytes === undefined ? {} : { windowSizeBytes }),
    open: (call: DuplexCall) => {
      const echo = new Echo(call);
      calls.push(echo);
      opened(echo);
      return echo;
    },
  };
  const replica = await start({ front: { ...front, duplexMethods: new Map([[PATH, method]]) } });
  const echo = async (): Promise<Echo> => {
    await expect.poll(() => calls.length, { interval: 2 }).toBeGreaterThan(0);
    return calls[calls.length - 1] as Echo;
  };
  return { replica, calls, echo };
}

const asIs = (bytes: Buffer): Buffer => bytes;

function grpcCall(
  address: string,
  options: { readonly deadline?: number } = {},
  metadata: Record<string, string> = {},
): ClientDuplexStream<Buffer, Buffer> {
  const client = new Client(address, credentials.createInsecure());
  cleanups.push(() => client.close());
  const sent = new Metadata();
  for (const [key, value] of Object.entries(metadata)) sent.set(key, value);
  return client.makeBidiStreamRequest(PATH, asIs, asIs, sent, options);
}

async function failureOf(call: ClientDuplexStream<Buffer, Buffer>): Promise<ServiceError> {
  call.on('data', () => undefined);
  const [error] = (await once(call, 'error')) as [ServiceError];
  return error;
}

function rawCall(opened: ClientHttp2Session, over: OutgoingHttpHeaders = {}): ClientHttp2Stream {
  const request = opened.request({
    ':method': 'POST',
    ':path': PATH,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...over,
  });
  request.on('error', () => undefined);
  return request;
}

const texts = (messages: readonly Buffer[]): string[] => messages.map((message) => message.toString());
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('a method with streams both ways', () => {
  it('answers grpc-js clients, message by message and all at once', async () => {
    const { replica } = await serve();
    const call = grpcCall(replica.address);
    const got: Buffer[] = [];
    call.on('data', (message: Buffer) => got.push(message));
    for (let count = 0; count < 100; count += 1) {
      call.write(Buffer.from(`m${String(count)}`));
      await expect.poll(() => got.length, { interval: 1 }).toBe(count + 1);
    }
    const large = Buffer.alloc(MESSAGE_BYTES_MAX, 'x');
    for (const message of [large, Buffer.alloc(0), Buffer.from('last')]) call.write(message);
    call.end();
    const [end] = (await once(call, 'status')) as [{ code: number }];
    expect(end.code).toBe(status.OK);
    expect(got).toHaveLength(103);
    expect(got[99]?.toString()).toBe('m99');
    expect(got[100]?.equals(large)).toBe(true);
    expect(texts(got.slice(101))).toEqual(['', 'last']);
    expect(replica.front.stats().forwardedStreams).toBe(0);
  });

  it('finds the messages wherever the bytes are cut', async () => {
    const { replica, echo, calls } = await serve();
    const opened = session(replica.address);
    const body = Buffer.concat([
      framed(Buffer.from('ab')),
      framed(Buffer.alloc(0)),
      framed(Buffer.from('cdefg')),
    ]);
    for (let cut = 1; cut < body.length; cut += 1) {
      const request = rawCall(opened);
      const answer = answerOf(request);
      request.write(body.subarray(0, cut));
      const seen = calls.length;
      await expect.poll(() => calls.length, { interval: 1 }).toBeGreaterThanOrEqual(seen);
      await nextTurn();
      request.end(body.subarray(cut));
      const { body: echoed, trailers } = await answer;
      expect(trailers['grpc-status']).toBe('0');
      expect(echoed.equals(body)).toBe(true);
      expect(texts((await echo()).messages)).toEqual(['ab', '', 'cdefg']);
    }
    // Every byte in a DATA frame of its own.
    const request = rawCall(opened);
    const answer = answerOf(request);
    for (const byte of body) {
      request.write(Buffer.of(byte));
      await nextTurn();
    }
    request.end();
    expect((await answer).body.equals(body)).toBe(true);
    expect(texts((await echo()).messages)).toEqual(['ab', '', 'cdefg']);
  });

  it('takes messages one by one where it pauses, though they came in one frame', async () => {
    const { replica, echo } = await serve({}, (one) => {
      one.answer = (message) => {
        one.call.pause();
        return message;
      };
    });
    const request = rawCall(session(replica.address));
    const answer = answerOf(request);
    const names = Array.from({ length: 50 }, (_, count) => `m${String(count)}`);
    const body = Buffer.concat(names.map((name) => framed(Buffer.from(name))));
    request.end(body);
    const one = await echo();
    for (let count = 1; count <= names.length; count += 1) {
      await expect.poll(() => one.messages.length, { interval: 1 }).toBe(count);
      await nextTurn();
      expect(one.messages).toHaveLength(count);
      expect(one.halfClosed).toBe(false);
      one.call.resume();
    }
    expect((await answer).body.equals(body)).toBe(true);
    expect(texts(one.messages)).toEqual(names);
  });

  it('lets a client have as much under way as it says, and 64 KiB where it says nothing', async () => {
    for (const windowSizeBytes of [undefined, 500_000]) {
      const { replica, echo } = await serve({}, () => undefined, windowSizeBytes);
      const opened = session(replica.address);
      const request = rawCall(opened);
      await echo();
      const sizeBytes = windowSizeBytes ?? 65_535;
      await expect.poll(() => opened.remoteSettings.initialWindowSize, { interval: 2 }).toBe(sizeBytes);
      expect(opened.state.remoteWindowSize).toBe(sizeBytes);
      request.close();
    }
  });

  it('holds a client back while it is paused', async () => {
    const { replica, echo } = await serve({}, (one) => {
      one.answer = () => undefined;
    });
    const request = rawCall(session(replica.address));
    request.write(framed(Buffer.from('first')));
    const one = await echo();
    await expect.poll(() => one.messages.length).toBe(1);
    one.call.pause();
    const large = framed(Buffer.alloc(MESSAGE_BYTES_MAX));
    let sent = 0;
    for (let count = 0; count < 20; count += 1) request.write(large, () => (sent += 1));
    // Others get through meanwhile, so that this one would have, too.
    for (let count = 0; count < 20; count += 1) await post(session(replica.address), framed(bootRequest()));
    expect(one.messages).toHaveLength(1);
    expect(sent).toBeLessThan(3);
    one.call.resume();
    await expect.poll(() => one.messages.length, { timeout: 10_000 }).toBe(21);
    request.close(constants.NGHTTP2_CANCEL);
  });

  it('lets a half-closed client have what is outstanding', async () => {
    const { replica, echo } = await serve({}, (one) => {
      one.answer = () => undefined;
      one.endsItself = false;
    });
    const call = grpcCall(replica.address);
    const got: Buffer[] = [];
    call.on('data', (message: Buffer) => got.push(message));
    call.write(Buffer.from('question'));
    call.end();
    const one = await echo();
    await expect.poll(() => one.halfClosed).toBe(true);
    for (const answer of ['one', 'two']) {
      one.call.write(Buffer.from(answer));
      await expect.poll(() => got.at(-1)?.toString()).toBe(answer);
    }
    const ended = once(call, 'status') as Promise<[{ code: number }]>;
    one.call.end(OK);
    expect((await ended)[0].code).toBe(status.OK);
    expect(one.over).toEqual([]);
  });

  it('tells a client why it ends a call that the client goes on with, and has it stop', async () => {
    const { replica, echo, calls } = await serve();
    const call = grpcCall(replica.address);
    const failed = failureOf(call);
    call.write(Buffer.from('x'));
    const one = await echo();
    await expect.poll(() => one.messages.length).toBe(1);
    const trailers = { 'x-why': 'because' };
    one.call.end({ code: status.FAILED_PRECONDITION, message: 'nö: 100 %', trailers });
    const error = await failed;
    expect(error).toMatchObject({ code: status.FAILED_PRECONDITION, details: 'nö: 100 %' });
    expect(error.metadata.get('x-why')).toEqual(['because']);

    // On the wire: trailers, then a reset without an error; before anything was answered, too.
    for (const answered of [true, false]) {
      const before = calls.length;
      const request = rawCall(session(replica.address));
      const answer = answerOf(request);
      request.write(framed(Buffer.from('y')).subarray(0, answered ? 6 : 3));
      await expect.poll(() => calls.length).toBe(before + 1);
      const other = await echo();
      if (answered) await expect.poll(() => other.messages.length).toBe(1);
      other.call.end({ code: status.UNAVAILABLE, message: 'stopping', trailers: {} });
      const { headers, trailers: last, rstCode } = await answer;
      expect({ ...headers, ...last }).toMatchObject({ 'grpc-status': '14', 'grpc-message': 'stopping' });
      expect(rstCode).toBe(constants.NGHTTP2_NO_ERROR);
      expect(other.over).toEqual([]);
      expect(other.call.write(Buffer.from('late'))).toBe(true);
    }
  });

  it('learns that its client has gone, whatever it was doing', async () => {
    const { replica, calls } = await serve();
    const [host, port] = replica.address.split(':');
    for (const leave of ['reset', 'lost'] as const) {
      for (const paused of [false, true]) {
        const before = calls.length;
        const socket = connect(Number(port), host);
        cleanups.push(() => socket.destroy());
        socket.on('error', () => undefined).on('data', () => undefined);
        // A whole message and the beginning of another one.
        socket.write(
          Buffer.concat([
            PREFACE,
            headersFrames(1, new CallHeaders('x', PATH, 'none').first),
            dataFrame(1, framed(Buffer.from('x'))),
          ]),
        );
        await expect.poll(() => calls[before]?.messages.length, { interval: 2 }).toBe(1);
        const one = calls[before] as Echo;
        if (paused) one.call.pause();
        socket.write(dataFrame(1, framed(Buffer.alloc(300)).subarray(0, 200)));
        if (leave === 'reset') socket.write(resetFrame(1));
        else socket.resetAndDestroy();
        await expect.poll(() => one.over).toEqual([status.CANCELLED]);
        expect(one.halfClosed).toBe(false);
        expect(one.call.write(Buffer.from('late'))).toBe(true);
        one.call.end(OK);
        one.call.resume();
        socket.destroy();
      }
    }
    expect(calls.map(({ over }) => over)).toEqual([[1], [1], [1], [1]]);
    expect(calls.map(({ messages }) => messages.length)).toEqual([1, 1, 1, 1]);
    // Nothing is kept of them: the listener closes at once.
    await replica.front.close(30_000);
  });

  it('ends a call at its deadline, paused or not, and says so', async () => {
    const { replica, calls } = await serve();
    for (const paused of [false, true]) {
      const request = rawCall(session(replica.address), { 'grpc-timeout': '150m' });
      const answer = answerOf(request);
      request.write(framed(Buffer.from('x')));
      const count = paused ? 2 : 1;
      await expect.poll(() => calls[count - 1]?.messages.length, { interval: 2 }).toBe(1);
      if (paused) calls[count - 1]?.call.pause();
      expect((await answer).trailers['grpc-status']).toBe(String(status.DEADLINE_EXCEEDED));
      expect(calls[count - 1]?.over).toEqual([status.DEADLINE_EXCEEDED]);
    }
    const client = await failureOf(grpcCall(replica.address, { deadline: Date.now() + 150 }));
    expect(client.code).toBe(status.DEADLINE_EXCEEDED);
    const malformed = await answerOf(rawCall(session(replica.address), { 'grpc-timeout': 'soon' }).end());
    expect(malformed.headers['grpc-status']).toBe(String(status.INTERNAL));
    // A client on node:http2 half-closes what it gives up.
    await expect.poll(() => calls[2]?.halfClosed === true || calls[2]?.over.length === 1).toBe(true);
    expect(calls).toHaveLength(3);
  });

  it('refuses what is too large before it is there, what is compressed, and what is cut off', async () => {
    const { replica, echo } = await serve();
    const opened = session(replica.address);
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(MESSAGE_BYTES_MAX + 1, 1);
    const whole = framed(Buffer.from('x'));
    for (const [bytes, ends, code] of [
      [Buffer.concat([whole, prefix]), false, status.RESOURCE_EXHAUSTED],
      [Buffer.concat([whole, framed(Buffer.from('x'), 1)]), false, status.UNIMPLEMENTED],
      [Buffer.concat([whole, whole.subarray(0, 5)]), true, status.INTERNAL],
      [Buffer.concat([whole, whole.subarray(0, 3)]), true, status.INTERNAL],
    ] as const) {
      const request = rawCall(opened);
      const answer = answerOf(request);
      request.write(bytes);
      if (ends) request.end();
      const { trailers, rstCode } = await answer;
      expect(trailers['grpc-status']).toBe(String(code));
      expect(rstCode).toBe(constants.NGHTTP2_NO_ERROR);
      expect(await echo()).toMatchObject({ over: [code], halfClosed: false });
      expect((await echo()).messages).toHaveLength(1);
    }
  });

  it('bounds what waits for a client that does not read, and holds nobody else up', async () => {
    const memory = 2_000_000;
    const { replica, echo, calls } = await serve(
      { sessionMemoryBytesMax: memory, stallTimeoutMs: 60_000 },
      (one) => {
        one.answer = () => undefined;
      },
    );
    const request = rawCall(session(replica.address));
    request.pause();
    request.write(framed(Buffer.from('x')));
    const one = await echo();
    const answer = Buffer.alloc(100_000);
    let written = 0;
    while (one.over.length === 0 && written < 20 * memory) {
      one.call.write(answer);
      written += answer.length;
      await nextTurn();
    }
    expect(one.over).toEqual([status.RESOURCE_EXHAUSTED]);
    // Besides what was counted there is what the kernel and the client's window took.
    expect(written).toBeLessThan(memory + 10_000_000);

    const polite = grpcCall(replica.address);
    const got: Buffer[] = [];
    polite.on('data', (message: Buffer) => got.push(message));
    polite.write(Buffer.from('y'));
    await expect.poll(() => calls.length).toBe(2);
    const other = calls[1] as Echo;
    other.call.write(answer);
    await expect.poll(() => got.length).toBe(1);
    polite.end();
    await once(polite, 'end');
  });

  it('is told when there is room again', async () => {
    const { replica, echo } = await serve({}, (one) => {
      one.answer = () => Buffer.alloc(900_000);
    });
    const request = rawCall(session(replica.address, { settings: { initialWindowSize: 65_535 } }));
    request.pause();
    request.write(framed(Buffer.from('x')));
    const one = await echo();
    await expect.poll(() => one.messages.length).toBe(1);
    expect(one.hasRoom).toBe(false);
    expect(one.drains).toBe(0);
    const answer = answerOf(request);
    request.resume();
    await expect.poll(() => one.drains).toBe(1);
    request.end();
    expect((await answer).body).toHaveLength(900_005);
  });

  it('loses the connection of a client that never reads', async () => {
    const { replica, echo } = await serve({ stallTimeoutMs: 200 }, (one) => {
      one.answer = () => Buffer.alloc(900_000);
    });
    const opened = session(replica.address);
    const request = rawCall(opened);
    request.pause();
    request.write(framed(Buffer.from('x')));
    const one = await echo();
    await once(opened, 'close');
    await expect.poll(() => one.over).toEqual([status.CANCELLED]);
    expect(replica.front.stats()).toMatchObject({ stalls: 1, connections: 0 });
  });

  it('ends with the credentials that it was begun with', async () => {
    const admit: Admit = ({ headers }) => ({
      type: 'admitted',
      metadata: { 'x-pact-front-who': 'known' },
      expiresAtMs: headers['x-short'] === undefined ? Infinity : Date.now() + 100,
    });
    const { replica, calls } = await serve({ admit });
    const short = grpcCall(replica.address, {}, { 'x-short': 'yes', 'x-pact-front-who': 'forged' });
    short.write(Buffer.from('x'));
    const lasting = grpcCall(replica.address);
    lasting.on('data', () => undefined);
    lasting.write(Buffer.from('y'));
    expect((await failureOf(short)).code).toBe(status.UNAUTHENTICATED);
    await expect.poll(() => calls.length).toBe(2);
    const ended = calls.find(({ call }) => call.headers['x-short'] !== undefined);
    expect(ended?.call.metadata).toEqual({ 'x-pact-front-who': 'known' });
    expect(ended?.over).toEqual([status.UNAUTHENTICATED]);
    expect(calls.find((one) => one !== ended)?.over).toEqual([]);
    lasting.end();
    await once(lasting, 'end');
  });

  it('is not begun for who is refused', async () => {
    const refusal = { code: status.PERMISSION_DENIED, message: 'not you', trailers: {} };
    const { replica, calls } = await serve({ admit: () => ({ type: 'refused', status: refusal }) });
    const error = await failureOf(grpcCall(replica.address));
    expect(error).toMatchObject({ code: status.PERMISSION_DENIED, details: 'not you' });
    expect(calls).toEqual([]);
  });

  it('may finish while the listener closes, and is dropped after the grace', async () => {
    const { replica, calls } = await serve();
    const finishing = grpcCall(replica.address);
    const staying = rawCall(session(replica.address));
    const got: Buffer[] = [];
    finishing.on('data', (message: Buffer) => got.push(message));
    finishing.write(Buffer.from('a'));
    staying.write(framed(Buffer.from('b')));
    await expect.poll(() => calls.flatMap(({ messages }) => texts(messages)).sort()).toEqual(['a', 'b']);
    const closed = replica.front.close(400);
    finishing.write(Buffer.from('c'));
    await expect.poll(() => texts(got)).toEqual(['a', 'c']);
    finishing.end();
    await once(finishing, 'end');
    await closed;
    expect(calls.map(({ over }) => over).sort()).toEqual([[], [status.CANCELLED]]);
  });

  it('leaves compressed calls and calls that are none to others', async () => {
    const { replica, calls } = await serve();
    const opened = session(replica.address);
    const compressed = await answerOf(rawCall(opened, { 'grpc-encoding': 'gzip' }).end());
    expect(compressed.headers['grpc-status']).toBe(String(status.UNIMPLEMENTED));
    const wrong = await answerOf(rawCall(opened, { 'content-type': 'text/plain' }).end());
    expect(wrong.headers[':status']).toBe(415);
    expect(calls).toEqual([]);
  });
});
