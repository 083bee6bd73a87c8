import type { ExportCursor } from '../types.ts';

/** Where those who carry the journal somewhere else have got to. A handful, each only ever moving forward. */
export class CursorTable {
  readonly #cursors = new Map<string, ExportCursor>();

  get size(): number {
    return this.#cursors.size;
  }

  get(name: string): ExportCursor | undefined {
    return this.#cursors.get(name);
  }

  /** False where the cursor is as far already. */
  move(cursor: ExportCursor): boolean {
    const before = this.#cursors.get(cursor.name);
    if (before !== undefined && before.next_sequence >= cursor.next_sequence) return false;
    this.#cursors.set(cursor.name, cursor);
    return true;
  }

  /** All cursors, by name. */
  capture(): readonly ExportCursor[] {
    return [...this.#cursors.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
