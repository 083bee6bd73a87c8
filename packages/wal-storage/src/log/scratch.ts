/** More than nearly every append takes; for larger ones there is memory of their own. */
const KEPT_SIZE_BYTES_MAX = 2 * 1024 * 1024;

/** Memory that is used again and again: to touch new pages costs more than to fill them. */
export class Scratch {
  #buffer = Buffer.alloc(0);

  /** So many bytes of anything, for as long as no others are taken. */
  readonly take = (sizeBytes: number): Buffer => {
    if (sizeBytes > KEPT_SIZE_BYTES_MAX) return Buffer.allocUnsafeSlow(sizeBytes);
    if (sizeBytes > this.#buffer.length) {
      const room = Math.min(2 * sizeBytes, KEPT_SIZE_BYTES_MAX);
      this.#buffer = Buffer.allocUnsafeSlow(room);
    }
    return this.#buffer.subarray(0, sizeBytes);
  };
}
