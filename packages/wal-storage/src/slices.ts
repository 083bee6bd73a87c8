/** Sharing the event loop: long work is done in slices, with a turn for everybody else in between. */

/** Work of this length is followed by a turn; with a single step of at most a few milliseconds on top, no stall exceeds 20 ms. */
const SLICE_MS = 8;

export class Slices {
  #end = performance.now() + SLICE_MS;

  /** Gives others a turn if this slice is used up. */
  async breathe(): Promise<void> {
    if (performance.now() < this.#end) return;
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    this.#end = performance.now() + SLICE_MS;
  }
}
