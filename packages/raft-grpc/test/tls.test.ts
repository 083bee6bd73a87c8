/** Mutual TLS with certificates bound to node ids. The fixtures are self-made, valid for a century, and guard nothing. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { credentials, ServerCredentials } from '@grpc/grpc-js';
import { toNodeId } from '@pact-journal/raft-core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { GrpcTransportOptions } from '../src/index.ts';
import { append, startNode, stopAll } from './support/cluster.ts';

const ONE = toNodeId(1);
const WAIT = { timeout: 20_000, interval: 5 };
const fixture = (name: string): Buffer => readFileSync(join(import.meta.dirname, 'fixtures', name));
const ca = fixture('ca.pem');

afterEach(stopAll);

/** As an application would: each side presents its certificate, and looks for the node id in the other's. */
function tls(certificate: string): Partial<GrpcTransportOptions> {
  const key = fixture(`${certificate}.key`);
  const chain = fixture(`${certificate}.pem`);
  return {
    serverCredentials: ServerCredentials.createSsl(ca, [{ private_key: key, cert_chain: chain }], true),
    channelCredentials: (peer) =>
      credentials.createSsl(ca, key, chain, {
        checkServerIdentity: (_host, { subjectaltname }) =>
          names(subjectaltname).includes(`DNS:node-${peer.id}`)
            ? undefined
            : new Error(`the certificate is not node ${peer.id}'s`),
      }),
    verifyPeer: ({ nodeId, subjectAltName }) =>
      names(subjectAltName).includes(`DNS:node-${nodeId}`)
        ? undefined
        : `the certificate is not node ${nodeId}'s`,
  };
}

function names(subjectAltName: string | undefined): readonly string[] {
  return subjectAltName?.split(', ') ?? [];
}

describe('with mutual TLS', () => {
  it('messages and snapshots pass between nodes that are who they say', async () => {
    const first = await startNode(1, tls('node-1'));
    const second = await startNode(2, tls('node-2'));
    second.transport.setPeers([{ id: ONE, address: first.address, attributes: {} }]);
    second.transport.send(ONE, [append(1, 16, 2, 1)]);
    await vi.waitFor(() => expect(first.recorder.indexes()).toEqual([1]), WAIT);
    const attempt = second.transport.fetchSnapshot(ONE, 1 as never, 1 as never, new AbortController().signal);
    await expect(attempt).rejects.toMatchObject({ code: 'snapshotNotFound' });
  });

  it('a node that claims the id of another is refused', async () => {
    const first = await startNode(1, tls('node-1'));
    const liar = await startNode(2, tls('node-3'));
    liar.transport.setPeers([{ id: ONE, address: first.address, attributes: {} }]);
    await vi.waitFor(
      () =>
        expect(liar.transport.stats(ONE)?.lastError).toBe(
          "PERMISSION_DENIED: the certificate is not node 2's",
        ),
      WAIT,
    );
    const attempt = liar.transport.fetchSnapshot(ONE, 1 as never, 1 as never, new AbortController().signal);
    await expect(attempt).rejects.toMatchObject({ code: 'refused' });
    expect(first.recorder.received).toEqual([]);
  });

  it('a server that is not the node that was meant gets nothing', async () => {
    const third = await startNode(3, tls('node-3'));
    const second = await startNode(2, tls('node-2'));
    second.transport.setPeers([{ id: ONE, address: third.address, attributes: {} }]);
    await vi.waitFor(
      () => expect(second.transport.stats(ONE)?.lastError).toContain("the certificate is not node 1's"),
      WAIT,
    );
  });

  it.each([
    ['a certificate of another authority', tls('stranger')],
    ['no certificate', { channelCredentials: () => credentials.createSsl(ca) }],
    ['no TLS', {}],
  ])('%s does not get in', async (_, options) => {
    const first = await startNode(1, tls('node-1'));
    const outsider = await startNode(2, options);
    outsider.transport.setPeers([{ id: ONE, address: first.address, attributes: {} }]);
    await vi.waitFor(() => expect(outsider.recorder.unreachablePeers.length).toBeGreaterThan(2), WAIT);
    expect(outsider.transport.stats(ONE)?.connected).toBe(false);
    expect(first.recorder.received).toEqual([]);
  });
});
