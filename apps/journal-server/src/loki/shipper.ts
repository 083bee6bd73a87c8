/**
 * The leader's duty towards Loki: every entry, in order.
 *
 * The cursor is in the replicated state. A push counts once Loki has answered, and the cursor moves after that, so a
 * leader that dies in between makes its successor push the same entries again: byte for byte and to the nanosecond the
 * same, which Loki drops. Every push is preceded by a round among the voters, so that a leader that was deposed and has
 * not noticed does not push beside its successor.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { entrySeq, timestampToMs, type ExportCursor, type JournalState } from '@pact-journal/journal-state';
import type { Logger } from '../server/log.ts';
import { collect, encodePush, type Batch, type BatchLimits } from './batch.ts';
import { START, type LineOptions, type Position } from './line.ts';
import { push, type LokiTarget, type PushOutcome } from './push.ts';

export const LOKI_CURSOR = 'loki';

export interface LokiShipperOptions extends LineOptions {
  readonly target: LokiTarget;
  readonly batchSizeBytesMax: number;
  /** How long to gather entries before a push that is not full. */
  readonly batchWaitMs: number;
  /** Older entries are not sent; 0 sends all. */
  readonly entryAgeMsMax: number;
  readonly journal: () => JournalState;
  /** Resolves once the journal has the entry. Rejects when the signal is aborted. */
  readonly appended: (sequence: number, signal: AbortSignal) => Promise<void>;
  /** Resolves once a quorum has confirmed that this node still leads; rejects where it does not. */
  readonly confirmLeadership: () => Promise<unknown>;
  /** Has the replicas remember. */
  readonly moveCursor: (cursor: ExportCursor) => Promise<unknown>;
  readonly observer: LokiObserver;
  readonly log: Logger;
}

/** Told what happened, for the metrics. */
export interface LokiObserver {
  pushed(code: string, durationMs: number): void;
  shipped(entries: number): void;
  /** Loki does not have these entries; the journal does. */
  skipped(reason: 'refused' | 'too_old', entries: number): void;
}

/** How far Loki is behind the journal. */
export interface LokiLag {
  readonly entries: number;
  /** Age of the oldest entry that it lacks. */
  readonly seconds: number;
}

const ENTRIES_PER_PUSH_MAX = 10_000;
const PAUSE_MS = { first: 500, last: 30_000 } as const;
/** While Loki is away, it is said this often. */
const COMPLAINT_INTERVAL_MS = 60_000;

export class LokiShipper {
  readonly #options: LokiShipperOptions;
  #leadership: AbortController | undefined;
  /** Undefined while this node does not lead: then the replicated cursor is what is known. */
  #position: Position | undefined;
  /** Fewer while the one that Loki refuses is being looked for. */
  #entriesMax = ENTRIES_PER_PUSH_MAX;
  #complainedMs = -COMPLAINT_INTERVAL_MS;
  #failures = 0;

  constructor(options: LokiShipperOptions) {
    this.#options = options;
  }

  /** This node leads, and has applied what earlier leaders committed. Idempotent. */
  start(): void {
    if (this.#leadership !== undefined) return;
    const leadership = new AbortController();
    this.#leadership = leadership;
    void this.#run(leadership.signal);
  }

  /** It leads no more: a push under way is given up. Idempotent. */
  stop(): void {
    this.#leadership?.abort(new Error('this node leads no more'));
    this.#leadership = undefined;
    this.#position = undefined;
  }

  /** What Loki does not have yet, as far as this node knows: on others than the leader, as of the replicated cursor. */
  lag(nowMs: number): LokiLag {
    const journal = this.#options.journal();
    const { next } = this.#position ?? this.#stored();
    const oldest = journal.entry(entrySeq(next));
    if (oldest === undefined) return { entries: 0, seconds: 0 };
    const sinceMs = timestampToMs(oldest.timestamp) ?? nowMs;
    return { entries: journal.entryCount - next, seconds: Math.max(0, nowMs - sinceMs) / 1_000 };
  }

  async #run(signal: AbortSignal): Promise<void> {
    this.#position = this.#stored();
    this.#entriesMax = ENTRIES_PER_PUSH_MAX;
    this.#failures = 0;
    while (!signal.aborted) {
      try {
        await this.#step(this.#position, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#options.log.debug({ err: error }, 'writing to Loki was interrupted; it goes on');
        await this.#pause(0, signal);
      }
    }
  }

  async #step(from: Position, signal: AbortSignal): Promise<void> {
    const { journal, appended, batchWaitMs } = this.#options;
    await appended(from.next, signal);
    let batch = await collect(journal, from, this.#limits());
    if (!batch.full && this.#failures === 0) {
      await delay(batchWaitMs, undefined, { signal });
      batch = await collect(journal, from, this.#limits());
    }
    if (batch.entries.length > 0) await this.#send(batch, signal);
    else await this.#arrived(batch, signal);
  }

  async #send(batch: Batch, signal: AbortSignal): Promise<void> {
    const { target, observer, confirmLeadership } = this.#options;
    await confirmLeadership();
    signal.throwIfAborted();
    const startedMs = performance.now();
    const outcome = await push(target, encodePush(batch.entries), signal);
    signal.throwIfAborted();
    observer.pushed(outcome.code, performance.now() - startedMs);
    switch (outcome.kind) {
      case 'accepted':
        this.#recovered();
        observer.shipped(batch.entries.length);
        await this.#arrived(batch, signal);
        break;
      case 'refused':
        await this.#refused(batch, outcome.reason, signal);
        break;
      case 'later':
        this.#complain(outcome);
        await this.#pause(outcome.waitMs, signal);
        break;
    }
  }

  async #arrived({ end, tooOld }: Batch, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#position = end;
    if (tooOld > 0) this.#options.observer.skipped('too_old', tooOld);
    const { next, lastNs } = end;
    await this.#options.moveCursor({ name: LOKI_CURSOR, next_sequence: next, detail: String(lastNs) });
  }

  /** Halves what is sent until the one that Loki refuses is alone, and goes on after it: the others must not wait. */
  async #refused(batch: Batch, reason: string, signal: AbortSignal): Promise<void> {
    const { entries } = batch;
    const [first] = entries;
    if (entries.length > 1 || first === undefined) {
      this.#entriesMax = Math.ceil(entries.length / 2);
      return;
    }
    const { log, observer } = this.#options;
    log.error(
      { sequence: first.sequence, reason },
      'Loki refuses this entry, which is left out; the journal has it',
    );
    observer.skipped('refused', 1);
    await this.#arrived(batch, signal);
  }

  #recovered(): void {
    if (this.#failures > 0) this.#options.log.info({ failures: this.#failures }, 'Loki takes entries again');
    this.#failures = 0;
    this.#complainedMs = -COMPLAINT_INTERVAL_MS;
    this.#entriesMax = Math.min(ENTRIES_PER_PUSH_MAX, this.#entriesMax * 2);
  }

  #complain({ reason }: Extract<PushOutcome, { kind: 'later' }>): void {
    const nowMs = performance.now();
    if (nowMs - this.#complainedMs < COMPLAINT_INTERVAL_MS) return;
    this.#complainedMs = nowMs;
    const { entries, seconds } = this.lag(Date.now());
    this.#options.log.warn(
      { reason, lag_entries: entries, lag_seconds: Math.round(seconds) },
      'Loki does not take entries; they stay in the journal and are sent when it does',
    );
  }

  /** Doubling, with jitter of a quarter either way, and not shorter than Loki asks for. */
  async #pause(atLeastMs: number, signal: AbortSignal): Promise<void> {
    const doubled = Math.min(PAUSE_MS.last, PAUSE_MS.first * 2 ** Math.min(this.#failures, 10));
    this.#failures += 1;
    const pauseMs = Math.max(atLeastMs, doubled * (0.75 + Math.random() / 2));
    await delay(pauseMs, undefined, { signal }).catch(() => undefined);
  }

  #limits(): BatchLimits {
    const { clusterId, lineSizeBytesMax, batchSizeBytesMax, entryAgeMsMax } = this.#options;
    const oldestNs = entryAgeMsMax === 0 ? 0n : BigInt(Date.now() - entryAgeMsMax) * 1_000_000n;
    return { clusterId, lineSizeBytesMax, batchSizeBytesMax, oldestNs, entriesMax: this.#entriesMax };
  }

  #stored(): Position {
    const cursor = this.#options.journal().cursor(LOKI_CURSOR);
    if (cursor === undefined || !/^\d+$/.test(cursor.detail)) return START;
    return { next: cursor.next_sequence, lastNs: BigInt(cursor.detail) };
  }
}
