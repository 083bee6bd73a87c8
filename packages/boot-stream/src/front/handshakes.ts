export interface HandshakeLimits {
  /** Handshakes that one turn of the event loop may begin. Each takes about a millisecond. */
  readonly perTurnMax: number;
  /** Handshakes begun and not over, of everybody, and of one address. */
  readonly pendingMax: number;
  readonly pendingPerAddressMax: number;
}

export const DEFAULT_HANDSHAKE_LIMITS: HandshakeLimits = {
  perTurnMax: 1,
  pendingMax: 512,
  pendingPerAddressMax: 128,
};

/** A connection whose handshake waits for its turn, is under way, or is over. */
export interface Handshake {
  readonly address: string;
  /** Must not throw. */
  readonly begin: () => void;
  state: 'waiting' | 'pending' | 'over';
}

interface Caller {
  readonly waiting: Set<Handshake>;
  pending: number;
}

/**
 * Lets TLS handshakes begin one in a turn of the event loop, addresses in turn: a thousand that arrive together would keep
 * it for a second, and who leaves them unfinished would fill the memory.
 */
export class Handshakes {
  readonly #limits: HandshakeLimits;
  /** In the order of whose turn it is; those that wait or are under way. */
  readonly #callers = new Map<string, Caller>();
  #waiting = 0;
  #pending = 0;
  #begunInTurn = 0;
  #scheduled = false;

  constructor(limits: HandshakeLimits = DEFAULT_HANDSHAKE_LIMITS) {
    this.#limits = limits;
  }

  /** Those under way. */
  get pending(): number {
    return this.#pending;
  }

  /** Begins it now or later, unless {@link end} is called before. */
  add(address: string, begin: () => void): Handshake {
    const handshake: Handshake = { address, begin, state: 'waiting' };
    let caller = this.#callers.get(address);
    if (caller === undefined) this.#callers.set(address, (caller = { waiting: new Set(), pending: 0 }));
    caller.waiting.add(handshake);
    this.#waiting += 1;
    this.#beginSome();
    return handshake;
  }

  /** It has succeeded, failed, or is not wanted any more. Idempotent. */
  end(handshake: Handshake): void {
    const caller = this.#callers.get(handshake.address);
    if (caller === undefined || handshake.state === 'over') return;
    if (handshake.state === 'waiting') {
      caller.waiting.delete(handshake);
      this.#waiting -= 1;
    } else {
      caller.pending -= 1;
      this.#pending -= 1;
    }
    handshake.state = 'over';
    if (caller.pending === 0 && caller.waiting.size === 0) this.#callers.delete(handshake.address);
    if (this.#waiting > 0) this.#schedule();
  }

  #beginSome(): void {
    const { perTurnMax, pendingMax } = this.#limits;
    let found = true;
    while (found && this.#waiting > 0 && this.#begunInTurn < perTurnMax && this.#pending < pendingMax)
      found = this.#beginNext();
    // Where nobody's turn can come yet, the end of another one makes room.
    if (this.#begunInTurn > 0) this.#schedule();
  }

  /** False where those that wait have too many under way already. */
  #beginNext(): boolean {
    for (const [address, caller] of this.#callers) {
      const [next] = caller.waiting;
      if (next === undefined || caller.pending >= this.#limits.pendingPerAddressMax) continue;
      this.#callers.delete(address);
      this.#callers.set(address, caller); // behind all others
      caller.waiting.delete(next);
      caller.pending += 1;
      next.state = 'pending';
      this.#waiting -= 1;
      this.#pending += 1;
      this.#begunInTurn += 1;
      next.begin();
      return true;
    }
    return false;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#begunInTurn = 0;
      this.#beginSome();
    });
  }
}
