/** Something that an operator must look at. */
export interface Alarm {
  /** One word. */
  readonly code: string;
  /** What it means and what to do. */
  readonly message: string;
  readonly since: Date;
}

/** The alarms that this node has raised and not cleared. */
export class Alarms {
  readonly #raised = new Map<string, Alarm>();

  /** A second raise of the same code keeps its time and takes the new words. */
  raise(code: string, message: string): void {
    this.#raised.set(code, { code, message, since: this.#raised.get(code)?.since ?? new Date() });
  }

  clear(code: string): void {
    this.#raised.delete(code);
  }

  list(): readonly Alarm[] {
    return [...this.#raised.values()];
  }
}
