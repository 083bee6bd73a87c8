/** Holding back what tells a peer nothing but a new commit index. */
import type { Message, NodeId, Term } from '../core/types.ts';
import type { Clock } from './interfaces.ts';

/** Where the last append to a peer ended. */
interface Position {
  readonly term: Term;
  readonly index: number;
}

/**
 * An append without entries at the position where the last one ended only says that more is committed. Where proposals
 * follow one another the next append says it too, so it is held for a moment, and dropped when that comes: a follower
 * then has one message a commit to read and to answer, not two. Raft may lose any message, so nothing rests on it.
 */
export class CommitNotices {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #release: (notices: readonly Message[]) => void;
  readonly #ends = new Map<NodeId, Position>();
  readonly #held = new Map<NodeId, Message>();
  #cancel: (() => void) | undefined;

  /** `release` sends what nothing else has made needless after `delayMs`. */
  constructor(clock: Clock, delayMs: number, release: (notices: readonly Message[]) => void) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#release = release;
  }

  /** True if the message, which is about to be sent, is held instead. */
  holds(message: Message): boolean {
    const { type, to, term, index, entries } = message;
    if (type !== 'MsgApp') {
      // Whatever this is about, the peer's log may not be where it was.
      if (type === 'MsgSnap') this.#forget(to);
      return false;
    }
    const end = this.#ends.get(to);
    const isNotice = entries.length === 0 && end?.term === term && end.index === index && this.#delayMs > 0;
    if (!isNotice) {
      this.#ends.set(to, { term, index: index + entries.length });
      this.#held.delete(to);
      return false;
    }
    this.#held.set(to, message);
    this.#cancel ??= this.#clock.setTimer(this.#delayMs, () => {
      this.#cancel = undefined;
      this.flush();
    });
    return true;
  }

  /** Releases what is held. */
  flush(): void {
    if (this.#held.size === 0) return;
    const notices = [...this.#held.values()];
    this.#held.clear();
    this.#release(notices);
  }

  /** Drops what is held. */
  stop(): void {
    this.#cancel?.();
    this.#held.clear();
  }

  #forget(peer: NodeId): void {
    this.#ends.delete(peer);
    this.#held.delete(peer);
  }
}
