import type { Socket } from 'node:net';
import { Slices } from '../slices.ts';

/**
 * Connections that are open and not taken up yet. One is taken up once its client has said something, and when its
 * turn comes: a thousand nodes that connect and ask in the same moment then cost one turn of the event loop no more
 * than to read what they sent.
 */
export class Arrivals {
  readonly #waiting = new Set<Socket>();
  readonly #slices = new Slices();
  readonly #patienceMs: number;
  readonly #takeUp: (socket: Socket) => void;

  /** `patienceMs`: how long a client may say nothing. `takeUp` must not throw. */
  constructor(patienceMs: number, takeUp: (socket: Socket) => void) {
    this.#patienceMs = patienceMs;
    this.#takeUp = takeUp;
  }

  add(socket: Socket): void {
    this.#waiting.add(socket);
    const drop = (): void => void socket.destroy();
    const forget = (): void => void this.#waiting.delete(socket);
    socket.once('error', drop).once('close', forget).setTimeout(this.#patienceMs, drop);
    socket.once('readable', () => {
      this.#slices.run(() => {
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
