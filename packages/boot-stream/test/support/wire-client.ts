import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import type {
  ClientHttp2Session,
  ClientSessionOptions,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
} from 'node:http2';
import { afterEach } from 'vitest';
import { stream } from '@pact-journal/journal-proto';
import { aCommit, vcluster } from '@pact-journal/journal-state/testing';
import { Replica } from './replica.ts';
import type { ReplicaOptions } from './replica.ts';

/** What to undo after each test, in reverse order. */
export const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export const BOOT_PATH = stream.BootConfigServiceDefinition.streamBootConfig.path;

/** A replica with one entry. */
export async function start(options: ReplicaOptions = {}): Promise<Replica> {
  const replica = await Replica.start(options);
  cleanups.push(() => replica.stop());
  replica.append(aCommit(vcluster('ml'), { kernel: { a: '1' } }));
  return replica;
}

export function session(address: string, options: ClientSessionOptions = {}): ClientHttp2Session {
  const opened = connectHttp2(`http://${address}`, options);
  opened.on('error', () => undefined);
  cleanups.push(() => opened.destroy());
  return opened;
}

export interface Answer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly rstCode: number;
}

export const framed = (message: Uint8Array, flags = 0): Buffer => {
  const prefix = Buffer.from([flags, 0, 0, 0, 0]);
  prefix.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([prefix, message]);
};
export const bootRequest = (nodeId = 'n1'): Uint8Array =>
  stream.BootConfigRequest.encode({ nodeId, vclusterId: 'ml', lastKnownVersion: undefined }).finish();

export async function answerOf(request: ClientHttp2Stream): Promise<Answer> {
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

export function post(
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
