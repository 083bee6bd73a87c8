import { constants } from 'node:http2';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';

export interface FloodLimits {
  /** Streams that a client may reset without a pause, and how many a second it gets back. */
  readonly resetsBurst: number;
  readonly resetsPerSecond: number;
}

interface Watched {
  /** What is left of the burst of resets. */
  tokens: number;
  countedMs: number;
  /** Streams that got through to this program. */
  seen: number;
  /** Those that did not, when it was last looked. */
  unseen: number;
}

/** Sessions that are looked at in one go, and how often: what that costs does not grow with their number. */
const LOOKED_AT_MAX = 1_024;
const LOOK_INTERVAL_MS = 250;
/** Headers that are too large by mistake come one at a time. */
const UNSEEN_MISTAKES_MAX = 16;

/**
 * Ends connections whose client costs more than it asks for: streams that are opened and reset (CVE-2023-44487), and
 * headers that are too large, which node:http2 drops in silence: it makes no stream of them, and their number shows only
 * in the session's state.
 */
export class FloodWatch {
  readonly #limits: FloodLimits;
  readonly #onFlood: (session: ServerHttp2Session) => void;
  readonly #watched = new Map<ServerHttp2Session, Watched>();
  #round: MapIterator<[ServerHttp2Session, Watched]> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `onFlood` is told of a session right before it is destroyed. */
  constructor(limits: FloodLimits, onFlood: (session: ServerHttp2Session) => void) {
    this.#limits = limits;
    this.#onFlood = onFlood;
  }

  add(session: ServerHttp2Session): void {
    const { resetsBurst } = this.#limits;
    this.#watched.set(session, { tokens: resetsBurst, countedMs: performance.now(), seen: 0, unseen: 0 });
    this.#timer ??= setInterval(() => this.#look(), LOOK_INTERVAL_MS).unref();
  }

  delete(session: ServerHttp2Session): void {
    this.#watched.delete(session);
    if (this.#watched.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  opened(session: ServerHttp2Session): void {
    const watched = this.#watched.get(session);
    if (watched !== undefined) watched.seen += 1;
  }

  /** A stream is over; those count that the client did not let end. */
  closed(session: ServerHttp2Session, { rstCode }: ServerHttp2Stream): void {
    if (rstCode !== constants.NGHTTP2_CANCEL) return;
    const watched = this.#watched.get(session);
    if (watched === undefined) return;
    const { resetsBurst, resetsPerSecond } = this.#limits;
    const nowMs = performance.now();
    const grown = watched.tokens + ((nowMs - watched.countedMs) / 1_000) * resetsPerSecond;
    watched.tokens = Math.min(resetsBurst, grown) - 1;
    watched.countedMs = nowMs;
    if (watched.tokens < 0) this.#end(session);
  }

  #look(): void {
    this.#round ??= this.#watched.entries();
    for (let count = 0; count < LOOKED_AT_MAX; count += 1) {
      const next = this.#round.next();
      if (next.done === true) {
        this.#round = undefined;
        return;
      }
      const [session, watched] = next.value;
      if (!session.destroyed) this.#compare(session, watched);
    }
  }

  #compare(session: ServerHttp2Session, watched: Watched): void {
    // A client's streams have odd numbers, from 1 on (RFC 9113, 5.1.1); it may leave some out, but why should it.
    const begun = ((session.state.lastProcStreamID ?? 0) + 1) >> 1;
    const unseen = Math.max(0, begun - watched.seen);
    const before = watched.unseen;
    watched.unseen = unseen;
    if (unseen >= UNSEEN_MISTAKES_MAX) this.#end(session);
    // Nothing else tells the client, and what it waits for never comes.
    else if (unseen > 0 && before > 0) drop(session, 'headers are too large');
  }

  #end(session: ServerHttp2Session): void {
    if (session.destroyed) return;
    this.#onFlood(session);
    drop(session, 'the client floods its connection');
  }
}

function drop(session: ServerHttp2Session, reason: string): void {
  session.destroy(new Error(reason), constants.NGHTTP2_ENHANCE_YOUR_CALM);
}
