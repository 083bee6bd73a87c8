/** What only the leader does, begun and ended with its leadership. */
import type { StateChanges } from '@pact-journal/journal-state';
import type { OverlayRebuilder } from '@pact-journal/overlay-builder';
import type { LokiShipper } from '../loki/index.ts';
import type { Expirer } from './expirer.ts';
import type { Logger } from './log.ts';

export interface LeaderDutiesOptions {
  readonly rebuilder: OverlayRebuilder;
  readonly expirer: Expirer;
  /** Why this replica must not act as the leader; undefined while nothing speaks against it. */
  readonly refusal: () => string | undefined;
  /** Left out where no Loki is configured. */
  readonly loki?: LokiShipper;
  /** Has the group remember where its members are now. */
  readonly persistAddresses: () => Promise<void>;
  /** Resolves once everything that earlier leaders committed is applied here; rejects where this node leads no more. */
  readonly caughtUp: () => Promise<unknown>;
  readonly log: Logger;
}

export class LeaderDuties {
  readonly #options: LeaderDutiesOptions;
  /** Counts leaderships, so that one that began late does not outlive its end. */
  #leadership = 0;
  #leading = false;

  constructor(options: LeaderDutiesOptions) {
    this.#options = options;
  }

  begin(): void {
    this.#leading = true;
    void this.#begin(++this.#leadership);
  }

  end(): void {
    this.#leading = false;
    this.#options.rebuilder.stop();
    this.#options.expirer.stop();
    this.#options.loki?.stop();
  }

  /** To be told of every applied command. */
  changed(changes: readonly StateChanges[]): void {
    const { rebuilder } = this.#options;
    for (const { staleOverlays } of changes) {
      if (staleOverlays === 'all') rebuilder.notify('Global');
      else for (const VCluster of staleOverlays) rebuilder.notify({ VCluster });
    }
  }

  async #begin(leadership: number): Promise<void> {
    const { rebuilder, expirer, loki, caughtUp, refusal, persistAddresses, log } = this.#options;
    try {
      await caughtUp();
      if (!this.#leading || leadership !== this.#leadership || refusal() !== undefined) return;
      rebuilder.start();
      expirer.start();
      loki?.start();
      await persistAddresses();
    } catch (error) {
      log.debug({ err: error }, 'leadership ended before its duties had begun');
    }
  }
}
