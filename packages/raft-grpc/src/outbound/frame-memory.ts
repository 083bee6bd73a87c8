/** Smaller frames come cheaper from Node's own pool; larger ones are rare. */
const [KEPT_SIZE_BYTES_MIN, KEPT_SIZE_BYTES_MAX] = [16 * 1024, 2 * 1024 * 1024];
/** One is written while another one is on its way. */
const KEPT_MAX = 2;

/** Memory for frames that is used again once it is given back: to touch new pages costs more than to fill them. */
export class FrameMemory {
  readonly #free: Buffer[] = [];

  readonly take = (sizeBytes: number): Buffer => {
    if (sizeBytes < KEPT_SIZE_BYTES_MIN || sizeBytes > KEPT_SIZE_BYTES_MAX)
      return Buffer.allocUnsafe(sizeBytes);
    const kept = this.#free.pop();
    const whole =
      kept !== undefined && kept.length >= sizeBytes ? kept : Buffer.allocUnsafeSlow(roomFor(sizeBytes));
    return whole.subarray(0, sizeBytes);
  };

  /** Nobody reads the frame any more. */
  give({ buffer, length }: Buffer): void {
    if (length < KEPT_SIZE_BYTES_MIN || length > KEPT_SIZE_BYTES_MAX || this.#free.length >= KEPT_MAX) return;
    this.#free.push(Buffer.from(buffer));
  }
}

function roomFor(sizeBytes: number): number {
  return Math.min(2 ** Math.ceil(Math.log2(sizeBytes)), KEPT_SIZE_BYTES_MAX);
}
