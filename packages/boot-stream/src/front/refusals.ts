import type { Socket } from 'node:net';

/** How long who is turned away waits for it, in ms: as soon as it knows, it comes again. */
const DELAY_MS = 1_000;
/**
 * How many wait at once, and of how many connections that there may be one may wait. Each has a descriptor and what its
 * client sent, at most one buffer of it.
 */
const WAITING_MAX = 256;
const CONNECTIONS_PER_WAITING = 16;

/**
 * Resets connections that are turned away, late where that helps: a client that tries again and again on so many
 * connections then costs that many a second, and not as many as both sides can open and close.
 */
export class Refusals {
  readonly #waitingMax: number;
  readonly #waiting = new Map<Socket, NodeJS.Timeout>();
  /** Milliseconds (of performance.now) at which a client left that would have had to wait. */
  #leftMs = -Infinity;

  /** `connectionsMax`: of the listener, which counts those that wait. */
  constructor(connectionsMax: number) {
    this.#waitingMax = Math.min(WAITING_MAX, Math.floor(connectionsMax / CONNECTIONS_PER_WAITING));
  }

  /** Whether the next one is to wait: there is room, and clients wait too. */
  delays(nowMs: number = performance.now()): boolean {
    return this.#waiting.size < this.#waitingMax && nowMs - this.#leftMs >= DELAY_MS;
  }

  /** Nothing is read from it any more. */
  add(socket: Socket): void {
    socket.on('error', ignore);
    if (!this.delays()) {
      socket.resetAndDestroy();
      return;
    }
    const timer = setTimeout(() => {
      this.#waiting.delete(socket);
      socket.resetAndDestroy();
    }, DELAY_MS);
    this.#waiting.set(socket, timer);
    socket.once('close', () => {
      clearTimeout(timer);
      if (this.#waiting.delete(socket)) this.#leftMs = performance.now();
    });
  }

  /** Resets those that wait. */
  close(): void {
    for (const socket of this.#waiting.keys()) socket.resetAndDestroy();
  }
}

function ignore(): void {
  // Its client has left before it was told to.
}
