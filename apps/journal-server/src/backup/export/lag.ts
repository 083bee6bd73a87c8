/** How far the export is behind what is committed, in entries and in time. */

/** Samples are this far apart; the lag is as precise. */
const SAMPLE_MS = 50;
/** Beyond it every second sample goes: an outage of days costs no more memory than one of minutes. */
const SAMPLES_MAX = 8_192;

export class LagClock {
  readonly #ageMs: (index: number) => number;
  /** When the applied index first exceeded what the sample before says; ascending. */
  #samples: { readonly index: number; readonly atMs: number }[] = [];
  #exported = 0;
  #applied = 0;
  #inherited = 0;

  /** `ageMs` tells how long ago the first command from an index on was given its time; 0 where that is not known. */
  constructor(ageMs: (index: number) => number) {
    this.#ageMs = ageMs;
  }

  /**
   * This node begins to export. What is applied by now may have been acknowledged by another leader long before it was
   * applied here.
   */
  began(): void {
    this.#inherited = this.#applied;
  }

  /** Entries up to `index` are applied as of `nowMs` (monotonic). */
  applied(index: number, nowMs: number): void {
    if (index <= this.#applied) return;
    this.#applied = index;
    const last = this.#samples.at(-1);
    if (last !== undefined && nowMs - last.atMs < SAMPLE_MS) return;
    this.#samples.push({ index, atMs: nowMs });
    if (this.#samples.length > SAMPLES_MAX)
      this.#samples = this.#samples.filter((_sample, at) => at % 2 === 0);
  }

  /** Entries up to `index` can be restored. */
  exported(index: number): void {
    this.#exported = index;
    // A sample stands for the entries from its own on, up to the next one's.
    while ((this.#samples[1]?.index ?? Infinity) <= index + 1) this.#samples.shift();
    if (index >= this.#applied) this.#samples = [];
  }

  get entries(): number {
    return Math.max(0, this.#applied - this.#exported);
  }

  /** For how long the oldest entry that is not exported has been waiting; 0 where there is none. */
  seconds(nowMs: number): number {
    if (this.entries === 0) return 0;
    const here = nowMs - (this.#samples[0]?.atMs ?? nowMs);
    const elsewhere = this.#exported < this.#inherited ? this.#ageMs(this.#exported + 1) : 0;
    return Math.max(0, here, elsewhere) / 1_000;
  }
}
