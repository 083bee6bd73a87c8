/** A replica whose state has gone astray is found, taken out of service, and rebuilt from the others. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { JournalClient } from '@pact-journal/journal-client';
import { encodeCommand } from '@pact-journal/journal-state';
import { aCommit, anEnvelope, vcluster } from '@pact-journal/journal-state/testing';
import { toLogIndex, toTerm } from '@pact-journal/raft-core';
import { DirectorySnapshotStore, DiskFileSystem } from '@pact-journal/wal-storage';
import { afterEach, expect, test, vi } from 'vitest';
import { initCerts } from '../../src/certs/init.ts';
import { JournalMachine } from '../../src/server/journal-machine.ts';
import { failureLine, runCli, runHere } from '../cli/run-cli.ts';
import { OpenIdProvider } from '../support/openid-provider.ts';
import { protection, SecuredCluster } from '../support/secured-cluster.ts';
import { killAllNodes, TestCluster } from '../support/test-cluster.ts';

afterEach(killAllNodes);

/**
 * What a flipped bit in memory or a fault in the software would do: a snapshot of another state, all of its checksums and
 * hashes right. The node must be stopped.
 */
async function plantDivergence(dataDir: string): Promise<void> {
  const snapshots = new DirectorySnapshotStore({
    dataDir,
    clusterId: 'pact',
    fileSystem: new DiskFileSystem(),
    onWarning: () => undefined,
    payload: 'json',
  });
  await snapshots.open();
  const stored = snapshots.latest();
  if (stored === undefined) throw new Error('there is no snapshot to go astray from');
  const machine = new JournalMachine();
  await machine.restore(snapshots.load(stored));
  const command = { type: 'UpdateNodeState', node_id: 'astray', state: 'Drifted' } as const;
  machine.apply([
    { index: toLogIndex(1), term: toTerm(1), type: 'normal', data: encodeCommand(anEnvelope(command)) },
  ]);
  await snapshots.save(stored.meta, machine.snapshot());
  await snapshots.close();
}

const client = (endpoint: string): JournalClient =>
  new JournalClient({ endpoints: [endpoint], deadlineMs: 5_000 });

async function alarmsOf(endpoint: string): Promise<readonly string[]> {
  const journal = client(endpoint);
  try {
    return (await journal.status()).alarms.map(({ code }) => code);
  } finally {
    journal.close();
  }
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`http://${url}/metrics`)).text();
  return Number(new RegExp(`^${name} (.+)$`, 'mu').exec(text)?.[1]);
}

test('a replica that differs raises an alarm, boots no node, does not lead, and is rebuilt with one command', async () => {
  const cluster = await TestCluster.start({ nodes: 3, flags: ['--digest-interval', '200ms'] });
  const everywhere = new JournalClient({ endpoints: cluster.places.map(({ grpc }) => grpc) });
  try {
    for (let round = 0; round < 5; round += 1)
      await everywhere.append(aCommit(vcluster('ml'), { kernel: { 'vm.swappiness': String(round) } }));
    const leader = await cluster.leader();
    const victim = cluster.running.find((node) => node !== leader);
    if (victim === undefined) throw new Error('there is a follower');
    const { place } = victim;
    const others = cluster.places.filter(({ id }) => id !== place.id);
    // Equal replicas find each other equal.
    await vi.waitFor(
      async () =>
        expect(await metric(place.metrics, 'pact_replica_digest_compared_index')).toBeGreaterThan(5),
      { timeout: 20_000 },
    );
    await runHere(['--endpoint', place.grpc, 'snapshot']);
    await victim.kill('SIGKILL');
    // What is not there is not proven.
    const partly = ['--endpoint', leader.place.grpc, 'verify'];
    const silent = `node ${String(place.id)} does not answer`;
    const inWords = await runHere(partly);
    expect(inWords).toMatchObject({ code: 3 });
    expect(inWords.stdout).toContain('not proven');
    expect(failureLine(inWords)).toContain(silent);
    const asJson = await runHere([...partly, '--json']);
    expect(asJson).toMatchObject({ code: 3 });
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      ok: false,
      findings: [],
      unchecked: [expect.stringContaining(silent)],
    });
    await plantDivergence(place.dataDir);
    cluster.startNode(place.id);

    await vi.waitFor(async () => expect(await alarmsOf(place.grpc)).toContain('digestMismatch'), {
      timeout: 20_000,
    });
    expect(await metric(place.metrics, 'pact_replica_digest_mismatch')).toBe(1);
    for (const other of others) {
      await vi.waitFor(async () => expect(await alarmsOf(other.grpc)).toContain('replicaDiffers'), {
        timeout: 20_000,
      });
      expect(await metric(other.metrics, 'pact_replica_digest_mismatch')).toBe(0);
    }
    const boot = await runHere(['--endpoint', place.grpc, 'boot', 'n1', '--vcluster', 'ml']);
    expect(boot).toMatchObject({ code: 3, stdout: '' });
    expect((await fetch(`http://${place.metrics}/ready`)).status).toBe(503);
    const elsewhere = cluster.places.flatMap(({ grpc }) => ['--endpoint', grpc]);
    expect((await runHere([...elsewhere, 'boot', 'n1', '--vcluster', 'ml'])).code).toBe(0);
    const verified = await runHere(['--endpoint', place.grpc, 'verify', '--json']);
    expect(verified.code).toBe(5);

    // It leaves it to the others to succeed a leader that dies.
    await leader.kill('SIGKILL');
    const third = others.find(({ id }) => id !== leader.place.id)?.id;
    await vi.waitFor(async () => expect((await everywhere.status()).leader_id).toBe(third), {
      timeout: 20_000,
    });
    expect(await metric(place.metrics, 'pact_raft_elections_total')).toBe(0);
    cluster.startNode(leader.place.id);
    await cluster.leader();

    // Were it made to lead, it would hand leadership on at once.
    await runHere([...elsewhere, 'member', 'transfer', String(place.id)]);
    await vi.waitFor(
      async () => {
        const { leader_id: id } = await everywhere.status();
        expect(others.map((other) => other.id)).toContain(id);
      },
      { timeout: 20_000 },
    );

    const rebuilt = await runCli([
      '--endpoint',
      others[0]?.grpc ?? '',
      'member',
      'rebuild',
      String(place.id),
      '--json',
    ]);
    expect(rebuilt, rebuilt.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(rebuilt.stdout)).toMatchObject({ node_id: place.id, equal: true });
    await vi.waitFor(async () => expect(await alarmsOf(place.grpc)).toEqual([]), { timeout: 20_000 });
    for (const other of others)
      await vi.waitFor(async () => expect(await alarmsOf(other.grpc)).toEqual([]), { timeout: 20_000 });
    await everywhere.append(aCommit(vcluster('ml'), { kernel: { 'vm.swappiness': 'last' } }));
    expect((await runHere(['--endpoint', place.grpc, 'boot', 'n1', '--vcluster', 'ml'])).code).toBe(0);
    expect(JSON.parse((await runHere(['--endpoint', place.grpc, 'verify', '--json'])).stdout)).toMatchObject({
      ok: true,
    });
    // It is the same node still, and starts from what it was given.
    await cluster.node(place.id).kill('SIGTERM');
    expect(cluster.node(place.id).announcements).toBe(1);
    cluster.startNode(place.id);
    await vi.waitFor(async () => expect(await alarmsOf(place.grpc)).toEqual([]), { timeout: 20_000 });
  } finally {
    everywhere.close();
    await cluster.stop();
  }
}, 120_000);

test('the same command rebuilds a replica where members speak TLS and check who calls', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pact-rebuild-'));
  const folder = join(directory, 'certs');
  await initCerts({ folder, clusterId: 'pact', members: [1, 2, 3], hosts: [], nodes: [], days: 2 });
  const provider = await OpenIdProvider.start();
  const variables = (id: number): Readonly<Record<string, string>> =>
    Object.fromEntries(
      Object.entries(protection(folder, id)).map(([flag, path]) => [
        `PACT_JOURNAL_${flag.toUpperCase().replaceAll('-', '_')}`,
        path,
      ]),
    );
  const cluster = await TestCluster.start({
    nodes: 3,
    flags: ['--digest-interval', '200ms', '--auth-issuer', provider.issuer],
    env: variables,
  });
  try {
    const token = await provider.token({ pact_role: ['pact-platform-admin'] }, { subject: 'admin' });
    const cli = (endpoint: string, ...args: string[]): ReturnType<typeof runCli> =>
      runCli(['--endpoint', endpoint, '--ca', join(folder, 'server-ca.pem'), '--token', token, ...args]);
    const leader = await cluster.leader();
    const victim = cluster.running.find((node) => node !== leader);
    if (victim === undefined) throw new Error('there is a follower');
    const { place } = victim;
    expect(await cli(place.grpc, 'snapshot')).toMatchObject({ code: 0 });
    await victim.kill('SIGKILL');
    await plantDivergence(place.dataDir);
    cluster.startNode(place.id);
    const mismatch = async (expected: number): Promise<void> => {
      const gone = async (): Promise<void> =>
        expect(await metric(place.metrics, 'pact_replica_digest_mismatch')).toBe(expected);
      await vi.waitFor(gone, { timeout: 20_000 });
    };
    await mismatch(1);
    const rebuilt = await cli(leader.place.grpc, 'member', 'rebuild', String(place.id), '--json');
    expect(rebuilt, rebuilt.stderr).toMatchObject({ code: 0 });
    expect(JSON.parse(rebuilt.stdout)).toMatchObject({ node_id: place.id, equal: true });
    await mismatch(0);
  } finally {
    await cluster.stop();
    await provider.stop();
    rmSync(directory, { recursive: true });
  }
}, 120_000);

test('members that speak TLS and check who calls compare their digests all the same', async () => {
  const cluster = await SecuredCluster.start({ nodes: 3, flags: { 'digest-interval': '200ms' } });
  try {
    for (const { metrics } of cluster.nodes) {
      await vi.waitFor(
        async () => expect(await metric(metrics, 'pact_replica_digest_compared_index')).toBeGreaterThan(0),
        { timeout: 20_000 },
      );
    }
  } finally {
    await cluster.stop();
  }
}, 60_000);
