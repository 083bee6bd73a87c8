/** What a node passes on or asks for at another member that breaks off, refuses or is not there. */
import { createServer, type AddressInfo } from 'node:net';
import { credentials, Metadata, Server, ServerCredentials, status, type sendUnaryData } from '@grpc/grpc-js';
import { journal } from '@pact-journal/journal-proto';
import { NotLeaderError, toNodeId } from '@pact-journal/raft-core';
import { afterEach, describe, expect, test } from 'vitest';
import { LeaderForwarder } from '../../src/server/forwarder.ts';
import { statusOf, type Status } from '../../src/server/grpc-status.ts';
import { ForwardedAppends } from '../../src/server/services/append-forward.ts';

const METHOD = journal.ClusterServiceDefinition.createSnapshot;
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function serve(add: (server: Server) => void): Promise<string> {
  const server = new Server();
  add(server);
  closing.push(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound);
      else reject(error);
    });
  });
  return `127.0.0.1:${String(port)}`;
}

/** Nobody listens there. */
async function vacantAddress(): Promise<string> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${String(port)}`;
}

function forwarderTo(address: string): LeaderForwarder {
  const forwarder = new LeaderForwarder({
    nodeId: 1,
    maxMessageSize: 1024 * 1024,
    clientAddress: () => address,
    channel: () => ({ credentials: credentials.createInsecure(), options: {}, trusted: false }),
    callerOf: () => ({ kind: 'anybody', expiresAtMs: Infinity }),
  });
  closing.push(() => forwarder.close());
  return forwarder;
}

async function refusalOf(grpc: string, timeoutMs = 5_000): Promise<Status | undefined> {
  const asking = forwarderTo(grpc).ask({ id: 2, grpc }, METHOD, {}, timeoutMs);
  return asking.then(
    () => undefined,
    (error: unknown) => statusOf(error),
  );
}

describe('a member that is asked', () => {
  test('and is not there is UNAVAILABLE, by name and with the reason', async () => {
    const grpc = await vacantAddress();
    const refusal = await refusalOf(grpc);
    expect(refusal?.code).toBe(status.UNAVAILABLE);
    expect(refusal?.details).toContain(`asking node 2 (${grpc}): No connection established`);
    expect(refusal?.details).toContain('ECONNREFUSED');
  });

  test('and does not answer in time is UNAVAILABLE too', async () => {
    const grpc = await serve((server) =>
      server.addService({ createSnapshot: METHOD }, { createSnapshot: () => undefined }),
    );
    const refusal = await refusalOf(grpc, 50);
    expect(refusal?.code).toBe(status.UNAVAILABLE);
    expect(refusal?.details).toContain(`asking node 2 (${grpc}): Deadline exceeded`);
  });

  test('and refuses has its own code, and its words after its name', async () => {
    const failure = { code: status.PERMISSION_DENIED, details: 'no member', metadata: new Metadata() };
    const grpc = await serve((server) =>
      server.addService(
        { createSnapshot: METHOD },
        { createSnapshot: (_call: unknown, done: sendUnaryData<unknown>) => done(failure) },
      ),
    );
    expect(await refusalOf(grpc)).toMatchObject({
      code: status.PERMISSION_DENIED,
      details: `asking node 2 (${grpc}): no member`,
    });
  });
});

test('a leader that breaks off leaves no item without its outcome, whatever ids the client gave them', async () => {
  const { appendStream } = journal.JournalAppendServiceDefinition;
  const handlers: Pick<journal.JournalAppendServiceServer, 'appendStream'> = {
    appendStream: (call) => {
      call.once('data', () => {
        call.write({ outcomes: [{ correlationId: 7, outcome: undefined }] }, () =>
          call.emit('error', { code: status.UNAVAILABLE, details: 'gone', metadata: new Metadata() }),
        );
      });
    },
  };
  const address = await serve((server) => server.addService({ appendStream }, handlers));
  const decided: journal.AppendOutcome[] = [];
  const appends = new ForwardedAppends(
    forwarderTo(address),
    () => undefined,
    (outcomes) => decided.push(...outcomes),
    () => undefined,
  );
  const items = [7, 7, 7, 8].map((correlationId) => ({ correlationId, requestId: '', command: undefined }));
  const leader = { id: toNodeId(2), address, attributes: {} };
  appends.send({ items }, new NotLeaderError(leader.id, leader, 'appending'));
  await expect.poll(() => decided.map(({ correlationId }) => correlationId)).toEqual([7, 7, 7, 8]);
  expect(decided.slice(1).map(({ outcome }) => outcome)).toEqual(
    Array.from({ length: 3 }, () => expect.objectContaining({ $case: 'failure' }) as unknown),
  );
  appends.close();
});
