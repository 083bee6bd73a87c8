/** A row of the table of settings, as sections are written with. */
import type { ValueType } from './value-types.ts';

export interface Setting<T> {
  readonly type: ValueType<T>;
  /** Long flag without its dashes. The variable is `PACT_JOURNAL_` and this, in capitals. */
  readonly flag: string;
  readonly fallback: T;
  readonly description: string;
}

/** A setting with its kind of value, flag, default and meaning. */
export function setting<T>(type: ValueType<T>, flag: string, fallback: T, description: string): Setting<T> {
  return { type, flag, fallback, description };
}
