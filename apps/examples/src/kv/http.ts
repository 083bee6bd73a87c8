import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { isNotLeaderError, isRaftError } from '@pact-journal/raft-core';
import type { RaftNode } from '@pact-journal/raft-core';
import { encodeWrite } from './store.ts';
import type { KeyValueStore } from './store.ts';

const VALUE_MAX_BYTES = 1024 * 1024;

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Record<string, string>;
}

/** PUT, GET and DELETE of /KEY, and GET /status. Reads are linearizable on every node; writes are redirected to the leader. */
export function serveHttp(node: RaftNode<{ existed: boolean }>, store: KeyValueStore): Server {
  return createServer((request, response) => {
    void answer(node, store, request)
      .catch((error: unknown) => explain(error, request.url ?? '/'))
      .then(({ status, body, headers }) => {
        response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', ...headers }).end(body);
      });
  });
}

async function answer(
  node: RaftNode<{ existed: boolean }>,
  store: KeyValueStore,
  request: IncomingMessage,
): Promise<Reply> {
  const key = decodeURIComponent((request.url ?? '/').slice(1));
  if (key === 'status') return { status: 200, body: `${JSON.stringify(node.status())}\n` };
  switch (request.method) {
    case 'GET': {
      // After this the local state machine has everything that was acknowledged before the request came in.
      await node.linearizableRead();
      const value = store.get(key);
      return value === undefined
        ? { status: 404, body: `no such key: ${key}\n` }
        : { status: 200, body: value };
    }
    case 'PUT':
    case 'DELETE': {
      const value = request.method === 'PUT' ? await readBody(request) : null;
      const { index, result } = await node.propose(encodeWrite({ key, value }));
      return { status: result.existed ? 200 : 201, body: `committed at index ${String(index)}\n` };
    }
    default:
      return { status: 405, body: 'GET, PUT or DELETE\n' };
  }
}

/** What a client must know after a failure: try elsewhere, try again, or find out. */
function explain(error: unknown, path: string): Reply {
  if (isNotLeaderError(error)) {
    const leader = error.leader?.attributes['http'];
    if (leader === undefined) return { status: 503, body: 'no leader at the moment; try again\n' };
    return {
      status: 307,
      body: `the leader is ${leader}\n`,
      headers: { location: `http://${leader}${path}` },
    };
  }
  if (isRaftError(error)) {
    const status = error.code === 'outcomeUnknown' ? 504 : 503;
    return { status, body: `${error.code}: ${error.message}\n` };
  }
  return { status: 400, body: `${error instanceof Error ? error.message : String(error)}\n` };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length;
    if (size > VALUE_MAX_BYTES) throw new Error(`a value has at most ${String(VALUE_MAX_BYTES)} bytes`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString();
}
