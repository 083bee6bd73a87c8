/** Connections before they are taken up: real sockets on loopback. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Arrivals } from '../src/front/arrivals.ts';
import { busy } from './support/busy.ts';

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function start(options: { readonly patienceMs?: number; readonly workMs?: number } = {}): Promise<{
  readonly arrivals: Arrivals;
  readonly taken: Socket[];
  readonly accepted: () => number;
  readonly knock: () => Promise<Socket>;
}> {
  const taken: Socket[] = [];
  const arrivals = new Arrivals(options.patienceMs ?? 60_000, (socket) => {
    busy(options.workMs ?? 0);
    taken.push(socket);
  });
  let accepted = 0;
  const server = createServer((socket) => {
    accepted += 1;
    cleanups.push(() => socket.destroy());
    arrivals.add(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  cleanups.push(() => server.close());
  const { port } = server.address() as AddressInfo;
  const knock = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    cleanups.push(() => socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  return { arrivals, taken, accepted: () => accepted, knock };
}

describe('a connection that arrives', () => {
  it('is taken up with what its client said, once it has said something', async () => {
    const { taken, accepted, knock } = await start();
    const silent = await knock();
    const talking = await knock();
    talking.write('hello');
    await expect.poll(() => taken.length).toBe(1);
    expect(String(taken[0]?.read())).toBe('hello');
    expect(accepted()).toBe(2);
    silent.write('me too');
    await expect.poll(() => taken.length).toBe(2);
  });

  it('leaves others their turns of the event loop, however many arrive with it', async () => {
    const { taken, knock } = await start({ workMs: 3 });
    const sockets = await Promise.all(Array.from({ length: 30 }, knock));
    for (const socket of sockets) socket.write('hello');
    let most = 0;
    for (let before = 0; taken.length < sockets.length; before = taken.length) {
      await new Promise(setImmediate);
      most = Math.max(most, taken.length - before);
    }
    expect(most, 'taken up in one turn').toBeLessThan(4);
  });

  it('is dropped when it has said nothing for too long, or goes away before it says anything', async () => {
    const { taken, accepted, knock } = await start({ patienceMs: 50 });
    await once(await knock(), 'close');
    const leaving = await knock();
    leaving.end();
    await once(leaving, 'close');
    (await knock()).resetAndDestroy();
    await expect.poll(accepted).toBe(3);
    expect(taken).toEqual([]);
  });

  it('is dropped when the server closes, also while it waits for its turn', async () => {
    const { arrivals, taken, accepted, knock } = await start({ workMs: 3 });
    const sockets = await Promise.all(Array.from({ length: 10 }, knock));
    await expect.poll(accepted).toBe(10);
    const closed = Promise.all(sockets.slice(1).map((socket) => once(socket, 'close')));
    sockets[0]?.write('hello');
    await expect.poll(() => taken.length).toBe(1);
    arrivals.close();
    await closed;
    expect(taken).toHaveLength(1);
  });
});
