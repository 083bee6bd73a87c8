/** Endpoints at which somebody else listens. */
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server as NetServer } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { afterEach, expect, test } from 'vitest';
import { failureLine, runHere } from './run-cli.ts';

const COMMANDS = [['status'], ['log'], ['commit', '--global', '-f', '-'], ['boot', 'n1', '--vcluster', 'v']];
const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listen(server: NetServer): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => server.close());
  return `127.0.0.1:${String((server.address() as AddressInfo).port)}`;
}

test.each([
  ['a web server', () => createHttpServer((_request, response) => response.end('hello'))],
  [
    'a server of another protocol',
    () => createServer((socket) => socket.on('error', () => undefined).end('SSH-2.0-server\r\n')),
  ],
])('%s is not taken for nobody', async (_what, create) => {
  const endpoint = await listen(create());
  for (const args of COMMANDS) {
    const result = await runHere([...args, '--endpoint', endpoint], { stdin: '{"kernel":[]}' });
    const line = failureLine(result);
    expect(line).toContain(`${endpoint} answers, but not as a gRPC server`);
    expect(line).toContain('is that the gRPC port? the default is 9443');
    expect(line).not.toMatch(/nobody listens|is the journal running|Protocol error/u);
    expect(result).toMatchObject({ code: 3, stdout: '' });
  }
});

test('a gRPC server of other services is named, with the call that it does not know', async () => {
  const server = new Server();
  closing.push(() => server.forceShutdown());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  const endpoint = `127.0.0.1:${String(port)}`;
  for (const args of COMMANDS) {
    const result = await runHere([...args, '--endpoint', endpoint], { stdin: '{"kernel":[]}' });
    expect(failureLine(result)).toMatch(
      new RegExp(`${endpoint} answers, but not as the journal's .*/pact\\..*is that the gRPC port\\?`, 'u'),
    );
    expect(result).toMatchObject({ code: 4, stdout: '' });
  }
});
