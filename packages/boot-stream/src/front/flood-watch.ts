import { constants } from 'node:http2';
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';
import { Slices } from '../slices.ts';
import { isBrokenOff } from './break-off.ts';
import { Rounds } from './rounds.ts';

export interface FloodLimits {
  /** Streams that a client may have open at once. */
  readonly streamsMax: number;
  /** Streams that a client may reset without a pause, and how many a second it gets back. */
  readonly resetsBurst: number;
  readonly resetsPerSecond: number;
}

interface Watched {
  readonly session: ServerHttp2Session;
  /** What is left of the burst of resets. */
  tokens: number;
  countedMs: number;
  /** Streams that got through to this program. */
  seen: number;
  /** Milliseconds (of performance.now) at which some were found that did not. */
  mistakenSinceMs: number | undefined;
  /** The turn of the event loop in which a stream was last opened, and how many were in it. */
  turn: number;
  openedInTurn: number;
  /** The last one in this turn that has to wait. */
  lastLate: Late | undefined;
}

/** A stream that is not begun yet. */
interface Late {
  readonly stream: ServerHttp2Stream;
  /** Whether its reset was counted. */
  counted: boolean;
}

/** Often, because somebody who sends 100 MB of headers a second is not to be waited for. */
const LOOKS = { perLookMax: 256, intervalMs: 20 };
/** Between the first headers that were too large and the end of their connection, in ms: there may be more. */
const MISTAKE_MS = 250;
/** Headers that are too large by mistake come one at a time. */
const UNSEEN_MISTAKES_MAX = 16;
/** In one turn of the event loop a client may use its streams so many times over. */
const USES_PER_TURN_MAX = 2;
/** So many calls of a connection begin as soon as they are opened; a client that means more has time. */
const BEGUN_AT_ONCE_MAX = 8;
/** Milliseconds of one turn for those that have to wait. */
const LATE_SLICE_MS = 0.5;
/** What a stream counts that was opened and reset without waiting for anything: nobody calls to get no answer. */
const RESETS_OF_SAME_BREATH = 4;

/**
 * Ends connections whose client costs more than it asks for: streams that are opened and reset (CVE-2023-44487), and
 * headers that are too large, which node:http2 drops in silence: it makes no stream of them, and their number shows only
 * in the session's state.
 */
export class FloodWatch {
  readonly #limits: FloodLimits;
  readonly #onFlood: (session: ServerHttp2Session) => void;
  readonly #watched = new Map<ServerHttp2Session, Watched>();
  readonly #rounds = new Rounds<Watched>((watched) => this.#compare(watched), LOOKS);
  #turn = 0;
  #turnEnds = false;
  readonly #late = new Slices({ sliceMs: LATE_SLICE_MS });

  /** `onFlood` is told of a session right before it is destroyed. */
  constructor(limits: FloodLimits, onFlood: (session: ServerHttp2Session) => void) {
    this.#limits = limits;
    this.#onFlood = onFlood;
  }

  add(session: ServerHttp2Session): void {
    const watched: Watched = {
      session,
      tokens: this.#limits.resetsBurst,
      countedMs: performance.now(),
      seen: 0,
      mistakenSinceMs: undefined,
      turn: 0,
      openedInTurn: 0,
      lastLate: undefined,
    };
    this.#watched.set(session, watched);
    this.#rounds.add(watched);
  }

  delete(session: ServerHttp2Session): void {
    const watched = this.#watched.get(session);
    if (watched === undefined) return;
    this.#watched.delete(session);
    this.#rounds.delete(watched);
  }

  /**
   * A stream has been opened. Calls `begin` now, or in one of the next turns where many were opened in this one, unless it
   * has been reset by then; so what is reset in the same breath costs next to nothing. Who begins a stream tells
   * {@link closed}.
   */
  opened(session: ServerHttp2Session, stream: ServerHttp2Stream, begin: () => void): void {
    const watched = this.#watched.get(session);
    if (watched === undefined) return;
    watched.seen += 1;
    const turn = this.#currentTurn();
    if (watched.turn !== turn) {
      watched.turn = turn;
      watched.openedInTurn = 0;
      watched.lastLate = undefined;
    }
    watched.openedInTurn += 1;
    if (watched.openedInTurn <= BEGUN_AT_ONCE_MAX) return begin();
    // More than may be open were opened without one being answered: their resets are in what is being read right now.
    if (watched.openedInTurn > USES_PER_TURN_MAX * this.#limits.streamsMax) return this.#end(session);
    if (watched.lastLate?.stream.closed === true)
      this.#count(watched, watched.lastLate, RESETS_OF_SAME_BREATH);
    if (session.destroyed) return;
    const late: Late = { stream, counted: false };
    watched.lastLate = late;
    this.#late.defer(session, () => {
      if (session.destroyed) return;
      if (stream.closed) this.#count(watched, late, 1);
      else begin();
    });
  }

  /** A stream that was begun is over; those count that the client did not let end. */
  closed(session: ServerHttp2Session, stream: ServerHttp2Stream): void {
    const watched = this.#watched.get(session);
    if (watched !== undefined && isGivenUp(stream)) this.#charge(watched, 1);
  }

  #charge(watched: Watched, resets: number): void {
    const { resetsBurst, resetsPerSecond } = this.#limits;
    const nowMs = performance.now();
    const grown = watched.tokens + ((nowMs - watched.countedMs) / 1_000) * resetsPerSecond;
    watched.tokens = Math.min(resetsBurst, grown) - resets;
    watched.countedMs = nowMs;
    if (watched.tokens < 0) this.#end(watched.session);
  }

  #count(watched: Watched, late: Late, resets: number): void {
    if (late.counted) return;
    late.counted = true;
    this.#charge(watched, resets);
  }

  #currentTurn(): number {
    if (!this.#turnEnds) {
      this.#turnEnds = true;
      this.#turn += 1;
      setImmediate(() => {
        this.#turnEnds = false;
      });
    }
    return this.#turn;
  }

  #compare(watched: Watched): void {
    const { session } = watched;
    if (session.destroyed) return;
    // A client's streams have odd numbers, from 1 on (RFC 9113, 5.1.1); it may leave some out, but why should it.
    const begun = ((session.state.lastProcStreamID ?? 0) + 1) >> 1;
    const unseen = Math.max(0, begun - watched.seen);
    if (unseen >= UNSEEN_MISTAKES_MAX) return this.#end(session);
    if (unseen === 0) {
      watched.mistakenSinceMs = undefined;
      return;
    }
    const nowMs = performance.now();
    watched.mistakenSinceMs ??= nowMs;
    // Nothing else tells the client, and what it waits for never comes.
    if (nowMs - watched.mistakenSinceMs >= MISTAKE_MS) drop(session, 'headers are too large');
  }

  #end(session: ServerHttp2Session): void {
    if (session.destroyed) return;
    this.#onFlood(session);
    drop(session, 'the client floods its connection');
  }
}

/** Reset by the client: for whatever reason it gives, or for none (NO_ERROR) before the answer has ended. */
function isGivenUp(stream: ServerHttp2Stream): boolean {
  return (stream.rstCode !== constants.NGHTTP2_NO_ERROR || stream.aborted) && !isBrokenOff(stream);
}

function drop(session: ServerHttp2Session, reason: string): void {
  session.destroy(new Error(reason), constants.NGHTTP2_ENHANCE_YOUR_CALM);
}
