/** Holding back what tells a peer nothing but a new commit index. */
import type { Message, NodeId, Term } from '../core/types.ts';
import type { Clock } from './interfaces.ts';

/** Where the last append to a peer ended, and what it said is committed. */
interface Position {
  readonly term: Term;
  readonly index: number;
  readonly commit: number;
}

/** What a peer applies while its disk makes the next append durable, so that it need not begin with it early. */
const FEW_ENTRIES = 64;
/** By so much shorter is the delay for more than that. */
const HURRY = 5;
/** By so much longer is it for less than that, once an append has come in time to take a notice's place. */
const PATIENCE = 2;

/**
 * An append without entries at the position where the last one ended only says that more is committed. Where proposals
 * follow one another the next append says it too, so it is held for a moment, and dropped when that comes: a follower
 * then has one message a commit to read and to answer, not two. Raft may lose any message, so nothing rests on it. Many
 * entries are held for a shorter time: their peer can apply them while it waits for others. Few are held longer as long
 * as it pays.
 */
export class CommitNotices {
  readonly #clock: Clock;
  readonly #delayMs: number;
  readonly #release: (notice: Message) => void;
  readonly #ends = new Map<NodeId, Position>();
  readonly #held = new Map<NodeId, Message>();
  #cancel: (() => void) | undefined;
  #dueMs = Infinity;
  /** The last notice that was held was not needed. */
  #inRhythm = false;

  /** `release` sends what nothing else has made needless after `delayMs`. */
  constructor(clock: Clock, delayMs: number, release: (notice: Message) => void) {
    this.#clock = clock;
    this.#delayMs = delayMs;
    this.#release = release;
  }

  /** True if the message, which is about to be sent, is held instead. */
  holds(message: Message): boolean {
    const { type, to, term, index, entries, commit } = message;
    if (type !== 'MsgApp') {
      // Whoever asked waits until it has applied what it is told of here.
      if (type === 'MsgReadIndexResp') this.#releaseTo(to);
      // Whatever this is about, the peer's log may not be where it was.
      if (type === 'MsgSnap') this.#forget(to);
      return false;
    }
    const end = this.#ends.get(to);
    const isNotice = entries.length === 0 && end?.term === term && end.index === index && this.#delayMs > 0;
    if (!isNotice) {
      this.#ends.set(to, { term, index: index + entries.length, commit });
      if (this.#held.delete(to)) this.#notNeeded();
      return false;
    }
    this.#held.set(to, message);
    this.#releaseIn(this.#delayFor(commit - end.commit));
    return true;
  }

  #delayFor(entries: number): number {
    if (entries > FEW_ENTRIES) return this.#delayMs / HURRY;
    return this.#inRhythm ? this.#delayMs * PATIENCE : this.#delayMs;
  }

  #releaseIn(delayMs: number): void {
    const dueMs = this.#clock.now() + delayMs;
    if (dueMs >= this.#dueMs) return;
    this.#cancel?.();
    this.#dueMs = dueMs;
    this.#cancel = this.#clock.setTimer(delayMs, () => {
      this.#dueMs = Infinity;
      this.#inRhythm = false;
      this.flush();
    });
  }

  #notNeeded(): void {
    this.#inRhythm = true;
    if (this.#held.size > 0) return;
    this.#cancel?.();
    this.#dueMs = Infinity;
  }

  /** Releases what is held. */
  flush(): void {
    for (const peer of [...this.#held.keys()]) this.#releaseTo(peer);
  }

  #releaseTo(peer: NodeId): void {
    const notice = this.#held.get(peer);
    if (notice === undefined) return;
    this.#held.delete(peer);
    const { term, index, commit } = notice;
    this.#ends.set(peer, { term, index, commit });
    this.#release(notice);
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
