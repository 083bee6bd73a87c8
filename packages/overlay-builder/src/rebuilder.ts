import type { JournalView, VClusterId } from '@pact-journal/journal-state';
import { isOverlayError } from './errors.ts';
import type { OverlayManager } from './manager.ts';
import type { BuildReason } from './meter.ts';

/** What changed: one virtual cluster's configuration or policy, or what all of them share. */
export type OverlayChange = 'Global' | { readonly VCluster: VClusterId };

export interface OverlayRebuilderOptions {
  readonly manager: OverlayManager;
  readonly view: () => JournalView;
  /** Rebuilds under way at once, from build to stored. Default 2: one compresses while another replicates. */
  readonly concurrencyMax?: number;
  /** How long a rebuild waits for more changes of the same burst. Default 5 ms. */
  readonly coalesceMs?: number;
  /**
   * The shortest time between two rebuilds of one virtual cluster, so that commits in quick succession do not each put
   * an overlay into the log. Boots meanwhile build on demand. Default 50 ms.
   */
  readonly intervalMsMin?: number;
  /** Delays after failures to store double from 100 ms to this. Default 5 s. */
  readonly retryMsMax?: number;
}

interface Due {
  readonly atMs: number;
  readonly reason: BuildReason;
}

const RETRY_MS_MIN = 100;

/**
 * Keeps stored overlays current while this replica leads. A burst of changes costs one rebuild a virtual cluster; a
 * global change rebuilds all of them one after another, behind whatever concerns a single one. Nothing is rebuilt that
 * is current already, so it does no harm if two replicas believe to lead.
 */
export class OverlayRebuilder {
  readonly #manager: OverlayManager;
  readonly #view: () => JournalView;
  readonly #concurrencyMax: number;
  readonly #coalesceMs: number;
  readonly #intervalMsMin: number;
  readonly #retryMsMax: number;
  readonly #due = new Map<VClusterId, Due>();
  readonly #running = new Set<VClusterId>();
  readonly #startedMs = new Map<VClusterId, number>();
  readonly #failures = new Map<VClusterId, number>();
  readonly #idleWaiters: (() => void)[] = [];
  #sweep: { readonly rest: Iterator<VClusterId>; readonly reason: BuildReason } | undefined;
  #sweepAgain: BuildReason | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timerAtMs = 0;
  #active = false;

  constructor(options: OverlayRebuilderOptions) {
    this.#manager = options.manager;
    this.#view = options.view;
    this.#concurrencyMax = options.concurrencyMax ?? 2;
    this.#coalesceMs = options.coalesceMs ?? 5;
    this.#intervalMsMin = options.intervalMsMin ?? 50;
    this.#retryMsMax = options.retryMsMax ?? 5_000;
  }

  /** This replica leads, and has applied what its predecessors committed: rebuilds what they left stale. Idempotent. */
  start(): void {
    if (this.#active) return;
    this.#active = true;
    this.#sweepAgain = 'leadership';
    this.#pump();
  }

  /** This replica leads no more. What is under way ends by itself; nothing new is begun. Idempotent. */
  stop(): void {
    this.#active = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due.clear();
    this.#failures.clear();
    this.#sweep = undefined;
    this.#sweepAgain = undefined;
    this.#settleIdle();
  }

  /** To be told of every applied change, in any order relative to reads. Cheap; ignored while stopped. */
  notify(change: OverlayChange): void {
    if (!this.#active) return;
    if (change === 'Global') this.#sweepAgain ??= 'global';
    else this.#schedule(change.VCluster, 'commit', this.#coalesceMs);
    this.#arm(this.#coalesceMs);
  }

  /** Resolves when nothing is under way or waiting. */
  whenIdle(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve();
    return new Promise((resolve) => this.#idleWaiters.push(resolve));
  }

  #schedule(vclusterId: VClusterId, reason: BuildReason, delayMs: number): void {
    if (this.#due.has(vclusterId)) return;
    const nowMs = performance.now();
    const earliestMs = (this.#startedMs.get(vclusterId) ?? -Infinity) + this.#intervalMsMin;
    this.#due.set(vclusterId, { atMs: Math.max(nowMs + delayMs, earliestMs), reason });
  }

  #pump(): void {
    while (this.#active && this.#running.size < this.#concurrencyMax) {
      const next = this.#nextDue() ?? this.#nextOfSweep();
      if (next === undefined) break;
      void this.#rebuild(next.vclusterId, next.reason);
    }
    this.#armForDue();
    if (this.#isIdle()) this.#settleIdle();
  }

  #nextDue(): { vclusterId: VClusterId; reason: BuildReason } | undefined {
    const nowMs = performance.now();
    for (const [vclusterId, due] of this.#due) {
      if (due.atMs > nowMs || this.#running.has(vclusterId)) continue;
      this.#due.delete(vclusterId);
      return { vclusterId, reason: due.reason };
    }
    return undefined;
  }

  #nextOfSweep(): { vclusterId: VClusterId; reason: BuildReason } | undefined {
    for (;;) {
      if (this.#sweep === undefined) {
        if (this.#sweepAgain === undefined) return undefined;
        this.#sweep = { rest: [...this.#view().vclusters()].values(), reason: this.#sweepAgain };
        this.#sweepAgain = undefined;
      }
      const step = this.#sweep.rest.next();
      if (step.done === true) {
        this.#sweep = undefined;
        continue;
      }
      const vclusterId = step.value;
      if (!this.#manager.isStale(vclusterId)) continue;
      if (!this.#running.has(vclusterId)) return { vclusterId, reason: this.#sweep.reason };
      this.#schedule(vclusterId, this.#sweep.reason, 0);
    }
  }

  async #rebuild(vclusterId: VClusterId, reason: BuildReason): Promise<void> {
    this.#running.add(vclusterId);
    this.#startedMs.set(vclusterId, performance.now());
    try {
      await this.#manager.ensureStored(vclusterId, reason);
      this.#failures.delete(vclusterId);
      if (this.#active && this.#manager.isStale(vclusterId)) this.#schedule(vclusterId, reason, 0);
    } catch (error) {
      // The manager's observer has been told. An overlay that is too large stays so until the next change.
      if (this.#active && !(isOverlayError(error) && error.code === 'tooLarge'))
        this.#retry(vclusterId, reason);
    } finally {
      this.#running.delete(vclusterId);
      this.#pump();
    }
  }

  #retry(vclusterId: VClusterId, reason: BuildReason): void {
    const failures = (this.#failures.get(vclusterId) ?? 0) + 1;
    this.#failures.set(vclusterId, failures);
    this.#schedule(vclusterId, reason, Math.min(this.#retryMsMax, RETRY_MS_MIN * 2 ** (failures - 1)));
  }

  #armForDue(): void {
    if (!this.#active || this.#due.size === 0) return;
    let nextMs = Infinity;
    for (const [vclusterId, due] of this.#due) {
      if (!this.#running.has(vclusterId)) nextMs = Math.min(nextMs, due.atMs);
    }
    if (nextMs < Infinity) this.#arm(Math.max(0, nextMs - performance.now()));
  }

  #arm(delayMs: number): void {
    const atMs = performance.now() + delayMs;
    if (this.#timer !== undefined && this.#timerAtMs <= atMs) return;
    clearTimeout(this.#timer);
    this.#timerAtMs = atMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#pump();
    }, Math.ceil(delayMs));
  }

  #isIdle(): boolean {
    const waiting = this.#due.size > 0 || this.#sweep !== undefined || this.#sweepAgain !== undefined;
    return this.#running.size === 0 && !(this.#active && waiting);
  }

  #settleIdle(): void {
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }
}
