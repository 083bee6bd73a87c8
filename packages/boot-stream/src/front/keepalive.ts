import type { ServerHttp2Session } from 'node:http2';

interface Peer {
  /** Milliseconds (of performance.now) at which it is pinged next, or dropped if a ping is not answered. */
  dueMs: number;
  awaitsAnswer: boolean;
}

/**
 * Pings every connection now and then and drops those that do not answer: a peer that lost power says nothing. One
 * timer for all of them.
 */
export class KeepAlive {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  readonly #peers = new Map<ServerHttp2Session, Peer>();
  #timer: NodeJS.Timeout | undefined;

  constructor(intervalMs: number, timeoutMs: number) {
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
  }

  add(session: ServerHttp2Session): void {
    this.#peers.set(session, { dueMs: performance.now() + this.#intervalMs, awaitsAnswer: false });
    const sweepMs = Math.min(this.#intervalMs, this.#timeoutMs) / 4;
    this.#timer ??= setInterval(() => this.#sweep(), sweepMs).unref();
  }

  delete(session: ServerHttp2Session): void {
    this.#peers.delete(session);
    if (this.#peers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const [session, peer] of this.#peers) {
      if (peer.dueMs > nowMs) continue;
      if (peer.awaitsAnswer || session.destroyed) session.destroy();
      else this.#ping(session, peer, nowMs);
    }
  }

  #ping(session: ServerHttp2Session, peer: Peer, nowMs: number): void {
    peer.awaitsAnswer = true;
    peer.dueMs = nowMs + this.#timeoutMs;
    const sent = session.ping(() => {
      peer.awaitsAnswer = false;
      peer.dueMs = performance.now() + this.#intervalMs;
    });
    if (!sent) session.destroy();
  }
}
