import { Slices } from '../slices.ts';
import type { SlicesOptions } from '../slices.ts';

/** Calls of one caller that are being answered at once; a thousand that wait for one fsync get it no sooner. */
const UNDER_WAY_MAX = 128;

interface Share {
  underWay: number;
  /** In the order in which they came. */
  readonly held: (() => Promise<void>)[];
}

/**
 * Begins the calls of several callers in turn, in slices of the event loop, and holds those of a caller back that has many
 * under way: what they wait for (the log, its fsync) takes one after the other, and others wait for it too.
 */
export class Turns {
  readonly #slices: Slices;
  readonly #underWayMax: number;
  /** Those with something under way or about to be. */
  readonly #shares = new Map<unknown, Share>();

  constructor(options: SlicesOptions = {}, underWayMax: number = UNDER_WAY_MAX) {
    this.#slices = new Slices(options);
    this.#underWayMax = underWayMax;
  }

  /** Begins `work` now or later. It must neither throw nor reject, and is under way until its promise resolves. */
  run(key: unknown, work: () => Promise<void>): void {
    let share = this.#shares.get(key);
    if (share === undefined) this.#shares.set(key, (share = { underWay: 0, held: [] }));
    if (share.underWay >= this.#underWayMax) share.held.push(work);
    else this.#begin(key, share, work);
  }

  #begin(key: unknown, share: Share, work: () => Promise<void>): void {
    share.underWay += 1;
    this.#slices.run(key, () => {
      void work().then(() => this.#ended(key, share));
    });
  }

  #ended(key: unknown, share: Share): void {
    share.underWay -= 1;
    const next = share.held.shift();
    if (next !== undefined) this.#begin(key, share, next);
    else if (share.underWay === 0) this.#shares.delete(key);
  }
}
