/** What happens while a secured server runs: credentials run out, certificates are renewed, callers want too much. */
import { copyFile, rename, writeFile } from 'node:fs/promises';
import { connect as connectHttp2, constants, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { networkInterfaces } from 'node:os';
import { connect as connectTls } from 'node:tls';
import { Metadata, status, type Client } from '@grpc/grpc-js';
import { journal, stream } from '@pact-journal/journal-proto';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { callPath, clientOf } from '../support/raw-call.ts';
import { bearer, SecuredCluster, type SecuredOptions } from '../support/secured-cluster.ts';
import { runHere } from '../cli/run-cli.ts';

const STATUS = journal.ClusterServiceDefinition.getStatus.path;
const SUBSCRIBE = stream.BootConfigServiceDefinition.subscribeConfigUpdates;
const WATCH = '/grpc.health.v1.Health/Watch';
const ADMIN = { pact_role: 'pact-platform-admin' };
const WAIT = { timeout: 10_000, interval: 20 };

let cluster: SecuredCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

async function start(options: SecuredOptions = {}): Promise<SecuredCluster> {
  cluster = await SecuredCluster.start(options);
  return cluster;
}

describe('a token that runs out', () => {
  it('ends the streams that were begun with it', async () => {
    const { provider, only, channel } = bound(await start({ flags: { 'auth-clock-skew': '0ms' } }));
    const metadata = bearer(await provider.token(ADMIN, { expiresIn: 2 }));
    const client = clientOf(only.grpc, channel());
    const watcher = SUBSCRIBE.requestSerialize({ nodeId: '', vclusterId: '', fromSequence: 0 });
    const appends = new journal.JournalAppendServiceClient(only.grpc, channel()).appendStream(metadata);
    const appendEnd = new Promise<number>((resolve) => {
      appends.on('error', (error: Error & { readonly code?: number }) => {
        resolve(error.code ?? 0);
      });
      appends.on('data', () => undefined);
    });
    const ended = await Promise.all([
      callPath(client, SUBSCRIBE.path, watcher, metadata),
      callPath(client, WATCH, undefined, metadata),
    ]);
    for (const end of ended)
      expect(end).toMatchObject({
        code: status.UNAUTHENTICATED,
        details: expect.stringContaining('expired') as string,
      });
    expect(await appendEnd).toBe(status.UNAUTHENTICATED);
    expect(await callPath(client, STATUS, undefined, metadata)).toMatchObject({ reason: 'tokenExpired' });
    client.close();
  });
});

describe('certificates', () => {
  it('are taken from their files again while the server runs, those of members too', async () => {
    const running = await start();
    const { only, file } = bound(running);
    const serial = async (port: string, servername: string, ca: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const [host = '', number] = port.split(':');
        const socket = connectTls({
          host,
          port: Number(number),
          servername,
          ca,
          checkServerIdentity: () => undefined,
          rejectUnauthorized: false,
        });
        socket.once('secureConnect', () => {
          resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
          socket.destroy();
        });
        socket.once('error', reject);
      });
    const [server, peer] = [await running.authority('server-ca'), await running.authority('peer-ca')];
    const before = await Promise.all([
      serial(only.grpc, 'localhost', server.cert),
      serial(only.raft, 'localhost', peer.cert),
    ]);
    const [renewedServer, renewedPeer] = [
      await server.issue({ commonName: 'new', dns: ['localhost'], ips: ['127.0.0.1'], usages: ['server'] }),
      await peer.issue({
        commonName: 'new',
        uris: ['pact://secured/member/1'],
        usages: ['server', 'client'],
      }),
    ];
    // A key without its certificate is not used: the old ones stay.
    await writeFile(file('member-1/server.key'), renewedServer.key);
    await vi.waitFor(() => {
      expect(only.log.join('')).toContain('is not the key of the certificate');
    }, WAIT);
    expect(await serial(only.grpc, 'localhost', server.cert)).toBe(before[0]);
    await writeFile(file('member-1/new.pem'), renewedServer.cert);
    await rename(file('member-1/new.pem'), file('member-1/server.pem'));
    await writeFile(file('member-1/peer.key'), renewedPeer.key);
    await writeFile(file('member-1/peer.pem'), renewedPeer.cert);
    await vi.waitFor(async () => {
      const after = [
        await serial(only.grpc, 'localhost', server.cert),
        await serial(only.raft, 'localhost', peer.cert),
      ];
      expect(after[0]).not.toBe(before[0]);
      expect(after[1]).not.toBe(before[1]);
    }, WAIT);
    expect(only.log.join('')).not.toContain('PRIVATE KEY');
  });

  it('of an authority that is no longer trusted let nobody in', async () => {
    const running = await start();
    const { only, file, channel, identity } = bound(running);
    const client = clientOf(only.grpc, channel(identity('node-node-1/client')));
    expect(await callPath(client, WATCH.replace('Watch', 'Check'))).toMatchObject({ code: status.OK });
    client.close();
    await copyFile(file('server-ca.pem'), file('client-ca.pem'));
    await vi.waitFor(async () => {
      const again = clientOf(only.grpc, channel(identity('node-node-1/client')));
      const { reason } = await callPath(again, STATUS);
      again.close();
      expect(reason).toBe('certificateUntrusted');
    }, WAIT);
  });
});

describe('limits', () => {
  it('a caller may have so many calls open, on however many connections', async () => {
    const { provider, only, channel } = bound(await start({ flags: { 'max-streams-per-identity': '3' } }));
    const [alice, bob] = [
      bearer(await provider.token(ADMIN, { subject: 'alice' })),
      bearer(await provider.token(ADMIN, { subject: 'bob' })),
    ];
    const clients = Array.from({ length: 4 }, () => clientOf(only.grpc, channel()));
    const watcher = SUBSCRIBE.requestSerialize({ nodeId: '', vclusterId: '', fromSequence: 0 });
    // The call below may have taken a place that one of these wants.
    const watch = async (client: Client): Promise<void> => {
      const { code } = await callPath(client, SUBSCRIBE.path, watcher, alice, 8_000);
      if (code === status.RESOURCE_EXHAUSTED) await watch(client);
    };
    const open = clients.slice(0, 3).map(watch);
    const again = bearer(await provider.token(ADMIN, { subject: 'alice' }));
    await vi.waitFor(async () => {
      expect(await callPath(clients[3] ?? fail(), STATUS, undefined, again)).toMatchObject({
        code: status.RESOURCE_EXHAUSTED,
        reason: 'tooManyStreams',
      });
    }, WAIT);
    expect(await callPath(clients[3] ?? fail(), STATUS, undefined, bob)).toMatchObject({ code: status.OK });
    await Promise.all(open);
    await vi.waitFor(async () => {
      expect(await callPath(clients[3] ?? fail(), STATUS, undefined, again)).toMatchObject({
        code: status.OK,
      });
    }, WAIT);
    for (const client of clients) client.close();
  });

  it('a connection may have so many, and headers so much in them', async () => {
    const running = await start({ flags: { 'max-streams-per-connection': '5', 'max-header-size': '4KiB' } });
    const session = await sessionTo(running);
    expect(session.remoteSettings).toMatchObject({ maxConcurrentStreams: 5, maxHeaderListSize: 4_096 });
    const flood = session.request({
      ...POST,
      [constants.HTTP2_HEADER_PATH]: STATUS,
      big: 'x'.repeat(200_000),
    });
    flood.on('error', () => undefined);
    await new Promise((resolve) => flood.once('close', resolve));
    expect(flood.sentHeaders).toBeDefined();
    session.destroy();
    await stillServes(running);
  });

  it('a connection that says nothing, or does nothing, is closed', async () => {
    const running = await start({ flags: { 'handshake-timeout': '300ms', 'idle-timeout': '1s' } });
    const [host = '', port] = running.only.grpc.split(':');
    const silent = connectTcp(Number(port), host);
    silent.on('error', () => undefined);
    await new Promise((resolve) => silent.once('close', resolve));
    const mute = connectTls({ ...running.tls(), host, port: Number(port), ALPNProtocols: ['h2'] });
    mute.on('error', () => undefined).resume();
    await new Promise((resolve) => mute.once('close', resolve));
    const session = await sessionTo(running);
    await new Promise((resolve) => session.once('close', resolve));
    await stillServes(running);
  });

  it('streams that are opened and reset at once end the connection, and nobody else notices', async () => {
    const running = await start();
    const bystander = clientOf(running.only.grpc, running.channel());
    const admin = await running.as('pact-platform-admin');
    expect(await callPath(bystander, STATUS, undefined, admin)).toMatchObject({ code: status.OK });
    const session = await sessionTo(running);
    const closed = new Promise((resolve) => session.once('close', resolve));
    const [authorization] = admin.get('authorization');
    const headers = { ...POST, [constants.HTTP2_HEADER_PATH]: WATCH, authorization: String(authorization) };
    let opened = 0;
    while (!session.destroyed && !session.closed) {
      const batch = Array.from({ length: 100 }, () => session.request(headers).on('error', () => undefined));
      opened += batch.length;
      // A round trip later the server has all of them.
      await Promise.race([new Promise((resolve) => session.ping(resolve)), closed]);
      for (const request of batch) request.close(constants.NGHTTP2_CANCEL);
    }
    expect(opened).toBeLessThan(5_000);
    await closed;
    expect(await callPath(bystander, STATUS, undefined, admin)).toMatchObject({ code: status.OK });
    bystander.close();
  });
});

describe('floods', () => {
  const CALL = { ...POST, [constants.HTTP2_HEADER_PATH]: STATUS } as const;

  it('of headers that are too large end the connection and turn its address away, and the server can stop', async () => {
    const running = await start({ flags: { 'max-header-size': '4KiB' } });
    const client = clientOf(running.only.grpc, running.channel());
    const admin = await running.as('pact-platform-admin');
    expect(await callPath(client, STATUS, undefined, admin)).toMatchObject({ code: status.OK });
    const session = connectHttp2(`https://localhost:${running.only.grpc.split(':')[1] ?? ''}`, {
      ...running.tls(),
      maxSendHeaderBlockLength: 1024 * 1024,
    });
    const closed = new Promise((resolve) => session.on('error', () => undefined).once('close', resolve));
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    const big = Object.fromEntries(
      Array.from({ length: 60 }, (_, at) => [`x-${String(at)}`, 'y'.repeat(1_000)]),
    );
    for (let count = 0; count < 100; count += 1)
      session.request({ ...CALL, ...big }).on('error', () => undefined);
    await closed;
    const again = connectHttp2(`https://localhost:${running.only.grpc.split(':')[1] ?? ''}`, running.tls());
    await new Promise((resolve) => again.on('error', () => undefined).once('close', resolve));
    // Who was there before goes on.
    expect(await callPath(client, STATUS, undefined, admin)).toMatchObject({ code: status.OK });
    client.close();
  });

  it('of calls whose answers nobody reads end the connection, and are counted', async () => {
    const running = await start({ flags: { 'stall-timeout': '400ms' } });
    const { authorization } = (await running.as('pact-platform-admin')).getMap();
    const session = await sessionTo(running, { initialWindowSize: 0 });
    const closed = new Promise((resolve) => session.once('close', resolve));
    const request = session.request({ ...CALL, authorization: String(authorization) });
    request.on('error', () => undefined).end(Buffer.alloc(5));
    await closed;
    await vi.waitFor(async () => {
      expect(await running.failures()).toMatchObject({ stalled: 1 });
    }, WAIT);
    await stillServes(running);
  });

  it('of connections are turned away before their handshake, and who is connected goes on', async () => {
    const running = await start({ flags: { 'connection-rate-per-address': '1' } });
    const client = clientOf(running.only.grpc, running.channel());
    const admin = await running.as('pact-platform-admin');
    expect(await callPath(client, STATUS, undefined, admin)).toMatchObject({ code: status.OK });
    const [host = '', port] = running.only.grpc.split(':');
    const knock = (): Promise<boolean> =>
      new Promise((resolve) => {
        const socket = connectTls({ ...running.tls(), host, port: Number(port), ALPNProtocols: ['h2'] });
        socket.once('secureConnect', () => {
          resolve(true);
          socket.destroy();
        });
        socket.once('error', () => {
          resolve(false);
        });
      });
    const outcomes = await Promise.all(Array.from({ length: 40 }, () => knock()));
    expect(outcomes.filter(Boolean).length).toBeGreaterThanOrEqual(10);
    expect(outcomes.filter((admitted) => !admitted).length).toBeGreaterThanOrEqual(10);
    expect(await callPath(client, STATUS, undefined, admin)).toMatchObject({ code: status.OK });
    client.close();
  });
});

describe('handshakes that nobody needs', () => {
  it('have their address turned away, and who is connected goes on', async () => {
    const running = await start();
    const client = clientOf(running.only.grpc, running.channel());
    const admin = await running.as('pact-platform-admin');
    expect(await callPath(client, STATUS, undefined, admin)).toMatchObject({ code: status.OK });
    const [host = '', port] = running.only.grpc.split(':');
    const shakeAndLeave = (): Promise<boolean> =>
      new Promise((resolve) => {
        const socket = connectTls({ ...running.tls(), host, port: Number(port), ALPNProtocols: ['h2'] });
        socket.once('secureConnect', () => socket.destroy());
        socket.once('error', () => undefined);
        socket.once('close', (hadError) => {
          resolve(!hadError);
        });
      });
    let shaken = 0;
    while (shaken < 500 && (await shakeAndLeave())) shaken += 1;
    expect(shaken).toBeGreaterThanOrEqual(32);
    expect(shaken).toBeLessThan(200);
    const metrics = await (await fetch(`http://${running.only.metrics}/metrics`)).text();
    expect(metrics).toMatch(/pact_auth_failures_total\{reason="flood"\} 1/);
    expect(await callPath(client, STATUS, undefined, admin)).toMatchObject({ code: status.OK });
    client.close();
  });

  it('are not made for who connects and says nothing, and others shake hands meanwhile', async () => {
    const running = await start();
    const [host = '', port] = running.only.grpc.split(':');
    const silent = Array.from({ length: 300 }, () =>
      connectTcp(Number(port), host).on('error', () => undefined),
    );
    await Promise.all(silent.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    await stillServes(running);
    for (const socket of silent) socket.destroy();
  });
});

describe('a scan of an installation that others can reach', () => {
  const address = Object.values(networkInterfaces())
    .flat()
    .find((one) => one !== undefined && !one.internal && one.family === 'IPv4')?.address;

  it.skipIf(address === undefined)(
    'finds nothing that answers without credentials but what must',
    async () => {
      const on = (port: number): string => `${address ?? ''}:${String(port)}`;
      const ports = { grpc: 21_443, raft: 21_444, metrics: 21_091 };
      const running = await start({
        flags: {
          'listen-grpc': on(ports.grpc),
          'listen-raft': on(ports.raft),
          'listen-metrics': on(ports.metrics),
        },
      });
      const answers = new Map<string, number>();
      for (const path of [
        '/',
        '/health',
        '/ready',
        '/auth/discovery',
        '/metrics',
        '/discovery',
        '/debug',
        '/config',
      ])
        answers.set(path, (await fetch(`http://${on(ports.metrics)}${path}`)).status);
      expect(Object.fromEntries(answers)).toEqual({
        '/': 404,
        '/health': 200,
        '/ready': expect.toBeOneOf([200, 503]) as number,
        '/auth/discovery': 200,
        '/metrics': 403,
        '/discovery': 403,
        '/debug': 404,
        '/config': 404,
      });
      const client = clientOf(on(ports.grpc), running.channel({}), 'localhost');
      const { ROLES } = await import('../../src/auth/roles.ts');
      for (const path of [...ROLES.map((row) => row.path), '/x/Y', '/raft.v1.RaftTransportService/Send'])
        expect(await callPath(client, path, undefined, new Metadata()), path).toMatchObject({
          code: status.UNAUTHENTICATED,
        });
      client.close();
      const raft = clientOf(on(ports.raft), running.channel({}));
      expect(
        await callPath(raft, '/raft.v1.RaftTransportService/Send', undefined, new Metadata(), 2_000),
      ).toMatchObject({
        code: status.UNAVAILABLE,
      });
      raft.close();
      for (const port of [ports.grpc, ports.raft]) expect(await plainAnswer(on(port))).not.toMatch(/HTTP|\0/);
    },
  );
});

describe('the command line', () => {
  it('says what is wrong: no token, a stranger of a server, an expired certificate, a role too small', async () => {
    const running = await start();
    const { only, file, provider } = bound(running);
    const base = ['status', '--endpoint', only.grpc.replace('127.0.0.1', 'localhost')];
    const ca = ['--ca', file('server-ca.pem')];
    const run = async (...more: string[]): Promise<readonly [number | null, string]> => {
      const { code, stderr } = await runHere([...base, ...more]);
      return [code, stderr];
    };
    const admin = await provider.token(ADMIN);
    expect(await run(...ca, '--token', admin)).toEqual([0, '']);
    expect(await run(...ca)).toEqual([4, expect.stringContaining('log in and send a token')]);
    expect(await run('--token', admin)).toEqual([3, expect.stringContaining('name its authority with --ca')]);
    expect(await run('--tls', '--token', admin)).toEqual([
      4,
      expect.stringContaining('authority that is not trusted here'),
    ]);
    expect(await run('--ca', file('peer-ca.pem'), '--token', admin)).toEqual([
      4,
      expect.stringContaining('not trusted here'),
    ]);
    expect(await run('--ca', file('none.pem'))).toEqual([2, expect.stringContaining('--ca: cannot be read')]);
    expect(await run(...ca, '--cert', file('node-node-1/client.pem'))).toEqual([
      2,
      expect.stringContaining('both --cert and --key'),
    ]);
    expect(await run(...ca, '--token', await provider.token(ADMIN, { expiresIn: -600 }))).toEqual([
      4,
      expect.stringContaining('the token has expired'),
    ]);
    const authority = await running.authority('client-ca');
    const past = await authority.issue({
      commonName: 'node-1',
      uris: ['pact://secured/node/node-1'],
      usages: ['client'],
      notBeforeMs: Date.now() - 7_200_000,
      notAfterMs: Date.now() - 3_600_000,
    });
    await writeFile(file('past.pem'), past.cert);
    await writeFile(file('past.key'), past.key);
    expect(await run(...ca, '--cert', file('past.pem'), '--key', file('past.key'))).toEqual([
      4,
      expect.stringContaining('client certificate has expired'),
    ]);
    const viewer = await provider.token({ pact_role: 'pact-viewer-ml' });
    const { code, stderr } = await runHere(['snapshot', ...base.slice(1), ...ca, '--token', viewer]);
    expect([code, stderr]).toEqual([4, expect.stringContaining('may not call')]);
  });
});

const POST = {
  [constants.HTTP2_HEADER_METHOD]: 'POST',
  [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
} as const;

async function sessionTo(running: SecuredCluster, settings = {}): Promise<ClientHttp2Session> {
  const url = `https://localhost:${running.only.grpc.split(':')[1] ?? ''}`;
  const session = connectHttp2(url, { ...running.tls(), settings });
  session.on('error', () => undefined);
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  return session;
}

async function stillServes(running: SecuredCluster): Promise<void> {
  const client = clientOf(running.only.grpc, running.channel());
  expect(await callPath(client, STATUS, undefined, await running.as('pact-platform-admin'))).toMatchObject({
    code: status.OK,
  });
  client.close();
}

/** What somebody gets who speaks HTTP/1.1 in plain text. */
function plainAnswer(address: string): Promise<string> {
  const [host = '', port] = address.split(':');
  return new Promise((resolve) => {
    let answer = '';
    const socket = connectTcp(Number(port), host, () => socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'));
    socket.on('data', (piece) => (answer += piece.toString('hex')));
    socket.on('error', () => undefined);
    socket.once('close', () => {
      resolve(answer);
    });
  });
}

function fail(): never {
  throw new Error('there is one');
}

/** Methods that can be handed around. */
function bound(
  running: SecuredCluster,
): Pick<SecuredCluster, 'provider' | 'only' | 'channel' | 'file' | 'identity'> {
  return {
    provider: running.provider,
    only: running.only,
    channel: (identity) => running.channel(identity),
    file: (name) => running.file(name),
    identity: (name) => running.identity(name),
  };
}
