import type { Socket } from 'node:net';

/** What one address may do to a listener. */
export interface AddressLimits {
  /** Connections open at once, those in their handshake included. */
  readonly connectionsMax: number;
  /** Connections a second, in the long run. */
  readonly connectionsPerSecond: number;
  /** Connections at once, by who had none lately. */
  readonly connectionsBurst: number;
  /** How long who floods may open no connection, in ms; twice as long each time that it goes on with it. */
  readonly penaltyMs: number;
}

interface Visitor {
  open: number;
  /** What is left of the burst. */
  tokens: number;
  /** Milliseconds (of performance.now) at which `tokens` was right. */
  countedMs: number;
  /** What is left of the connections that it may open for nothing, when `countedMs` was right. */
  patience: number;
  refusedUntilMs: number;
  /** How long it was last refused for. */
  penaltyMs: number;
}

/** Connections for nothing that an address may open without a pause, and a second in the long run: probes do. */
const WASTED_BURST = 64;
const WASTED_PER_SECOND = 4;
const PENALTY_MS_MAX = 300_000;

/** Visitors remembered before those are looked for who need not be. */
const VISITORS_SWEPT_AT = 4_096;

/**
 * Decides about connections before anything is read from them: a handshake costs a server more than its client, so what
 * is too much must be turned away before it. Addresses that behave are forgotten.
 */
export class Doorkeeper {
  readonly #limits: AddressLimits;
  readonly #visitors = new Map<string, Visitor>();
  #sweepAt = VISITORS_SWEPT_AT;
  #refused = 0;

  constructor(limits: AddressLimits) {
    this.#limits = limits;
  }

  /** Connections that were turned away. */
  get refused(): number {
    return this.#refused;
  }

  /** Addresses that something is remembered of. */
  get visitors(): number {
    return this.#visitors.size;
  }

  /** Whether another connection of that address would be turned away. It counts as refused if so, and not at all if not. */
  refuses(address: string, nowMs: number = performance.now()): boolean {
    return this.#refuses(this.#visitor(address, nowMs), nowMs);
  }

  #refuses({ refusedUntilMs, open, tokens }: Visitor, nowMs: number): boolean {
    const refuses = nowMs < refusedUntilMs || open >= this.#limits.connectionsMax || tokens < 1;
    if (refuses) this.#refused += 1;
    return refuses;
  }

  /** Whether the connection may stay. It counts until it is closed. */
  admits(socket: Socket, nowMs: number = performance.now()): boolean {
    const visitor = this.#visitor(socket.remoteAddress ?? '', nowMs);
    if (this.#refuses(visitor, nowMs)) return false;
    visitor.tokens -= 1;
    visitor.open += 1;
    socket.once('close', () => (visitor.open -= 1));
    return true;
  }

  /** Whoever is there has flooded a connection, and gets no other one for a while. */
  flooded(address: string | undefined, nowMs: number = performance.now()): void {
    const visitor = this.#visitor(address ?? '', nowMs);
    // What it began before it was found out.
    if (nowMs < visitor.refusedUntilMs) return;
    const isAgain = nowMs < visitor.refusedUntilMs + visitor.penaltyMs;
    const penaltyMs = isAgain ? 2 * visitor.penaltyMs : this.#limits.penaltyMs;
    visitor.penaltyMs = Math.min(penaltyMs, Math.max(PENALTY_MS_MAX, this.#limits.penaltyMs));
    visitor.refusedUntilMs = nowMs + visitor.penaltyMs;
  }

  /** A connection was closed that cost a handshake and did not get as far as a call. Whether that was one too many. */
  wasted(address: string | undefined, nowMs: number = performance.now()): boolean {
    const visitor = this.#visitor(address ?? '', nowMs);
    visitor.patience = Math.max(-1, visitor.patience - 1);
    // One that is turned away already has no more to lose.
    if (visitor.patience >= 0 || nowMs < visitor.refusedUntilMs) return false;
    this.flooded(address, nowMs);
    return true;
  }

  #visitor(address: string, nowMs: number): Visitor {
    const { connectionsBurst } = this.#limits;
    let visitor = this.#visitors.get(address);
    if (visitor === undefined) {
      if (this.#visitors.size >= this.#sweepAt) this.#sweep(nowMs);
      visitor = {
        open: 0,
        tokens: connectionsBurst,
        countedMs: nowMs,
        patience: WASTED_BURST,
        refusedUntilMs: 0,
        penaltyMs: 0,
      };
      this.#visitors.set(address, visitor);
    } else {
      visitor.tokens = this.#tokens(visitor, nowMs);
      visitor.patience = patienceOf(visitor, nowMs);
      visitor.countedMs = nowMs;
    }
    return visitor;
  }

  #tokens({ tokens, countedMs }: Visitor, nowMs: number): number {
    const { connectionsBurst, connectionsPerSecond } = this.#limits;
    return Math.min(connectionsBurst, tokens + ((nowMs - countedMs) / 1_000) * connectionsPerSecond);
  }

  /** Forgets those of whom nothing is left to remember; next time when there are twice as many as are left. */
  #sweep(nowMs: number): void {
    for (const [address, visitor] of this.#visitors) {
      const settled =
        visitor.refusedUntilMs + visitor.penaltyMs <= nowMs &&
        this.#tokens(visitor, nowMs) >= this.#limits.connectionsBurst &&
        patienceOf(visitor, nowMs) >= WASTED_BURST;
      if (visitor.open === 0 && settled) this.#visitors.delete(address);
    }
    this.#sweepAt = Math.max(VISITORS_SWEPT_AT, 2 * this.#visitors.size);
  }
}

function patienceOf({ patience, countedMs }: Visitor, nowMs: number): number {
  return Math.min(WASTED_BURST, patience + ((nowMs - countedMs) / 1_000) * WASTED_PER_SECOND);
}
