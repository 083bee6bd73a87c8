import type { NewConfigEntry } from '@pact-journal/journal-state';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { isJournalClientError, JournalClient } from '../src/index.ts';
import type { JournalClientOptions } from '../src/index.ts';
import { stopServers, TestJournal, TestServer } from './support/server.ts';

const entry: NewConfigEntry = {
  entry_type: 'Commit',
  scope: { VCluster: 'ml-training' },
  author: { principal: 'ada', principal_type: 'Human', role: 'pact-platform-admin' },
  parent: null,
  state_delta: null,
  policy_ref: null,
  ttl_seconds: null,
  emergency_reason: null,
  message: 'baseline',
};

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

describe('appending', () => {
  it('resolves to where the entry is', async () => {
    const server = await TestServer.start();
    const client = clientOf([server]);
    expect(await client.append(entry)).toEqual({ sequence: 0, index: 10, term: 1 });
    expect(server.journal.entries[0]).toMatchObject({ ...entry, sequence: 0 });
  });

  it('sends what many callers append in one turn over one stream in few messages', async () => {
    const server = await TestServer.start();
    const client = clientOf([server]);
    const receipts = await Promise.all(Array.from({ length: 2_500 }, () => client.append(entry)));
    expect(receipts.map(({ sequence }) => sequence).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 2_500 }, (_, at) => at),
    );
    expect(server.streams).toBe(1);
    expect(server.messages).toBe(3);
  });

  it('gives each caller its own outcome', async () => {
    const server = await TestServer.start();
    server.behaviours = ['answer', 'refuse', 'answer'];
    const client = clientOf([server]);
    await client.append(entry);
    const refused = await failureOf(client.append(entry));
    expect(refused).toMatchObject({
      code: 'refused',
      grpcCode: 9,
      validationCode: 'parentUnknown',
      retryable: false,
    });
    expect(refused.message).toBe('appending a Commit entry: entry.parent: 7 does not exist');
    expect((await client.append(entry)).sequence).toBe(1);
  });

  it('is not done twice when the answer is lost: the repeat has the same request id', async () => {
    const server = await TestServer.start();
    server.behaviours = ['dropAnswer', 'answer'];
    const client = clientOf([server]);
    const receipts = await Promise.all([client.append(entry), client.append(entry), client.append(entry)]);
    expect(receipts.map(({ sequence }) => sequence)).toEqual([0, 1, 2]);
    expect(server.journal.entries).toHaveLength(3);
    expect(server.itemsSeen).toBe(6);
    expect(server.streams).toBe(2);
  });

  it('with a request id of the caller is done once, whichever client repeats it', async () => {
    const server = await TestServer.start();
    const first = await clientOf([server]).append(entry, { requestId: 'boot-7' });
    const second = await clientOf([server]).append(entry, { requestId: 'boot-7' });
    expect(second).toEqual(first);
    expect(server.journal.entries).toHaveLength(1);
  });

  it('waits for the end of an election', async () => {
    const server = await TestServer.start();
    server.behaviours = ['noLeader', 'noLeader', 'noLeader', 'answer'];
    expect((await clientOf([server]).append(entry)).sequence).toBe(0);
    expect(server.messages).toBe(4);
  });

  it('goes on at another server when one dies, and at the same one when it comes back', async () => {
    const shared = new TestJournal();
    const peers: TestServer[] = [];
    const [one, two] = [await TestServer.start(1, shared, peers), await TestServer.start(2, shared, peers)];
    const client = clientOf([one, two]);
    await client.append(entry);
    one.stop();
    shared.leaderId = 2;
    shared.term = 2;
    expect((await client.append(entry)).sequence).toBe(1);
    two.stop();
    const waiting = client.append(entry);
    await two.listen();
    expect((await waiting).sequence).toBe(2);
  });
});

describe('a server that keeps its stream and does not answer', () => {
  it('is left for another one, and what it may have done is not done twice', async () => {
    const shared = new TestJournal();
    const [hanging, member] = [await TestServer.start(1, shared), await TestServer.start(2, shared)];
    hanging.behaviours = ['ignore'];
    const client = clientOf([hanging, member], { attemptTimeoutMs: 200 });
    const receipts = await Promise.all([client.append(entry), client.append(entry)]);
    expect(receipts.map(({ sequence }) => sequence)).toEqual([0, 1]);
    expect(hanging.itemsSeen).toBe(2);
    expect(new Set(shared.requestIds).size).toBe(2);
  });

  it('is not believed to be slow where it answers what came later', async () => {
    const server = await TestServer.start();
    server.behaviours = ['ignore', 'answer'];
    const client = clientOf([server], { attemptTimeoutMs: 200 });
    let later = 0;
    const first = client.append(entry).then(() => 'answered');
    await vi.waitFor(() => expect(server.messages).toBe(1));
    while ((await Promise.race([first, client.append(entry)])) !== 'answered') later += 1;
    expect(later).toBeGreaterThan(0);
    expect(server.streams).toBe(2);
  });

  it('is only slow while answers come in the order of what was sent', async () => {
    const server = await TestServer.start();
    server.behaviours = ['slow'];
    const client = clientOf([server], { attemptTimeoutMs: 200 });
    const appends: Promise<unknown>[] = [];
    for (let turn = 0; turn < 20; turn += 1) {
      appends.push(client.append(entry));
      await vi.waitFor(() => expect(server.messages).toBe(turn + 1), { interval: 1 });
    }
    await Promise.all(appends);
    expect(server.streams).toBe(1);
    expect(server.itemsSeen).toBe(20);
  });
});

describe('the leader', () => {
  it('is found through any server, and appends go to it directly', async () => {
    const shared = new TestJournal();
    const peers: TestServer[] = [];
    const servers = [
      await TestServer.start(1, shared, peers),
      await TestServer.start(2, shared, peers),
      await TestServer.start(3, shared, peers),
    ];
    shared.leaderId = 3;
    const client = clientOf(servers.slice(0, 1));
    await client.append(entry);
    expect(servers.map(({ streams }) => streams)).toEqual([0, 0, 1]);
  });

  it('is looked for elsewhere when a server goes on saying that nobody leads', async () => {
    // Each server knows only itself, as one does that was removed from the group.
    const shared = new TestJournal();
    const removed = await TestServer.start(1, shared);
    const member = await TestServer.start(1, shared);
    removed.behaviours = ['noLeader'];
    const client = clientOf([removed, member], { attemptTimeoutMs: 300 });
    const receipts = await Promise.all([client.append(entry), client.append(entry)]);
    expect(receipts.map(({ sequence }) => sequence)).toEqual([0, 1]);
    expect(removed.streams).toBe(1);
    expect(removed.messages).toBeGreaterThan(1);
    const asked = removed.messages;
    await client.append(entry);
    expect(removed.messages).toBe(asked);
  });

  it('is waited for where there is no other server to ask', async () => {
    const server = await TestServer.start();
    server.behaviours = [...Array.from({ length: 6 }, () => 'noLeader' as const), 'answer'];
    const client = clientOf([server], { attemptTimeoutMs: 100 });
    expect((await client.append(entry)).sequence).toBe(0);
    expect(server.streams).toBe(1);
  });

  it('is followed when a receipt shows a later term', async () => {
    const shared = new TestJournal();
    const peers: TestServer[] = [];
    const [one, two] = [await TestServer.start(1, shared, peers), await TestServer.start(2, shared, peers)];
    const client = clientOf([one, two]);
    await client.append(entry);
    shared.leaderId = 2;
    shared.term = 2;
    await vi.waitFor(async () => {
      await client.append(entry);
      expect(two.streams).toBe(1);
    });
    const before = one.itemsSeen;
    await client.append(entry);
    expect(one.itemsSeen).toBe(before);
  });
});

describe('when it cannot be done', () => {
  it('nobody listening is said at once where the options want that, with the address', async () => {
    const server = await TestServer.start();
    const { address } = server;
    server.stop();
    const client = clientOf([server], { unreachableTimeoutMs: 0 });
    const error = await failureOf(client.append(entry));
    expect(error).toMatchObject({ code: 'unreachable', retryable: true });
    expect(error.message).toBe(
      `appending a Commit entry: nobody listens on ${address} (connection refused); is the journal running? Start it, or name another endpoint`,
    );
  });

  it('no leader until the deadline is noLeader, and nothing was done', async () => {
    const server = await TestServer.start();
    server.behaviours = ['noLeader'];
    const error = await failureOf(clientOf([server], { deadlineMs: 300 }).append(entry));
    expect(error).toMatchObject({ code: 'noLeader', retryable: true });
    expect(server.journal.entries).toHaveLength(0);
  });

  it('no answer until the deadline is outcomeUnknown', async () => {
    const server = await TestServer.start();
    server.behaviours = ['ignore'];
    const error = await failureOf(clientOf([server], { deadlineMs: 200 }).append(entry));
    expect(error).toMatchObject({ code: 'outcomeUnknown', retryable: false });
  });

  it('a server that is gone before the deadline leaves the outcome unknown only where it had been sent', async () => {
    const server = await TestServer.start();
    server.behaviours = ['answer', 'ignore'];
    const client = clientOf([server], { deadlineMs: 400 });
    await client.append(entry);
    const sent = failureOf(client.append(entry));
    await vi.waitFor(() => expect(server.messages).toBe(2));
    server.stop();
    const unsent = failureOf(client.append(entry));
    expect((await sent).code).toBe('outcomeUnknown');
    expect((await unsent).code).toBe('unreachable');
  });

  it('more than the bounds allow is refused at once as overloaded', async () => {
    const server = await TestServer.start();
    server.behaviours = ['ignore'];
    const client = clientOf([server], { maxPendingAppends: 2, deadlineMs: 200 });
    const accepted = [failureOf(client.append(entry)), failureOf(client.append(entry))];
    expect(await failureOf(client.append(entry))).toMatchObject({ code: 'overloaded' });
    await Promise.all(accepted);
    const small = clientOf([server], { maxPendingBytes: 10 });
    expect(await failureOf(small.append(entry))).toMatchObject({ code: 'overloaded' });
  });

  it('an aborted or closed call ends at once', async () => {
    const server = await TestServer.start();
    server.behaviours = ['ignore'];
    const client = clientOf([server]);
    const abort = new AbortController();
    const aborted = failureOf(client.append(entry, { signal: abort.signal }));
    abort.abort();
    expect((await aborted).code).toBe('aborted');
    expect((await failureOf(client.append(entry, { signal: abort.signal }))).code).toBe('aborted');
    const pending = failureOf(client.append(entry));
    await vi.waitFor(() => expect(server.messages).toBe(1));
    client.close();
    expect((await pending).code).toBe('outcomeUnknown');
    expect((await failureOf(client.append(entry))).code).toBe('closed');
  });

  it('an entry that the wire cannot carry is malformed, with the field', async () => {
    const server = await TestServer.start();
    const none = { mounts: [], files: [], network: [], services: [], kernel: [], packages: [] };
    const gpu = [{ action: 'Add', key: 'first', value: null, previous: null }] as const;
    const error = await failureOf(clientOf([server]).append({ ...entry, state_delta: { ...none, gpu } }));
    expect(error).toMatchObject({ code: 'malformed' });
    expect(error.message).toContain('state_delta.gpu[0].key');
  });
});

describe('the token', () => {
  it('goes with every stream and call, freshly asked for', async () => {
    const server = await TestServer.start();
    let count = 0;
    const client = clientOf([server], { token: () => `token-${(count += 1)}` });
    await client.append(entry);
    await client.entry(0 as never);
    expect(server.tokens.every((token) => /^Bearer token-\d+$/u.test(token))).toBe(true);
    expect(new Set(server.tokens).size).toBe(server.tokens.length);
    expect(server.tokens.length).toBeGreaterThanOrEqual(2);
  });

  it('that cannot be had fails the call', async () => {
    const server = await TestServer.start();
    const client = clientOf([server], { token: () => Promise.reject(new Error('the login has expired')) });
    await expect(client.append(entry)).rejects.toThrow('the login has expired');
    await expect(client.entry(0 as never)).rejects.toThrow('the login has expired');
  });
});
