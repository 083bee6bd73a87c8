/** What protects an installation besides its callers' credentials: certificates, limits, and what is never shown. */
import { readFileSync, statSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { journal, stream } from '@pact-journal/journal-proto';
import { afterEach, describe, expect, it } from 'vitest';
import { runHere } from '../cli/run-cli.ts';
import { callPath, clientOf } from '../support/raw-call.ts';
import { freePorts } from '../support/test-cluster.ts';
import { bearer, SecuredCluster, type SecuredOptions } from '../support/secured-cluster.ts';

const STATUS = journal.ClusterServiceDefinition.getStatus.path;
const BOOT = stream.BootConfigServiceDefinition.streamBootConfig;
const ADMIN = { pact_role: 'pact-platform-admin' };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(options: SecuredOptions = {}): Promise<SecuredCluster> {
  const cluster = await SecuredCluster.start(options);
  cleanups.push(() => cluster.stop());
  return cluster;
}

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pact-protection-'));
  cleanups.push(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('certs init', () => {
  it('makes what its flags ask for, and keeps what is there', async () => {
    const dir = await scratch();
    const flags = ['--cluster-id', 'lab', '--members', '2', '--host', 'j.example.org', '--host', '10.0.0.7'];
    const init = (...more: string[]): ReturnType<typeof runHere> =>
      runHere(['certs', 'init', '--dir', dir, ...flags, '--node', 'n1', '--days', '3', '--json', ...more]);
    const { code, stdout, stderr } = await init();
    expect([code, stderr]).toEqual([0, '']);
    const { written } = JSON.parse(stdout) as { readonly written: readonly string[] };
    const certificate = (name: string): X509Certificate =>
      new X509Certificate(readFileSync(join(dir, `${name}.pem`)));
    const names = [
      'server-ca',
      'client-ca',
      'peer-ca',
      'member-1/server',
      'member-1/peer',
      'member-2/server',
    ];
    expect(written).toEqual(
      expect.arrayContaining([...names, 'member-2/peer', 'node-n1/client'].map((name) => `${name}.pem`)),
    );
    expect(certificate('member-2/server').subjectAltName).toMatch(
      /DNS:localhost.*DNS:j\.example\.org.*IP Address:10\.0\.0\.7/,
    );
    expect(certificate('member-2/peer').subjectAltName).toBe('URI:pact://lab/member/2');
    expect(certificate('node-n1/client').subjectAltName).toBe('URI:pact://lab/node/n1');
    for (const [name, authority] of [
      ['member-1/server', 'server-ca'],
      ['member-1/peer', 'peer-ca'],
      ['node-n1/client', 'client-ca'],
    ] as const)
      expect(certificate(name).verify(certificate(authority).publicKey)).toBe(true);
    const days = (certificate('node-n1/client').validToDate.getTime() - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(2.9);
    expect(days).toBeLessThanOrEqual(3);
    for (const name of written.filter((file) => file.endsWith('.key')))
      expect(statSync(join(dir, name)).mode & 0o077, name).toBe(0);

    const before = readFileSync(join(dir, 'peer-ca.key'), 'utf8');
    const again = JSON.parse((await init('--node', 'n2')).stdout) as {
      readonly written: readonly string[];
      readonly kept: readonly string[];
    };
    expect(again.written).toEqual(['node-n2/client.pem', 'node-n2/client.key']);
    expect(again.kept).toContain('peer-ca.pem');
    expect(readFileSync(join(dir, 'peer-ca.key'), 'utf8')).toBe(before);
  });

  it.each([
    ['a node whose name would be a path', ['--node', '../n1']],
    ['no members', ['--members', '0']],
    ['days that are none', ['--days', 'soon']],
  ])('refuses %s as a mistake of usage', async (_, flags) => {
    const dir = join(await scratch(), 'certs');
    expect((await runHere(['certs', 'init', '--dir', dir, ...flags])).code).toBe(2);
    expect(() => statSync(dir)).toThrow();
  });
});

describe('the same authority for members and compute nodes', () => {
  it('is refused at the start: a compute node could be a member', async () => {
    const dir = await scratch();
    await runHere(['certs', 'init', '--dir', dir, '--members', '1']);
    const first = await freePorts(3);
    const { code, stderr } = await runHere([
      'serve',
      '--data-dir',
      join(dir, 'data'),
      ...['grpc', 'raft', 'metrics'].map((port, at) => `--listen-${port}=127.0.0.1:${String(first + at)}`),
      `--tls-cert=${join(dir, 'member-1/server.pem')}`,
      `--tls-key=${join(dir, 'member-1/server.key')}`,
      `--peer-cert=${join(dir, 'member-1/peer.pem')}`,
      `--peer-key=${join(dir, 'member-1/peer.key')}`,
      `--peer-ca=${join(dir, 'peer-ca.pem')}`,
      `--tls-client-ca=${join(dir, 'peer-ca.pem')}`,
    ]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('hold the same authority');
  });
});

describe('a token that runs out', () => {
  it('ends a boot that was begun with it', async () => {
    const { provider, only, channel } = bound(await start({ flags: { 'auth-clock-skew': '0ms' } }));
    const metadata = bearer(await provider.token(ADMIN, { expiresIn: 2 }));
    // It waits for what this replica has not applied, and for longer than the token is good.
    metadata.set('x-pact-min-sequence', '999');
    const client = clientOf(only.grpc, channel());
    const request = BOOT.requestSerialize({
      nodeId: 'node-1',
      vclusterId: 'ml',
      lastKnownVersion: undefined,
    });
    expect(await callPath(client, BOOT.path, request, metadata)).toMatchObject({
      code: status.UNAUTHENTICATED,
      details: expect.stringContaining('expired') as string,
    });
    client.close();
  });
});

describe('limits', () => {
  it('a request may be so large, whoever answers it, and the connection goes on', async () => {
    const running = await start({ flags: { 'max-message-size': '64KiB' } });
    const { only, channel } = bound(running);
    const client = clientOf(only.grpc, channel());
    const admin = await running.as('pact-platform-admin');
    const large = Buffer.alloc(100_000, 1);
    // Answered by the front itself, and by grpc-js behind it.
    for (const path of [
      journal.ConfigServiceDefinition.appendEntry.path,
      journal.JournalAppendServiceDefinition.appendStream.path,
      BOOT.path,
    ])
      expect(await callPath(client, path, large, admin), path).toMatchObject({
        code: status.RESOURCE_EXHAUSTED,
      });
    expect(await callPath(client, STATUS, undefined, admin)).toMatchObject({ code: status.OK });
    client.close();
  });
});

describe('secrets', () => {
  it('are neither in the metrics nor in what config check prints', async () => {
    const running = await start();
    const { provider, only, channel, file } = bound(running);
    const token = await provider.token(ADMIN);
    const client = clientOf(only.grpc, channel());
    expect(await callPath(client, STATUS, undefined, bearer(token))).toMatchObject({ code: status.OK });
    const forged = `${token.slice(0, -8)}AAAAAAAA`;
    expect(await callPath(client, STATUS, undefined, bearer(forged))).toMatchObject({
      code: status.UNAUTHENTICATED,
    });
    client.close();
    const metrics = await (await fetch(`http://${only.metrics}/metrics`)).text();
    const key = file('member-1/server.key');
    const flags = ['--tls-cert', file('member-1/server.pem'), '--tls-key', key];
    const environment = { env: { PACT_TOKEN: token } };
    const checks = await Promise.all([
      runHere(['config', 'check', ...flags], environment),
      runHere(['config', 'check', '--json', ...flags], environment),
    ]);
    const [, inKey = ''] = readFileSync(key, 'utf8').split('\n');
    expect(metrics).toContain('pact_auth_failures_total');
    expect(checks.map(({ code }) => code)).toEqual([0, 0]);
    for (const text of [metrics, ...checks.map(({ stdout, stderr }) => stdout + stderr)]) {
      for (const secret of [token, forged, 'PRIVATE KEY', inKey, 'alice@example.org'])
        expect(text).not.toContain(secret);
    }
    expect(checks[1].stdout).toContain(key);
  });
});

describe('--insecure', () => {
  it('is shown in the status, for people and for programs', async () => {
    const running = await start({ flags: { insecure: 'true' } });
    const { only } = bound(running);
    const args = await statusArgs(running);
    expect((await runHere(args)).stdout).toMatch(/INSECURE\s+node 1: started with --insecure/);
    expect(JSON.parse((await runHere([...args, '--json'])).stdout)).toMatchObject({
      insecure: true,
      members: [{ id: 1, insecure: true }],
    });
    expect(only.log.join('')).toContain('INSECURE');
  });

  it('is not shown where it was not given', async () => {
    const running = await start();
    const { stdout } = await runHere(await statusArgs(running));
    expect(stdout).toContain('leader');
    expect(stdout).not.toContain('INSECURE');
  });
});

/** `pact-journal status` of the only node by an administrator. */
async function statusArgs(running: SecuredCluster): Promise<readonly string[]> {
  const { only, file, provider } = bound(running);
  const endpoint = only.grpc.replace('127.0.0.1', 'localhost');
  const token = await provider.token(ADMIN);
  return ['status', '--endpoint', endpoint, '--ca', file('server-ca.pem'), '--token', token];
}

/** Methods that can be handed around. */
function bound(running: SecuredCluster): Pick<SecuredCluster, 'provider' | 'only' | 'channel' | 'file'> {
  return {
    provider: running.provider,
    only: running.only,
    channel: (identity) => running.channel(identity),
    file: (name) => running.file(name),
  };
}
