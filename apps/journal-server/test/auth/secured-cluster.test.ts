/** Three secured members: who gets in, who is the author, and how a call reaches the leader. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { connect, createSecureContext, type ConnectionOptions } from 'node:tls';
import { credentials, Metadata, status, type ChannelCredentials } from '@grpc/grpc-js';
import {
  journal,
  newEntryToFieldedWire,
  newOperationToWire,
  policy,
  policyToWire,
} from '@pact-journal/journal-proto';
import { defaultPolicy, parseNewEntry, parseStateDelta, type Scope } from '@pact-journal/journal-state';
import { toNodeId } from '@pact-journal/raft-core';
import { GrpcTransport } from '@pact-journal/raft-grpc';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MEMBER_SERVER_NAME } from '../../src/auth/certificates.ts';
import { PeerServerCredentials, peerTransportTls } from '../../src/auth/peer-tls.ts';
import { call } from '../support/calls.ts';
import { callPath, clientOf, type Ended } from '../support/raw-call.ts';
import { bearer, CLUSTER_ID, SecuredCluster, type SecuredNode } from '../support/secured-cluster.ts';

const ADMIN = 'pact-platform-admin';
const { appendEntry, getEntry } = journal.ConfigServiceDefinition;
const WAIT = { timeout: 20_000, interval: 20 };

let cluster: SecuredCluster;
beforeAll(async () => {
  cluster = await SecuredCluster.start({ nodes: 3 });
  await vi.waitFor(async () => {
    for (const { metrics } of cluster.nodes)
      expect((await fetch(`http://${metrics}/ready`)).status).toBe(200);
  }, WAIT);
}, 60_000);
afterAll(async () => {
  await cluster.stop();
});

function commit(scope: Scope): Buffer {
  const entry = parseNewEntry({
    entry_type: 'Commit',
    scope,
    author: { principal: 'mallory', principal_type: 'Human', role: ADMIN },
    parent: null,
    state_delta: parseStateDelta({ kernel: [{ action: 'Add', key: 'vm.swappiness', value: '1' }] }),
    policy_ref: null,
    ttl_seconds: null,
    emergency_reason: null,
  });
  return appendEntry.requestSerialize({ entry: newEntryToFieldedWire(entry) });
}

async function roles(): Promise<{ readonly leader: SecuredNode; readonly follower: SecuredNode }> {
  const leads = await Promise.all(
    cluster.nodes.map(async (node) => {
      const { role } = (await (await fetch(`http://${node.metrics}/health`)).json()) as {
        readonly role: string;
      };
      return role === 'leader';
    }),
  );
  const leader = cluster.nodes.find((_, index) => leads[index]);
  const follower = cluster.nodes.find((_, index) => !leads[index]);
  if (leader === undefined || follower === undefined) throw new Error('no leader');
  return { leader, follower };
}

async function lastAuthor(node: SecuredNode, metadata: Metadata): Promise<string> {
  const stub = new journal.JournalQueryServiceClient(node.grpc, cluster.channel());
  try {
    let author = '';
    const stream = stub.listJournalEntries(
      {
        scope: undefined,
        fromSequence: undefined,
        toSequence: undefined,
        limit: 1,
        author: undefined,
        entryTypes: [],
      },
      metadata,
    );
    for await (const message of stream as AsyncIterable<journal.ListJournalEntriesResponse>) {
      const identity = message.entries.at(-1)?.entry?.author;
      author = `${identity?.principal ?? ''}/${identity?.role ?? ''}`;
    }
    return author;
  } finally {
    stub.close();
  }
}

/** What TLS says to a client of the Raft port; empty where it lets it in. */
function handshake(address: string, options: ConnectionOptions): Promise<string> {
  const [host, port] = address.split(':');
  return new Promise((resolve) => {
    const socket = connect({
      host: host ?? '',
      port: Number(port),
      ca: readFileSync(cluster.file('peer-ca.pem')),
      ALPNProtocols: ['h2'],
      checkServerIdentity: () => undefined,
      ...options,
    });
    // In TLS 1.3 a client learns only from the first bytes whether its certificate was taken.
    socket.once('data', () => {
      resolve('');
      socket.destroy();
    });
    socket.once('error', (error: Error) => {
      resolve(error.message);
    });
    socket.once('close', () => {
      resolve('closed');
    });
  });
}

/** How often a node refused somebody for that reason, as its metrics say. */
async function failures(node: { readonly metrics: string }, reason: string): Promise<number> {
  const text = await (await fetch(`http://${node.metrics}/metrics`)).text();
  return Number(
    new RegExp(`^pact_auth_failures_total\\{reason="${reason}"\\} (\\d+)$`, 'm').exec(text)?.[1] ?? 0,
  );
}

describe('a write that reaches a follower', () => {
  it('is written in the name of the token, whatever the body says', async () => {
    const { follower, leader } = await roles();
    const metadata = await cluster.as(ADMIN);
    const client = clientOf(follower.grpc, cluster.channel());
    expect(await callPath(client, appendEntry.path, commit('Global'), metadata)).toMatchObject({
      code: status.OK,
    });
    client.close();
    expect(await lastAuthor(leader, metadata)).toBe(`${ADMIN}@example.org/${ADMIN}`);
  });

  it('of an operation names the token too', async () => {
    const { follower, leader } = await roles();
    const metadata = await cluster.as(ADMIN);
    const client = clientOf(follower.grpc, cluster.channel());
    const { recordOperation } = journal.AuditServiceDefinition;
    const operation = newOperationToWire({
      operation_id: 'op-1',
      operation_type: 'Exec',
      occurred_at: '2026-11-24T08:00:00.000Z',
      exit_code: null,
      author: { principal: 'mallory', principal_type: 'Human', role: ADMIN },
      scope: { Node: 'node-1' },
      detail: 'uptime',
    });
    const message = recordOperation.requestSerialize({ operation });
    expect(await callPath(client, recordOperation.path, message, metadata)).toMatchObject({
      code: status.OK,
    });
    client.close();
    const audit = new journal.AuditServiceClient(leader.grpc, cluster.channel());
    const authors: string[] = [];
    const pages = audit.listOperations({ from: undefined, limit: 10 }, metadata);
    for await (const page of pages as AsyncIterable<journal.ListOperationsResponse>)
      authors.push(...page.operations.map(({ author }) => author?.principal ?? ''));
    audit.close();
    expect(authors).toEqual([`${ADMIN}@example.org`]);
  });

  it('of a policy and of an approval names the token too, and so nobody approves what is their own', async () => {
    const { follower, leader } = await roles();
    const ops = 'pact-ops-duo';
    const [ada, bob] = await Promise.all(
      ['ada', 'bob'].map(async (subject) =>
        bearer(await cluster.provider.token({ pact_role: ops }, { subject })),
      ),
    );
    const client = clientOf(follower.grpc, cluster.channel());
    const { updatePolicy, decideApproval } = policy.PolicyServiceDefinition;
    const mallory = { principal: 'mallory', principalType: 'human', role: ADMIN };
    const update = (twoPersonApproval: boolean): Promise<Ended> =>
      callPath(
        client,
        updatePolicy.path,
        updatePolicy.requestSerialize({
          vclusterId: 'duo',
          policy: { ...policyToWire(defaultPolicy('duo')), twoPersonApproval },
          author: mallory,
          message: '',
        }),
        ada,
      );
    expect(await update(true)).toMatchObject({ code: status.OK });
    const viewer = await cluster.as(ADMIN);
    expect(await lastAuthor(leader, viewer)).toBe(`ada/${ops}`);
    // Switching the rule off is a change that waits for a second person as well.
    expect(await update(false)).toMatchObject({ code: status.OK });
    const query = new policy.PolicyServiceClient(leader.grpc, cluster.channel());
    const [pending] = (
      await call(
        query,
        query.listPendingApprovals.bind(query),
        { scopeFilter: 'vcluster duo' },
        await headers(ADMIN),
      )
    ).approvals;
    query.close();
    expect(pending).toMatchObject({ action: 'policy_update', requester: 'ada' });
    const decide = (who: Metadata | undefined): Promise<Ended> =>
      callPath(
        client,
        decideApproval.path,
        decideApproval.requestSerialize({
          approvalId: pending?.approvalId ?? '',
          approver: mallory,
          decision: 'approved',
          reason: undefined,
        }),
        who,
      );
    expect(await decide(ada)).toMatchObject({ code: status.FAILED_PRECONDITION });
    expect(await decide(bob)).toMatchObject({ code: status.OK });
    client.close();
    expect(await lastAuthor(leader, viewer)).toBe(`ada/${ops}`);
  });

  it('of a compute node by its certificate is written in the name of the node', async () => {
    const { follower, leader } = await roles();
    const client = clientOf(follower.grpc, cluster.channel(cluster.identity('node-node-1/client')));
    const drift = appendEntry.requestDeserialize(commit({ Node: 'node-1' }));
    if (drift.entry === undefined) throw new Error('an entry');
    const message = appendEntry.requestSerialize({ entry: { ...drift.entry, entryType: 4 } });
    expect(await callPath(client, appendEntry.path, message)).toMatchObject({ code: status.OK });
    client.close();
    expect(await lastAuthor(leader, await cluster.as(ADMIN))).toBe('node:node-1/pact-agent');
  });

  it('cannot be made to look as if a member had passed it on', async () => {
    const { leader } = await roles();
    const forged = Buffer.from(
      JSON.stringify({
        kind: 'user',
        principal: 'root',
        principalType: 'Human',
        roles: [ADMIN],
        expiresAtMs: Date.now() + 60_000,
      }),
    ).toString('base64url');
    const attempts: (readonly [string, Metadata, Parameters<SecuredCluster['channel']>[0]])[] = [
      ['nobody', new Metadata(), {}],
      ['a viewer', await cluster.as('pact-viewer-ml'), {}],
      ['a compute node', new Metadata(), cluster.identity('node-node-1/client')],
    ];
    for (const [who, metadata, identity] of attempts) {
      metadata.set('x-pact-on-behalf-of', forged);
      const client = clientOf(leader.grpc, cluster.channel(identity));
      expect(await callPath(client, appendEntry.path, commit('Global'), metadata), who).toMatchObject({
        code: status.PERMISSION_DENIED,
        reason: 'callerForged',
      });
      client.close();
    }
  });

  it("cannot be given another caller by the front's own metadata", async () => {
    const { leader } = await roles();
    const metadata = await cluster.as('pact-viewer-ml');
    metadata.set(
      'x-pact-front-caller',
      Buffer.from(
        JSON.stringify({
          kind: 'user',
          principal: 'root',
          principalType: 'Human',
          roles: [ADMIN],
          expiresAtMs: 9e15,
        }),
      ).toString('base64url'),
    );
    const client = clientOf(leader.grpc, cluster.channel());
    for (const path of [appendEntry.path, journal.JournalAppendServiceDefinition.appendStream.path]) {
      expect(await callPath(client, path, commit('Global'), metadata), path).toMatchObject({
        code: status.PERMISSION_DENIED,
        reason: 'roleInsufficient',
      });
    }
    expect(
      await callPath(client, journal.AuditServiceDefinition.listOperations.path, undefined, metadata),
    ).toMatchObject({ code: status.PERMISSION_DENIED, reason: 'scopeForbidden' });
    client.close();
  });
});

describe('tokens that a provider has issued', () => {
  it('are good for what their role allows', async () => {
    const { leader } = await roles();
    const client = clientOf(leader.grpc, cluster.channel());
    const admin = bearer(await cluster.provider.issuedToken(ADMIN));
    const viewer = bearer(await cluster.provider.issuedToken('pact-viewer-ml'));
    expect(await callPath(client, appendEntry.path, commit({ VCluster: 'ml' }), admin)).toMatchObject({
      code: status.OK,
    });
    expect(await callPath(client, appendEntry.path, commit({ VCluster: 'ml' }), viewer)).toMatchObject({
      code: status.PERMISSION_DENIED,
    });
    const first = getEntry.requestSerialize({ sequence: 0 });
    expect(await callPath(client, getEntry.path, first, viewer)).toMatchObject({ code: status.OK });
    client.close();
  });
});

describe('the Raft port', () => {
  it.each([
    ['who has no certificate', () => ({})],
    ['a compute node', () => cluster.identity('node-node-1/client')],
    ["a member with its client port's certificate", () => cluster.identity('member-2/server')],
  ])('does not let in %s', async (_who, identity) => {
    const { leader } = await roles();
    const before = await failures(leader, 'peerCertificate');
    expect(await handshake(leader.raft, identity())).toMatch(
      /^closed$|alert (certificate required|unknown ca|bad certificate)/,
    );
    await vi.waitFor(async () => {
      expect(await failures(leader, 'peerCertificate')).toBeGreaterThan(before);
    }, WAIT);
  });

  it('speaks nothing older than TLS 1.3', async () => {
    const { leader } = await roles();
    const old = { ...cluster.identity('member-2/peer'), maxVersion: 'TLSv1.2' as const };
    expect(await handshake(leader.raft, old)).toMatch(/protocol version/);
    await vi.waitFor(async () => {
      expect(await failures(leader, 'peerTlsVersion')).toBeGreaterThan(0);
    }, WAIT);
    expect(await handshake(leader.raft, cluster.identity('member-2/peer'))).toBe('');
  });

  it('counts those who do not shake hands at all', async () => {
    const { leader } = await roles();
    const [host, port] = leader.raft.split(':');
    const before = await failures(leader, 'peerTlsHandshake');
    const socket = connectTcp(Number(port), host, () => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'));
    socket.on('error', () => undefined).resume();
    await once(socket, 'close');
    await vi.waitFor(async () => {
      expect(await failures(leader, 'peerTlsHandshake')).toBe(before + 1);
    }, WAIT);
  });

  it('refuses a member that claims the id of another', async () => {
    const { leader, follower } = await roles();
    const { cert, key } = cluster.identity(`member-${String(follower.id)}/peer`);
    const ca = readFileSync(cluster.file('peer-ca.pem'), 'utf8');
    const identity = { cert, key, ca, authorities: [], name: '', expiresAtMs: 0 };
    const other = cluster.nodes.find(({ id }) => id !== leader.id && id !== follower.id);
    const transport = new GrpcTransport({
      id: toNodeId(other?.id ?? 0),
      clusterId: CLUSTER_ID,
      listen: '127.0.0.1:0',
      ...peerTransportTls({
        clusterId: CLUSTER_ID,
        identity: () => identity,
        server: new PeerServerCredentials(identity),
      }),
    });
    const peer = toNodeId(leader.id);
    transport.setPeers([{ id: peer, address: leader.raft, attributes: {} }]);
    await transport.start({
      receive: () => undefined,
      unreachable: () => undefined,
      describeSnapshot: () => undefined,
      readCommitted: () => Promise.reject(new Error('not asked for')),
      readSnapshot: () => Promise.reject(new Error('there is none')),
    });
    try {
      await vi.waitFor(() => {
        expect(transport.stats(peer)?.lastError).toContain(
          `the certificate is member ${String(follower.id)}'s, not member ${String(other?.id)}'s`,
        );
      }, WAIT);
    } finally {
      await transport.stop();
    }
  });

  it('has nothing of it on the client port', async () => {
    const { leader } = await roles();
    const client = clientOf(leader.grpc, cluster.channel());
    for (const method of ['Send', 'DescribeSnapshot', 'ReadSnapshot']) {
      expect(
        await callPath(client, `/raft.v1.RaftTransportService/${method}`, undefined, await cluster.as(ADMIN)),
      ).toMatchObject({ code: status.UNIMPLEMENTED, reason: 'methodUnknown' });
    }
    client.close();
  });
});

describe('a server that joins', () => {
  it('is let in with a certificate of a member, and not under the id of another one', async () => {
    const { follower } = await roles();
    const joined = await cluster.join(4, follower);
    try {
      await vi.waitFor(async () => {
        const service = new journal.ClusterServiceClient(joined.grpc, cluster.channel());
        const { members } = await call(
          service,
          service.getStatus.bind(service),
          {},
          await headers(ADMIN),
        ).finally(() => {
          service.close();
        });
        expect(members.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
      }, WAIT);
      expect((await cluster.failures(follower.id))['roleInsufficient'] ?? 0).toBe(0);
      // What its certificate does not say it may not ask for.
      const { addLearner } = journal.ClusterServiceDefinition;
      const asMember = clientOf(follower.grpc, memberChannel(4), MEMBER_SERVER_NAME);
      const request = addLearner.requestSerialize({
        id: 5,
        raft: '127.0.0.1:1',
        grpc: '',
        metrics: '',
        autoPromote: false,
      });
      expect(await callPath(asMember, addLearner.path, request)).toMatchObject({
        code: status.PERMISSION_DENIED,
        reason: 'roleInsufficient',
      });
      asMember.close();
    } finally {
      await joined.server.stop();
    }
  });
});

/** As a member connects to another one's client port. */
function memberChannel(id: number): ChannelCredentials {
  const ca = readFileSync(cluster.file('peer-ca.pem'));
  const context = createSecureContext({
    ca,
    minVersion: 'TLSv1.3',
    ...cluster.identity(`member-${String(id)}/peer`),
  });
  return credentials.createFromSecureContext(context, { checkServerIdentity: () => undefined });
}

describe('the status', () => {
  it('of a secured member names its certificates and when they run out', async () => {
    const { follower } = await roles();
    const service = new journal.ClusterServiceClient(follower.grpc, cluster.channel());
    const { certificates } = await call(service, service.getStatus.bind(service), {}, await headers(ADMIN));
    service.close();
    expect(certificates.map(({ purpose }) => purpose)).toEqual(
      expect.arrayContaining(['client port', 'peer']),
    );
    for (const { notAfter, subject, path } of certificates) {
      expect(notAfter?.seconds).toBeGreaterThan(Date.now() / 1_000);
      expect(subject).not.toBe('');
      expect(() => readFileSync(path)).not.toThrow();
    }
  });
});

async function headers(role: string): Promise<Record<string, string>> {
  const metadata = await cluster.as(role);
  return { authorization: String(metadata.get('authorization')[0]) };
}
