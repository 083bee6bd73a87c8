import { status } from '@grpc/grpc-js';
import { afterEach, describe, expect, it } from 'vitest';
import { isJournalClientError, JournalClient } from '../src/index.ts';
import type { JournalClientOptions } from '../src/index.ts';
import { stopServers, TestJournal, TestServer } from './support/server.ts';

const clients: JournalClient[] = [];

function clientOf(
  servers: readonly TestServer[],
  options: Partial<JournalClientOptions> = {},
): JournalClient {
  const client = new JournalClient({ endpoints: servers.map(({ address }) => address), ...options });
  clients.push(client);
  return client;
}

async function failureOf(promise: Promise<unknown>) {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (!isJournalClientError(error)) throw error;
  return error;
}

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  stopServers();
});

const author = { principal: 'ada', principal_type: 'Human', role: 'r' } as const;

function fill(journal: TestJournal, count: number): void {
  for (let at = 0; at < count; at += 1) {
    journal.append(
      {
        entry_type: 'Commit',
        scope: 'Global',
        author,
        parent: null,
        state_delta: null,
        policy_ref: null,
        ttl_seconds: null,
        emergency_reason: null,
      },
      '',
    );
  }
}

const busy = { code: status.UNAVAILABLE, details: 'there is no leader at the moment; try again' };

describe('unary calls', () => {
  it('read', async () => {
    const server = await TestServer.start();
    fill(server.journal, 2);
    expect((await clientOf([server]).entry(1 as never)).hash).toBe('sha256:1');
  });

  it('try the next server, and stay with the one that answered', async () => {
    const shared = new TestJournal();
    fill(shared, 1);
    const [down, up] = [await TestServer.start(1, shared), await TestServer.start(2, shared)];
    down.stop();
    const client = clientOf([down, up]);
    for (let read = 0; read < 3; read += 1) await client.entry(0 as never);
    expect(up.unaryCalls).toBe(3);
  });

  it('about the group prefer a server that knows of a leader to one that was removed, and take what there is', async () => {
    const [group, former] = [new TestJournal(), new TestJournal()];
    former.leaderId = 0;
    const [removed, member] = [await TestServer.start(7, former), await TestServer.start(1, group)];
    const client = clientOf([removed, member]);
    expect(await client.status()).toMatchObject({ node_id: 1, leader_id: 1 });
    member.stop();
    expect(await client.status()).toMatchObject({ node_id: 7, leader_id: 0 });
  });

  it('are repeated while the server cannot, with the same request id where they write', async () => {
    const server = await TestServer.start();
    server.unaryFailures = [busy, { ...busy, unknown: true }];
    expect(await clientOf([server]).assignNode('node-1', 'ml-training')).toEqual({ index: 5, term: 1 });
    expect(server.requestIds).toHaveLength(3);
    expect(new Set(server.requestIds).size).toBe(1);
  });

  it('end at a refusal, with its reason', async () => {
    const server = await TestServer.start();
    const client = clientOf([server]);
    expect(await failureOf(client.entry(7 as never))).toMatchObject({
      code: 'refused',
      grpcCode: status.NOT_FOUND,
      message: 'reading entry 7: no entry 7',
    });
    server.unaryFailures = [
      { code: status.FAILED_PRECONDITION, details: 'no such node', validation: 'malformed' },
    ];
    expect(await failureOf(client.assignNode('x', null))).toMatchObject({
      code: 'refused',
      validationCode: 'malformed',
    });
    expect(server.unaryCalls).toBe(2);
  });

  it('without a request id are repeated only where nothing was done', async () => {
    const server = await TestServer.start();
    const learner = { id: 4, raft: 'a:1', grpc: 'a:2', metrics: 'a:3', auto_promote: false };
    server.unaryFailures = [busy];
    expect(await clientOf([server]).addLearner(learner)).toEqual([]);
    server.unaryFailures = [{ ...busy, unknown: true }];
    expect(await failureOf(clientOf([server]).addLearner(learner))).toMatchObject({ code: 'outcomeUnknown' });
    expect(server.unaryCalls).toBe(3);
  });

  it('end when their time is up, saying what was last heard', async () => {
    const server = await TestServer.start();
    server.unaryFailures = Array.from({ length: 100 }, () => busy);
    const error = await failureOf(clientOf([server], { deadlineMs: 250 }).entry(0 as never));
    expect(error).toMatchObject({ code: 'noLeader', retryable: true });
    expect(error.message).toContain('there is no leader at the moment');
    server.unaryFailures = Array.from({ length: 100 }, () => ({
      code: status.RESOURCE_EXHAUSTED,
      details: 'full',
    }));
    expect(await failureOf(clientOf([server], { deadlineMs: 250 }).entry(0 as never))).toMatchObject({
      code: 'overloaded',
    });
  });

  it('say which servers nobody listens on', async () => {
    const [one, two] = [await TestServer.start(), await TestServer.start()];
    one.stop();
    two.stop();
    const client = clientOf([one, two], { unreachableTimeoutMs: 0 });
    const error = await failureOf(client.entry(0 as never));
    expect(error.code).toBe('unreachable');
    expect(error.message).toContain(`nobody listens on ${one.address} (connection refused)`);
    expect(error.message).toContain(`nobody listens on ${two.address} (connection refused)`);
  });

  it('wait for a server that starts later', async () => {
    const server = await TestServer.start();
    fill(server.journal, 1);
    server.stop();
    const reading = clientOf([server]).entry(0 as never);
    await server.listen();
    expect((await reading).sequence).toBe(0);
  });
});

describe('lists', () => {
  it('come page by page, in order, and may be left early', async () => {
    const server = await TestServer.start();
    fill(server.journal, 50);
    const client = clientOf([server]);
    const seen: number[] = [];
    for await (const entry of client.entries()) seen.push(entry.sequence);
    expect(seen).toEqual(Array.from({ length: 50 }, (_, at) => at));
    for await (const entry of client.entries()) {
      expect(entry.sequence).toBe(0);
      break;
    }
    expect((await client.entry(3 as never)).sequence).toBe(3);
  });

  it('of nothing are empty', async () => {
    const server = await TestServer.start();
    const seen = [];
    for await (const entry of clientOf([server]).entries({ limit: 5 })) seen.push(entry);
    expect(seen).toEqual([]);
  });

  it('are given up when the signal is aborted', async () => {
    const server = await TestServer.start();
    fill(server.journal, 5);
    const abort = new AbortController();
    const reading = async () => {
      for await (const entry of clientOf([server]).entries({}, { signal: abort.signal })) {
        if (entry.sequence === 0) abort.abort(new Error('enough'));
      }
    };
    expect(await failureOf(reading())).toMatchObject({ code: 'aborted' });
  });
});

describe('options', () => {
  it('that make no sense are refused at once', () => {
    for (const wrong of [{ endpoints: [] }, { endpoints: ['9443'] }, { endpoints: ['a:1'], deadlineMs: 0 }]) {
      expect(() => new JournalClient(wrong)).toThrow(expect.objectContaining({ code: 'invalidOption' }));
    }
  });
});
