import type { Socket } from 'node:net';
import { Slices } from '../slices.ts';

/** Runs `work` when it is the connection's turn, or never where the connection is gone by then. */
type InTurn = (socket: Socket, work: () => void) => void;

function inSlices(): InTurn {
  const slices = new Slices();
  return (socket, work) => {
    slices.run(socket.remoteAddress, work);
  };
}

/**
 * Connections that are open and not taken up yet. One is taken up once its client has said something, and when its
 * turn comes: a thousand nodes that connect and ask in the same moment then cost one turn of the event loop no more
 * than to read what they sent.
 */
export class Arrivals {
  readonly #waiting = new Set<Socket>();
  readonly #inTurn: InTurn;
  readonly #patienceMs: number;
  readonly #takeUp: (socket: Socket) => void;

  /** `patienceMs`: how long a client may say nothing. `takeUp` must not throw. Default turns: slices, addresses in turn. */
  constructor(patienceMs: number, takeUp: (socket: Socket) => void, inTurn: InTurn = inSlices()) {
    this.#patienceMs = patienceMs;
    this.#takeUp = takeUp;
    this.#inTurn = inTurn;
  }

  add(socket: Socket): void {
    this.#waiting.add(socket);
    const drop = (): void => void socket.destroy();
    const forget = (): void => void this.#waiting.delete(socket);
    socket.once('error', drop).once('close', forget).setTimeout(this.#patienceMs, drop);
    socket.once('readable', () => {
      this.#inTurn(socket, () => {
        if (!this.#waiting.delete(socket) || socket.destroyed) return;
        socket.off('error', drop).off('close', forget).setTimeout(0, drop);
        if (socket.readableLength > 0) this.#takeUp(socket);
        else drop(); // it has closed its end
      });
    });
  }

  /** Drops them all. */
  close(): void {
    for (const socket of this.#waiting) socket.destroy();
  }
}
