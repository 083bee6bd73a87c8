/** Writes to the log, one at a time, and answers only for what is durable. */
import type { Entry, HardState, Message, Snapshot } from '../core/types.ts';
import type { Clock, LogStore } from './interfaces.ts';
import { entriesSizeBytes } from './message-size.ts';

/** What the core wants persisted, and what may be said once it is. */
export interface AppendRequest {
  readonly entries: readonly Entry[];
  readonly hardState: HardState | undefined;
  /** False when only the commit index moved. */
  readonly mustSync: boolean;
  /** An installed snapshot replaces the log before `entries` are written. */
  readonly snapshot: Snapshot | undefined;
  readonly responses: readonly Message[];
}

/** What one durable write cost. */
export interface AppendReport {
  readonly durationMs: number;
  readonly entries: number;
  readonly bytes: number;
  readonly requests: number;
}

/** What the worker tells its node. */
export interface AppendWorkerHooks {
  /** What was asked for is durable; the answers may leave. */
  onDurable(responses: readonly Message[]): void;
  /** Replaces log and state by a received snapshot. */
  installSnapshot(snapshot: Snapshot, hardState: HardState | undefined): Promise<void>;
  onReport(report: AppendReport): void;
  /** Called once. Nothing is retried: after a failed fsync the same write may succeed without being durable. */
  onFailure(error: unknown): void;
}

/** Bytes written at once, so that encoding them does not hold the event loop for long. */
const MERGE_MAX_BYTES = 8 * 1024 * 1024;

type Work = AppendRequest | (() => Promise<void>);

/**
 * The local append thread. Requests that pile up while the disk is busy become one `LogStore.append` (group commit);
 * their responses leave in their order when it is done. A commit index alone is worth no write: it travels with the
 * next append, or with `flushHint`.
 */
export class AppendWorker {
  readonly #logStore: LogStore;
  readonly #clock: Clock;
  readonly #hooks: AppendWorkerHooks;
  #queue: Work[] = [];
  #queuedBytes = 0;
  #hint: HardState | undefined;
  #running: Promise<void> | undefined;
  #busySince: number | undefined;
  #stopped = false;

  constructor(logStore: LogStore, clock: Clock, hooks: AppendWorkerHooks) {
    this.#logStore = logStore;
    this.#clock = clock;
    this.#hooks = hooks;
  }

  /** Bytes of entries that are not durable yet. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** For how long the append or job under way has been running; 0 when there is none. */
  busyMs(): number {
    return this.#busySince === undefined ? 0 : this.#clock.now() - this.#busySince;
  }

  /** `afterSending`: not before what this turn sends has left, where no write is under way. */
  enqueue(request: AppendRequest, afterSending = false): void {
    if (this.#stopped) return;
    const onlyHint =
      request.entries.length === 0 &&
      request.snapshot === undefined &&
      !request.mustSync &&
      request.responses.length === 0;
    // Behind queued entries it must stay in its place: a commit index must not become durable before its entries.
    if (onlyHint && this.#queue.length === 0) {
      this.#hint = request.hardState ?? this.#hint;
      return;
    }
    this.#queuedBytes += entriesSizeBytes(request.entries);
    this.#queue.push(request);
    this.#start(afterSending);
  }

  /** Runs work that must not overlap with appends, after those queued before it. A rejection is fatal too. */
  enqueueJob(job: () => Promise<void>): void {
    if (this.#stopped) return;
    this.#queue.push(job);
    this.#start();
  }

  /** Writes a commit index that no append has taken along. */
  flushHint(): void {
    if (this.#hint === undefined || this.#stopped || this.#running !== undefined) return;
    const hardState = this.#hint;
    this.enqueueJob(async () => {
      if (this.#hint !== hardState) return;
      this.#hint = undefined;
      await this.#logStore.append({ entries: [], hardState, mustSync: false });
    });
  }

  /** Takes nothing more, and resolves when what was queued is done; never while the disk hangs. */
  async drain(): Promise<void> {
    this.flushHint();
    while (this.#running !== undefined) await this.#running;
    this.#stopped = true;
  }

  /** Forgets what is queued at once, and resolves when the write under way has ended; never while the disk hangs. */
  async abandon(): Promise<void> {
    this.#stopped = true;
    this.#queue = [];
    while (this.#running !== undefined) await this.#running;
  }

  #start(afterSending = false): void {
    this.#running ??= this.#run(afterSending).finally(() => {
      this.#running = undefined;
      if (this.#queue.length > 0 && !this.#stopped) this.#start();
    });
  }

  async #run(afterSending: boolean): Promise<void> {
    try {
      if (afterSending) await new Promise<void>((resolve) => this.#clock.defer(resolve));
      for (let work = this.#queue.shift(); work !== undefined && !this.#stopped; work = this.#queue.shift()) {
        this.#busySince = this.#clock.now();
        if (typeof work === 'function') await work();
        else await this.#append(work);
        this.#busySince = undefined;
      }
    } catch (error) {
      this.#stopped = true;
      this.#queue = [];
      this.#busySince = undefined;
      this.#hooks.onFailure(error);
    }
  }

  async #append(first: AppendRequest): Promise<void> {
    const requests = first.snapshot === undefined ? this.#takeMergeable(first) : [first];
    const entries = mergeEntries(requests);
    const hardState = requests.reduce((latest, request) => request.hardState ?? latest, this.#hint);
    const mustSync = requests.some((request) => request.mustSync);
    if (entries.length > 0 || mustSync || first.snapshot !== undefined) {
      this.#hint = undefined;
      await this.#write({ entries, hardState, mustSync, snapshot: first.snapshot }, requests);
    } else {
      // All before is durable, and there is nothing to write but a commit index: the answers need not wait for that.
      this.#hint = hardState;
    }
    if (this.#stopped) return;
    const [only] = requests;
    this.#hooks.onDurable(
      requests.length === 1 && only !== undefined
        ? only.responses
        : requests.flatMap((request) => request.responses),
    );
  }

  async #write(work: Omit<AppendRequest, 'responses'>, requests: readonly AppendRequest[]): Promise<void> {
    const { entries, hardState, mustSync, snapshot } = work;
    const startedAt = this.#clock.now();
    try {
      if (snapshot !== undefined) await this.#hooks.installSnapshot(snapshot, hardState);
      if (entries.length > 0 || (mustSync && snapshot === undefined)) {
        await this.#logStore.append({ entries, hardState, mustSync });
      }
    } finally {
      for (const request of requests) this.#queuedBytes -= entriesSizeBytes(request.entries);
    }
    const bytes = entriesSizeBytes(entries);
    const durationMs = this.#clock.now() - startedAt;
    this.#hooks.onReport({ durationMs, entries: entries.length, bytes, requests: requests.length });
  }

  /** Everything queued up to the next job or snapshot, or the limit. */
  #takeMergeable(first: AppendRequest): readonly AppendRequest[] {
    const requests = [first];
    let bytes = entriesSizeBytes(first.entries);
    let taken = 0;
    for (const work of this.#queue) {
      if (typeof work === 'function' || work.snapshot !== undefined || bytes >= MERGE_MAX_BYTES) break;
      requests.push(work);
      bytes += entriesSizeBytes(work.entries);
      taken++;
    }
    this.#queue.splice(0, taken);
    return requests;
  }
}

/** The entries of several appends as one: a later one replaces the suffix that it overlaps. */
function mergeEntries(requests: readonly AppendRequest[]): readonly Entry[] {
  const [only] = requests;
  if (requests.length === 1 && only !== undefined) return only.entries;
  const merged: Entry[] = [];
  for (const { entries } of requests) {
    const next = entries[0];
    if (next === undefined) continue;
    const head = merged[0];
    if (head !== undefined) merged.length = Math.max(0, Math.min(merged.length, next.index - head.index));
    for (const entry of entries) merged.push(entry);
  }
  return merged;
}
