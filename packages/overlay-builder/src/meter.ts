import type { VClusterId } from '@pact-journal/journal-state';
import type { Overlay } from './build.ts';

/**
 * Why an overlay was built: `commit`, something changed in its virtual cluster; `global`, something changed
 * everywhere; `leadership`, a new leader found it stale; `demand`, a boot needed it; `operator`, somebody asked.
 */
export type BuildReason = 'commit' | 'global' | 'leadership' | 'demand' | 'operator';

export type OverlayEvent =
  | {
      readonly type: 'built';
      readonly vcluster_id: VClusterId;
      readonly reason: BuildReason;
      readonly version: number;
      readonly duration_ms: number;
      readonly size_bytes: number;
      readonly raw_size_bytes: number;
    }
  | {
      readonly type: 'buildFailed';
      readonly vcluster_id: VClusterId;
      readonly reason: BuildReason;
      readonly error: unknown;
    }
  | { readonly type: 'stored'; readonly vcluster_id: VClusterId; readonly duration_ms: number }
  | { readonly type: 'storeFailed'; readonly vcluster_id: VClusterId; readonly error: unknown };

export type OverlayObserver = (event: OverlayEvent) => void;

export interface OverlayTotals {
  /** Builds that succeeded, by reason. */
  readonly builds: Readonly<Record<BuildReason, number>>;
  readonly buildFailures: number;
  /** Time from request to outcome of all builds that succeeded, waiting for the thread included. */
  readonly buildDurationMsTotal: number;
  readonly stores: number;
  readonly storeFailures: number;
}

export interface OverlayStats extends OverlayTotals {
  /** Virtual clusters whose stored overlay is missing or older than the state. */
  readonly stale: number;
  /** Builds under way. */
  readonly building: number;
  readonly cacheSizeBytes: number;
}

/** Counts and times builds, and tells the observer. */
export class OverlayMeter {
  readonly #observer: OverlayObserver | undefined;
  readonly #builds: Record<BuildReason, number> = {
    commit: 0,
    global: 0,
    leadership: 0,
    demand: 0,
    operator: 0,
  };
  #buildFailures = 0;
  #buildDurationMsTotal = 0;
  #stores = 0;
  #storeFailures = 0;

  constructor(observer: OverlayObserver | undefined) {
    this.#observer = observer;
  }

  totals(): OverlayTotals {
    return {
      builds: { ...this.#builds },
      buildFailures: this.#buildFailures,
      buildDurationMsTotal: this.#buildDurationMsTotal,
      stores: this.#stores,
      storeFailures: this.#storeFailures,
    };
  }

  async measure(
    vclusterId: VClusterId,
    reason: BuildReason,
    build: () => Promise<Overlay>,
  ): Promise<Overlay> {
    const startedMs = performance.now();
    try {
      const overlay = await build();
      const durationMs = performance.now() - startedMs;
      this.#builds[reason] += 1;
      this.#buildDurationMsTotal += durationMs;
      this.#observer?.({
        type: 'built',
        vcluster_id: vclusterId,
        reason,
        version: overlay.version,
        duration_ms: durationMs,
        size_bytes: overlay.data.byteLength,
        raw_size_bytes: overlay.raw_size_bytes,
      });
      return overlay;
    } catch (error) {
      this.#buildFailures += 1;
      this.#observer?.({ type: 'buildFailed', vcluster_id: vclusterId, reason, error });
      throw error;
    }
  }

  async measureStore(vclusterId: VClusterId, store: () => Promise<void>): Promise<void> {
    const startedMs = performance.now();
    try {
      await store();
      this.#stores += 1;
      this.#observer?.({
        type: 'stored',
        vcluster_id: vclusterId,
        duration_ms: performance.now() - startedMs,
      });
    } catch (error) {
      this.#storeFailures += 1;
      this.#observer?.({ type: 'storeFailed', vcluster_id: vclusterId, error });
      throw error;
    }
  }
}
