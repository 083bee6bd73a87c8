/** Sharing the event loop: long work is done in slices, with a turn for everybody else in between. */

/** Work of this length is followed by a turn; a single step takes a few milliseconds more at most, so no stall reaches 20 ms. */
const SLICE_MS = 5;

export class Slices {
  #end = performance.now() + SLICE_MS;

  /** Whether {@link breathe} would do anything: spares tight loops an await. */
  get isUsedUp(): boolean {
    return performance.now() >= this.#end;
  }

  /** Gives others a turn if this slice is used up. */
  async breathe(): Promise<void> {
    if (!this.isUsedUp) return;
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    this.#end = performance.now() + SLICE_MS;
  }
}
