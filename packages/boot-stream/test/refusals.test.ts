import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Refusals } from '../src/front/refusals.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** A listener that turns everybody away. */
async function start(
  connectionsMax = 32_768,
): Promise<{ refusals: Refusals; server: Server; knock: () => Socket }> {
  const refusals = new Refusals(connectionsMax);
  const server = createServer((socket) => refusals.add(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  cleanups.push(() => {
    refusals.close();
    server.close();
  });
  const knock = (): Socket => {
    const client = connect(port, '127.0.0.1').on('error', () => undefined);
    cleanups.push(() => client.destroy());
    return client.resume();
  };
  return { refusals, server, knock };
}

function connectionsOf(server: Server): Promise<number> {
  return new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
}

describe('a connection that is turned away', () => {
  it('waits for its reset, whatever it sends meanwhile', async () => {
    const { server, knock } = await start();
    const client = knock();
    client.write(Buffer.alloc(1024 * 1024));
    const failed = new Promise<NodeJS.ErrnoException>((resolve) => client.once('error', resolve));
    await expect.poll(() => connectionsOf(server)).toBe(1);
    expect((await failed).code).toMatch(/^(ECONNRESET|EPIPE)$/);
    await expect.poll(() => connectionsOf(server)).toBe(0);
  });

  it('is reset at once where 256 wait already', async () => {
    const { refusals, server, knock } = await start();
    for (let count = 0; count < 256; count += 1) knock();
    await expect.poll(() => refusals.delays(Infinity)).toBe(false);
    await new Promise((resolve) => knock().once('close', resolve));
    expect(await connectionsOf(server)).toBe(256);
  });

  it('takes no more than a sixteenth of the places that a listener has', async () => {
    const { refusals, knock } = await start(32);
    knock();
    await new Promise((resolve) => knock().once('connect', resolve));
    await expect.poll(() => refusals.delays(Infinity)).toBe(false);
    const client = knock();
    await new Promise((resolve) => client.once('close', resolve));
  });

  it('is reset at once for a second after one has left early: who does not wait is not kept by it', async () => {
    const { refusals, server, knock } = await start();
    const client = knock();
    await expect.poll(() => connectionsOf(server)).toBe(1);
    client.destroy();
    await expect.poll(() => connectionsOf(server)).toBe(0);
    const leftMs = performance.now();
    expect(refusals.delays(leftMs)).toBe(false);
    expect(refusals.delays(leftMs + 1_000)).toBe(true);
  });

  it('does not keep its listener from closing', async () => {
    const { refusals, server, knock } = await start();
    knock();
    await expect.poll(() => connectionsOf(server)).toBe(1);
    const closed = once(server, 'close');
    server.close();
    refusals.close();
    await closed;
  });
});
