/**
 * The time that this node puts into commands, and by which it judges what is due.
 *
 * A computer's time of day can be wrong and can jump; a journal's must not. So it is counted, not read: from the time
 * of day at the start it goes on with the monotonic clock, follows small corrections, and does not follow a jump. Where
 * most other members count another time, theirs is taken. And it never falls behind the journal's own newest time.
 */
import { uptime } from 'node:os';
import { msToTimestamp } from '@pact-journal/journal-state';
import type { Timestamp } from '@pact-journal/journal-state';

/** Corrections up to this are followed: what time synchronisation does to a machine that runs. */
const FOLLOWED_MS = 10_000;
/** Members that differ by more do not agree on the time. */
const SKEW_MS_MAX = 30_000;
/** Uptimes are told in whole seconds. */
const SLEEP_MS_MIN = 5_000;

export interface TimeSources {
  /** The time of day, in milliseconds since 1970. May be wrong, and may jump. */
  wallMs(): number;
  /** Milliseconds from any beginning, the time that the machine slept included. Never goes back. */
  elapsedMs(): number;
}

/** What is wrong with time here; all zero where nothing is. */
export interface ClockTrouble {
  /** How far the time of day has jumped away from the time counted; positive where it is ahead. */
  readonly jumpMs: number;
  /** How far the time counted here is ahead of that of most other members. */
  readonly skewMs: number;
  /** How far the journal's newest time is ahead of the time counted here. */
  readonly journalAheadMs: number;
}

export class JournalClock {
  readonly #sources: TimeSources;
  /** The time counted is the time elapsed and this. */
  #baseMs: number;
  /** How far each peer's count is ahead of this one's. */
  readonly #peers = new Map<number, number>();
  /** What is to be added to the time counted here. */
  #correctionMs = 0;
  /** The journal's newest time and when, by the time elapsed, it was heard of. */
  #journal = { ms: 0, atMs: 0 };
  /** What was told last: many commands share a millisecond. */
  #told: { readonly ms: number; readonly text: Timestamp } = { ms: 0, text: msToTimestamp(0) };

  constructor(sources: TimeSources = systemTime()) {
    this.#sources = sources;
    this.#baseMs = sources.wallMs() - sources.elapsedMs();
  }

  /** Milliseconds since 1970. */
  now(): number {
    const counted = this.counted() + this.#correctionMs;
    const { ms, atMs } = this.#journal;
    return Math.round(Math.max(counted, ms + this.#sources.elapsedMs() - atMs));
  }

  /** The same as text. */
  timestamp(): Timestamp {
    const ms = this.now();
    if (ms !== this.#told.ms) this.#told = { ms, text: msToTimestamp(ms) };
    return this.#told.text;
  }

  /** The time as this node alone counts it: what it tells its peers. */
  counted(): number {
    const elapsedMs = this.#sources.elapsedMs();
    const jumpMs = this.#sources.wallMs() - (this.#baseMs + elapsedMs);
    if (Math.abs(jumpMs) <= FOLLOWED_MS) this.#baseMs += jumpMs;
    return this.#baseMs + elapsedMs;
  }

  /** A peer told the time that it counts. */
  peerSaid(peer: number, ms: number): void {
    this.#peers.set(peer, ms - this.counted());
    this.#correctionMs = this.#correction();
  }

  /** Who is no member has no say. */
  keepOnly(members: readonly { readonly id: number }[]): void {
    const ids = new Set(members.map(({ id }) => id));
    for (const peer of [...this.#peers.keys()]) if (!ids.has(peer)) this.#peers.delete(peer);
    this.#correctionMs = this.#correction();
  }

  /** To be told the journal's newest time before this node adds to it. */
  continueFrom(journalMs: number): void {
    this.#journal = { ms: journalMs, atMs: this.#sources.elapsedMs() };
  }

  trouble(): ClockTrouble {
    const counted = this.counted();
    const jumpMs = this.#sources.wallMs() - counted;
    const correctionMs = this.#correctionMs;
    const aheadMs = this.now() - counted - correctionMs;
    return {
      jumpMs: Math.abs(jumpMs) > FOLLOWED_MS ? Math.round(jumpMs) : 0,
      skewMs: Math.round(0 - correctionMs),
      journalAheadMs: aheadMs > SKEW_MS_MAX ? Math.round(aheadMs) : 0,
    };
  }

  /** The median of what all members count, this one included: right as long as most of them are. */
  #correction(): number {
    const all = [0, ...this.#peers.values()].sort((a, b) => a - b);
    const [low = 0, high = 0] = [all[(all.length - 1) >> 1], all[all.length >> 1]];
    // Of an even number the middle two may differ; then nobody is outvoted for certain.
    const median = Math.abs(low) < Math.abs(high) ? low : high;
    return Math.abs(median) > SKEW_MS_MAX ? median : 0;
  }
}

/** How long a reading of the uptime, which costs a file's, may be used again. */
const UPTIME_READ_MS = 250;

/** Node's monotonic clock stands still while the machine sleeps; the uptime, in seconds, does not. */
export function systemTime(
  uptimeMs = (): number => uptime() * 1_000,
  monotonicMs = (): number => performance.now(),
  wallMs = (): number => Date.now(),
): TimeSources {
  const start = uptimeMs() - monotonicMs();
  const read = { atMs: monotonicMs(), wallMs: wallMs(), sleptMs: 0 };
  const elapsedMs = (): number => {
    const nowMs = monotonicMs();
    const passedMs = nowMs - read.atMs;
    // Where the machine has slept, the time of day has gone on further than the monotonic clock.
    const departedMs = Math.abs(wallMs() - read.wallMs - passedMs);
    if (passedMs > UPTIME_READ_MS || departedMs > UPTIME_READ_MS) {
      read.sleptMs = Math.max(read.sleptMs, uptimeMs() - nowMs - start);
      read.atMs = nowMs;
      read.wallMs = wallMs();
    }
    return nowMs + (read.sleptMs > SLEEP_MS_MIN ? read.sleptMs : 0);
  };
  return { wallMs, elapsedMs };
}
