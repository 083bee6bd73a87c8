/** The HTTP endpoint for machines that watch: health, readiness, metrics, and where the members are. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isLoopback, type Address } from '../config/index.ts';

/** What an answer consists of. */
export interface HttpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export type HttpRoute = () => HttpAnswer | Promise<HttpAnswer>;

/** A JSON answer. */
export function json(status: number, body: unknown): HttpAnswer {
  return { status, contentType: 'application/json', body: `${JSON.stringify(body)}\n` };
}

const MAX_CONNECTIONS = 256;
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * Listens, and answers GET and HEAD on the given paths, those in `local` over loopback only. Rejects with the system's
 * error where it cannot listen.
 */
export async function listenHttp(
  address: Address,
  routes: ReadonlyMap<string, HttpRoute>,
  local: ReadonlySet<string> = new Set(),
): Promise<Server> {
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, maxHeaderSize: 8_192 },
    (request, response) => {
      void respond(request, response, routes, local);
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address.host, port: address.port }, resolve);
  });
  return server;
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  routes: ReadonlyMap<string, HttpRoute>,
  local: ReadonlySet<string>,
): Promise<void> {
  const answer = await answerTo(request, routes, local);
  const headers = {
    'content-type': answer.contentType,
    'content-length': Buffer.byteLength(answer.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  };
  response.writeHead(answer.status, answer.status === 405 ? { ...headers, allow: 'GET, HEAD' } : headers);
  response.end(request.method === 'HEAD' ? undefined : answer.body);
}

async function answerTo(
  request: IncomingMessage,
  routes: ReadonlyMap<string, HttpRoute>,
  local: ReadonlySet<string>,
): Promise<HttpAnswer> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const route = routes.get(path);
  if (route === undefined) return json(404, { error: `there is ${[...routes.keys()].join(', ')} here` });
  if (local.has(path) && !isLoopback((request.socket.remoteAddress ?? '').replace(/^::ffff:/, '')))
    return json(403, { error: `${path} is answered over loopback only` });
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return json(405, { error: `${path} answers GET` });
  try {
    return await route();
  } catch (error) {
    return json(500, { error: error instanceof Error ? error.message : 'failed' });
  }
}

/** Stops accepting, lets answers under way finish, and drops idle connections. */
export async function closeHttp(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => {
      resolve();
    });
    server.closeIdleConnections();
    setTimeout(() => {
      server.closeAllConnections();
    }, 500).unref();
  });
}
