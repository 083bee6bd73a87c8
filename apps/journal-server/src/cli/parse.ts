/** Parsers of option values: what is wrong with them is said before anything is sent. */
import { DELTA_KINDS, type DeltaKind } from '@pact-journal/journal-state';
import { closest, distance } from 'fastest-levenshtein';
import { CliError } from './errors.ts';

/** A whole number of at least `min`, for `option`. */
export function parseCount(
  option: string,
  min: number,
  max: number = Number.MAX_SAFE_INTEGER,
): (text: string) => number {
  return (text) => {
    const value = /^\d+$/u.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < min || value > max) {
      const upper =
        max === Number.MAX_SAFE_INTEGER
          ? `of at least ${String(min)}`
          : `from ${String(min)} to ${String(max)}`;
      throw new CliError('usage', `${option}: "${text}" is not a whole number ${upper}`);
    }
    return value;
  };
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** A duration such as `90s`, `15m`, `2h`, `1h30m` or `10d`, in seconds. */
export function parseDuration(option: string): (text: string) => number {
  return (text) => {
    if (/^(?:\d+[smhd])+$/u.test(text)) {
      let total = 0;
      for (const match of text.matchAll(/(\d+)([smhd])/gu)) {
        total += Number(match[1]) * (SECONDS[match[2] ?? ''] ?? Number.NaN);
      }
      if (Number.isSafeInteger(total)) return total;
    }
    throw new CliError('usage', `${option}: "${text}" is not a duration such as 30m, 2h, 1h30m or 10d`);
  };
}

/** One of `names`, else an error that says which there are. */
export function parseChoice<Name extends string>(
  option: string,
  names: readonly Name[],
): (text: string) => Name {
  return (text) => {
    const found = names.find((name) => name.toLowerCase() === text.toLowerCase());
    if (found !== undefined) return found;
    throw new CliError('usage', `${option}: "${text}" is none of ${names.join(', ')}${hint(text, names)}`);
  };
}

/** Comma-separated kinds of declared state. */
export function parseKinds(option: string): (text: string) => readonly DeltaKind[] {
  const one = parseChoice(option, DELTA_KINDS);
  return (text) => {
    const parts = text.split(',').map((part) => part.trim());
    return [...new Set(parts.filter((part) => part !== '').map(one))];
  };
}

function hint(text: string, names: readonly string[]): string {
  const nearest = closest(text.toLowerCase(), [...names]);
  return distance(text.toLowerCase(), nearest) <= 3 ? `; did you mean ${nearest}?` : '';
}
