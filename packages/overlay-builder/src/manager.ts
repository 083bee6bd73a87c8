import type { JournalView, StoredOverlay, VClusterId } from '@pact-journal/journal-state';
import { buildOverlay, overlayContentOf } from './build.ts';
import type { Overlay } from './build.ts';
import type { BuildPriority, OverlayCompressor } from './compressor.ts';
import { isOverlayError, OverlayError } from './errors.ts';
import { OverlayMeter } from './meter.ts';
import type { BuildReason, OverlayObserver, OverlayStats } from './meter.ts';

export interface OverlayManagerOptions {
  /** The local replica. Asked anew for each use. */
  readonly view: () => JournalView;
  readonly compressor: OverlayCompressor;
  /**
   * Has an overlay stored (a `SetOverlay` through Raft). Resolves when it is applied, or when it turned out to be
   * superseded; rejects when it could not be (no leader, overload). Called at most once a version at a time.
   */
  readonly store: (overlay: StoredOverlay) => Promise<void>;
  /** Told of every build and every attempt to store. Must not throw. */
  readonly observer?: OverlayObserver;
  /** Upper bound of the overlays kept here between their build and the moment the state holds them. Default 64 MiB. */
  readonly cacheSizeBytesMax?: number;
}

interface Build {
  /** The state's version when the build began; undefined where the virtual cluster has none. */
  readonly version: number | undefined;
  readonly overlay: Promise<Overlay>;
}

interface Built {
  readonly version: number | undefined;
  readonly overlay: Overlay;
}

/**
 * Serves overlays, and never a stale one: the stored overlay if its version is that of the state, else one built on
 * the spot. One build serves all who wait for the same version, boots and rebuilds alike.
 */
export class OverlayManager {
  readonly #view: () => JournalView;
  readonly #compressor: OverlayCompressor;
  readonly #storeOverlay: (overlay: StoredOverlay) => Promise<void>;
  readonly #cacheSizeBytesMax: number;
  readonly #meter: OverlayMeter;
  readonly #building = new Map<VClusterId, Build>();
  readonly #built = new Map<VClusterId, Built>();
  readonly #storing = new Map<string, Promise<void>>();
  /** Versions that turned out too large: every boot would find that out again, at the price of a build. */
  readonly #tooLarge = new Map<
    VClusterId,
    { readonly version: number | undefined; readonly error: OverlayError }
  >();
  #cacheSizeBytes = 0;

  constructor(options: OverlayManagerOptions) {
    this.#view = options.view;
    this.#compressor = options.compressor;
    this.#storeOverlay = options.store;
    this.#cacheSizeBytesMax = options.cacheSizeBytesMax ?? 64 * 1024 * 1024;
    this.#meter = new OverlayMeter(options.observer);
  }

  /**
   * The overlay of the state as it is at the moment of the call, so that whatever else is read in the same turn of
   * the event loop belongs to it. Not a promise when it is at hand. One that had to be built is also given to
   * `store`, in the background. Throws or rejects with {@link OverlayError}.
   */
  current(vclusterId: VClusterId): Overlay | Promise<Overlay> {
    const known = this.#atHand(vclusterId);
    if (known !== undefined) return known;
    const overlay = this.#build(vclusterId, 'demand', 'urgent');
    overlay.then(
      (built) => this.#store(vclusterId, built).catch(() => undefined), // the observer has been told
      () => undefined, // the caller is told
    );
    return overlay;
  }

  /**
   * Builds the overlay unless a current one is there, and has it stored unless it is. Rejects with what the build or
   * `store` failed with. Resolves to false where there was nothing to do.
   */
  async ensureStored(vclusterId: VClusterId, reason: BuildReason): Promise<boolean> {
    if (!this.isStale(vclusterId)) return false;
    const overlay = this.#atHand(vclusterId) ?? (await this.#build(vclusterId, reason, 'background'));
    await this.#store(vclusterId, overlay);
    return true;
  }

  /** True where the stored overlay is missing or older than the state. */
  isStale(vclusterId: VClusterId): boolean {
    const view = this.#view();
    const version = view.vclusterVersion(vclusterId);
    return version !== undefined && view.overlay(vclusterId)?.version !== version;
  }

  /** What metrics need. Costs a look at each virtual cluster. */
  stats(): OverlayStats {
    let stale = 0;
    for (const vclusterId of this.#view().vclusters()) if (this.isStale(vclusterId)) stale += 1;
    return {
      ...this.#meter.totals(),
      stale,
      building: this.#building.size,
      cacheSizeBytes: this.#cacheSizeBytes,
    };
  }

  #atHand(vclusterId: VClusterId): Overlay | undefined {
    const view = this.#view();
    const version = view.vclusterVersion(vclusterId);
    if (version !== undefined) {
      const stored = view.overlay(vclusterId);
      if (stored?.version === version) {
        if (this.#built.size > 0) this.#forget(vclusterId);
        return stored;
      }
    } else if (!view.knowsVCluster(vclusterId)) {
      throw new OverlayError('unknownVCluster', `there is no virtual cluster ${JSON.stringify(vclusterId)}`);
    }
    const built = this.#built.get(vclusterId);
    return built !== undefined && built.version === version ? built.overlay : undefined;
  }

  #build(vclusterId: VClusterId, reason: BuildReason, priority: BuildPriority): Promise<Overlay> {
    const version = this.#view().vclusterVersion(vclusterId);
    const running = this.#building.get(vclusterId);
    if (running !== undefined && running.version === version) return running.overlay;

    const tooLarge = this.#tooLarge.get(vclusterId);
    if (tooLarge !== undefined && tooLarge.version === version) return Promise.reject(tooLarge.error);
    this.#tooLarge.delete(vclusterId);

    const content = overlayContentOf(this.#view(), vclusterId);
    const overlay = this.#meter.measure(vclusterId, reason, () =>
      buildOverlay(content, this.#compressor, priority),
    );
    const build: Build = { version, overlay };
    this.#building.set(vclusterId, build);
    const finished = (): void => {
      if (this.#building.get(vclusterId) === build) this.#building.delete(vclusterId);
    };
    overlay.then(
      (built) => {
        finished();
        this.#remember(vclusterId, { version, overlay: built });
      },
      (error: unknown) => {
        finished();
        if (isOverlayError(error) && error.code === 'tooLarge')
          this.#tooLarge.set(vclusterId, { version, error });
      },
    );
    return overlay;
  }

  #store(vclusterId: VClusterId, overlay: Overlay): Promise<void> {
    const view = this.#view();
    const version = view.vclusterVersion(vclusterId);
    const storedVersion = view.overlay(vclusterId)?.version ?? -1;
    if (version === undefined || overlay.version <= storedVersion) return Promise.resolve();

    const key = `${overlay.version} ${vclusterId}`;
    const running = this.#storing.get(key);
    if (running !== undefined) return running;
    const stored = this.#meter
      .measureStore(vclusterId, () =>
        this.#storeOverlay({ ...overlay, version: overlay.version as StoredOverlay['version'] }),
      )
      .finally(() => {
        this.#storing.delete(key);
        if (!this.isStale(vclusterId)) this.#forget(vclusterId);
      });
    this.#storing.set(key, stored);
    return stored;
  }

  #remember(vclusterId: VClusterId, built: Built): void {
    const kept = this.#built.get(vclusterId);
    if (kept !== undefined && (kept.version ?? -1) > (built.version ?? -1)) return;
    this.#forget(vclusterId);
    this.#built.set(vclusterId, built);
    this.#cacheSizeBytes += built.overlay.data.byteLength;
    for (const oldest of this.#built.keys()) {
      if (this.#cacheSizeBytes <= this.#cacheSizeBytesMax) break;
      this.#forget(oldest);
    }
  }

  #forget(vclusterId: VClusterId): void {
    const built = this.#built.get(vclusterId);
    if (built === undefined) return;
    this.#built.delete(vclusterId);
    this.#cacheSizeBytes -= built.overlay.data.byteLength;
  }
}
