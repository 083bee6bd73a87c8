/** That a secured server stops although its clients do not want it to. */
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { journal } from '@pact-journal/journal-proto';
import { afterEach, it } from 'vitest';
import { callPath, clientOf } from '../support/raw-call.ts';
import { SecuredCluster } from '../support/secured-cluster.ts';

const STATUS = journal.ClusterServiceDefinition.getStatus.path;

let cluster: SecuredCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

async function start(flags: Readonly<Record<string, string>> = {}): Promise<SecuredCluster> {
  cluster = await SecuredCluster.start({ flags });
  return cluster;
}

function sessionTo(running: SecuredCluster): ClientHttp2Session {
  const session = connectHttp2(`https://localhost:${running.only.grpc.split(':')[1] ?? ''}`, {
    ...running.tls(),
    maxSendHeaderBlockLength: 1024 * 1024,
  });
  return session.on('error', () => undefined);
}

it('stops after calls with headers that are too large, whose client has left at once', async () => {
  const running = await start();
  const session = sessionTo(running);
  await new Promise((resolve) => session.once('remoteSettings', resolve));
  const big = Object.fromEntries(
    Array.from({ length: 60 }, (_, at) => [`x-${String(at)}`, 'y'.repeat(1_000)]),
  );
  const call = { ':method': 'POST', ':path': STATUS, 'content-type': 'application/grpc', ...big };
  for (let count = 0; count < 15; count += 1) session.request(call).on('error', () => undefined);
  await new Promise((resolve) => session.ping(resolve));
  session.destroy();
  await running.only.server.stop();
});

it('stops while somebody does not go on with a handshake', async () => {
  const running = await start({ 'handshake-timeout': '10m', 'drain-timeout': '10m' });
  const [host = '', port] = running.only.grpc.split(':');
  const socket = connectTcp(Number(port), host).on('error', () => undefined);
  socket.write(Buffer.of(0x16, 0x03, 0x01, 0x02, 0x00)); // the first bytes of a ClientHello
  // Handshakes have their turn one after the other: the first one is under way when another one is over.
  const client = clientOf(running.only.grpc, running.channel());
  await callPath(client, STATUS, undefined, await running.as('pact-platform-admin'));
  client.close();
  await running.only.server.stop();
  socket.destroy();
});
