import type { ServerHttp2Session } from 'node:http2';

interface Peer {
  /** Milliseconds (of performance.now) at which it is pinged next, or dropped if a ping is not answered. */
  dueMs: number;
  awaitsAnswer: boolean;
  /** Whether it has sent its first frames, and until when it may take for them. */
  greeted: boolean;
  readonly greetingDueMs: number;
  openStreams: number;
  /** Milliseconds (of performance.now) since which it has no open stream. */
  idleSinceMs: number;
  /** And at which it is dropped if it was closed for that, and its client has not closed its side. */
  dropMs: number | undefined;
}

/** All in ms. */
export interface KeepAliveTimings {
  /** How often a connection is pinged. */
  readonly intervalMs: number;
  /** How long an answer may take. */
  readonly timeoutMs: number;
  /** How long a new connection may take until its first frames are here. */
  readonly greetingMs: number;
  /** After how long without a stream a connection is closed. */
  readonly idleMs: number;
}

/**
 * Pings every connection now and then and drops those that do not answer: a peer that lost power says nothing. Drops
 * those too that never say anything, and closes those that do nothing. One timer for all of them.
 */
export class KeepAlive {
  readonly #timings: KeepAliveTimings;
  readonly #drop: (session: ServerHttp2Session) => void;
  readonly #peers = new Map<ServerHttp2Session, Peer>();
  #timer: NodeJS.Timeout | undefined;

  /** `drop` ends the connection of a session that is closed already: node:http2 itself waits for the client's end. */
  constructor(timings: KeepAliveTimings, drop: (session: ServerHttp2Session) => void) {
    this.#timings = timings;
    this.#drop = drop;
  }

  add(session: ServerHttp2Session): void {
    const { intervalMs, timeoutMs, greetingMs, idleMs } = this.#timings;
    const nowMs = performance.now();
    const peer: Peer = {
      dueMs: nowMs + intervalMs,
      awaitsAnswer: false,
      greeted: false,
      greetingDueMs: nowMs + greetingMs,
      openStreams: 0,
      idleSinceMs: nowMs,
      dropMs: undefined,
    };
    this.#peers.set(session, peer);
    session.once('remoteSettings', () => {
      peer.greeted = true;
    });
    const sweepMs = Math.min(intervalMs, timeoutMs, greetingMs, idleMs) / 4;
    this.#timer ??= setInterval(() => this.#sweep(), sweepMs).unref();
  }

  opened(session: ServerHttp2Session): void {
    const peer = this.#peers.get(session);
    if (peer !== undefined) peer.openStreams += 1;
  }

  closed(session: ServerHttp2Session): void {
    const peer = this.#peers.get(session);
    if (peer === undefined) return;
    peer.openStreams -= 1;
    peer.idleSinceMs = performance.now();
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
      if (!peer.greeted && peer.greetingDueMs <= nowMs) session.destroy();
      else if (peer.openStreams === 0 && peer.idleSinceMs + this.#timings.idleMs <= nowMs)
        this.#end(session, peer, nowMs);
      if (peer.dueMs > nowMs) continue;
      if (peer.awaitsAnswer || session.destroyed) session.destroy();
      else this.#ping(session, peer, nowMs);
    }
  }

  #end(session: ServerHttp2Session, peer: Peer, nowMs: number): void {
    if (peer.dropMs === undefined) {
      peer.dropMs = nowMs + this.#timings.timeoutMs;
      session.close();
    } else if (peer.dropMs <= nowMs) this.#drop(session);
  }

  #ping(session: ServerHttp2Session, peer: Peer, nowMs: number): void {
    peer.awaitsAnswer = true;
    peer.dueMs = nowMs + this.#timings.timeoutMs;
    const sent = session.ping(() => {
      peer.awaitsAnswer = false;
      peer.dueMs = performance.now() + this.#timings.intervalMs;
    });
    if (!sent) session.destroy();
  }
}
