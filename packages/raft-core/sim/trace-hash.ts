/** A hash over numbers, fast and the same on every engine: two multiplicative lanes of 32 bits. Not for secrets. */
export class TraceHash {
  #a = 0x811c9dc5;
  #b = 0x9747b28c;

  add(value: number): void {
    const low = value | 0;
    const high = Math.floor(value / 0x1_0000_0000) | 0;
    this.#a = Math.imul(this.#a ^ low, 0x01000193);
    this.#a = Math.imul(this.#a ^ high, 0x01000193);
    this.#b = Math.imul((this.#b ^ low) >>> 0, 0x85ebca6b) ^ (this.#b >>> 13);
    this.#b = Math.imul((this.#b ^ high) >>> 0, 0xc2b2ae35) ^ (this.#b >>> 16);
  }

  addText(text: string): void {
    for (let at = 0; at < text.length; at += 1) this.add(text.charCodeAt(at));
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    const lane = (value: number): string => (value >>> 0).toString(16).padStart(8, '0');
    return lane(this.#a) + lane(this.#b);
  }
}
