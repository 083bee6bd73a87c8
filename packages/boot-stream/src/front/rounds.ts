/** How many are looked at in one go, and how often. */
export interface RoundsOptions {
  readonly perLookMax: number;
  readonly intervalMs: number;
}

/** Looks at many things in rounds, a few at a time: what that costs does not grow with their number. */
export class Rounds<Thing> {
  readonly #options: RoundsOptions;
  readonly #look: (thing: Thing) => void;
  readonly #things = new Set<Thing>();
  #round: SetIterator<Thing> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** Runs only while there is something to look at. `look` must not throw. */
  constructor(look: (thing: Thing) => void, options: RoundsOptions) {
    this.#look = look;
    this.#options = options;
  }

  add(thing: Thing): void {
    this.#things.add(thing);
    this.#timer ??= setInterval(() => this.#lookAtSome(), this.#options.intervalMs).unref();
  }

  delete(thing: Thing): void {
    this.#things.delete(thing);
    if (this.#things.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#round = undefined;
  }

  #lookAtSome(): void {
    this.#round ??= this.#things.values();
    for (let count = 0; count < this.#options.perLookMax; count += 1) {
      const next = this.#round?.next();
      if (next === undefined || next.done === true) {
        this.#round = undefined;
        return;
      }
      this.#look(next.value);
    }
  }
}
