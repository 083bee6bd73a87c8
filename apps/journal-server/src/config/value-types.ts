/** The kinds of values that settings have: each one schema for TOML values, and how text (environment, flags) becomes one. */
import { z } from 'zod';
import { formatAddress, parseAddress, type Address } from './address.ts';

export interface ValueType<T> {
  /** Checks and converts a TOML value; its message says what would be right. */
  readonly schema: z.ZodType<T>;
  /** Turns text into what TOML would have given. Text that makes no sense is passed on for the schema to refuse. */
  fromText(this: void, text: string): unknown;
  /** Turns a value back into what a TOML file could say. */
  format(this: void, value: T): unknown;
  /** What stands for the value in help texts. */
  readonly placeholder: string;
  /** True where a flag may be repeated and a variable separates by `;`. */
  readonly list: boolean;
}

const asIs = (text: string): unknown => text;
const same = <T>(value: T): unknown => value;

function fromString<T>(expected: string, parse: (text: string) => T | undefined): z.ZodType<T> {
  return z.string(`expected ${expected}`).transform((text, context): T => {
    const value = parse(text);
    if (value !== undefined) return value;
    context.issues.push({ code: 'custom', message: `expected ${expected}`, input: text });
    return z.NEVER;
  });
}

/** Non-empty text on one line. */
export function text(placeholder = 'TEXT', lengthMax = 4_096): ValueType<string> {
  const expected = `a line of 1 to ${String(lengthMax)} characters`;
  const schema = fromString(expected, (value) =>
    value.length <= lengthMax && /^[^\n\r\0]+$/.test(value) ? value : undefined,
  );
  return { schema, fromText: asIs, format: same, placeholder, list: false };
}

/** Text on one line that may be empty, which means "not set". */
export function optionalText(placeholder = 'TEXT'): ValueType<string> {
  const schema = fromString('a line of text', (value) => (/^[^\n\r\0]*$/.test(value) ? value : undefined));
  return { schema, fromText: asIs, format: same, placeholder, list: false };
}

/** A whole number in `[min, max]`. */
export function integer(min: number, max: number): ValueType<number> {
  const message = `expected a whole number from ${String(min)} to ${String(max)}`;
  return {
    schema: z.number(message).int(message).min(min, message).max(max, message),
    fromText: (value) => (/^-?\d+$/.test(value.trim()) ? Number(value) : value),
    format: same,
    placeholder: 'N',
    list: false,
  };
}

/** True or false. A flag of this type takes no value. */
export function flag(): ValueType<boolean> {
  const words: Readonly<Record<string, boolean>> = {
    true: true,
    '1': true,
    yes: true,
    false: false,
    '0': false,
    no: false,
  };
  return {
    schema: z.boolean('expected true or false'),
    fromText: (value) => words[value.trim().toLowerCase()] ?? value,
    format: same,
    placeholder: '',
    list: false,
  };
}

/** One of a few words. */
export function oneOf<const Word extends string>(...words: readonly [Word, ...Word[]]): ValueType<Word> {
  return {
    schema: z.enum(words, `expected one of ${words.join(', ')}`),
    fromText: asIs,
    format: same,
    placeholder: words.join('|'),
    list: false,
  };
}

const unitsMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time span with its unit, as milliseconds in `[minMs, maxMs]`. */
export function duration(minMs: number, maxMs: number): ValueType<number> {
  const expected = `a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}, for example "500ms", "10s", "5m" or "2h"`;
  const schema = fromString(expected, (value) => {
    const match = /^(\d+)(ms|s|m|h|d)$/.exec(value.trim());
    const result = Number(match?.[1]) * (unitsMs[match?.[2] ?? ''] ?? Number.NaN);
    return result >= minMs && result <= maxMs ? result : undefined;
  });
  return { schema, fromText: asIs, format: formatDuration, placeholder: 'DURATION', list: false };
}

function formatDuration(valueMs: number): string {
  const [unit, size] = Object.entries(unitsMs).findLast(
    ([, unitMs]) => valueMs > 0 && valueMs % unitMs === 0,
  ) ?? ['ms', 1];
  return `${String(valueMs / size)}${unit}`;
}

const unitsBytes: Readonly<Record<string, number>> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };

/** An amount of memory or disk with its unit, as bytes in `[min, max]`. */
export function size(min: number, max: number): ValueType<number> {
  const expected = `a size from ${formatSize(min)} to ${formatSize(max)}, for example "512KiB", "64MiB" or "1GiB"`;
  const schema = fromString(expected, (value) => {
    const match = /^(\d+)\s?(B|KiB|MiB|GiB)$/.exec(value.trim());
    const result = Number(match?.[1]) * (unitsBytes[match?.[2] ?? ''] ?? Number.NaN);
    return result >= min && result <= max ? result : undefined;
  });
  return { schema, fromText: asIs, format: formatSize, placeholder: 'SIZE', list: false };
}

function formatSize(value: number): string {
  const [unit, bytes] = Object.entries(unitsBytes).findLast(
    ([, each]) => value > 0 && value % each === 0,
  ) ?? ['B', 1];
  return `${String(value / bytes)}${unit}`;
}

const addressExpected = 'host:port with a port from 1 to 65535, for example "127.0.0.1:9443" or "[::1]:9443"';

/** A TCP address. */
export function address(): ValueType<Address> {
  return {
    schema: fromString(addressExpected, parseAddress),
    fromText: asIs,
    format: formatAddress,
    placeholder: 'HOST:PORT',
    list: false,
  };
}

/** A TCP address, or empty for "the default that depends on other settings". */
export function optionalAddress(): ValueType<Address | undefined> {
  return {
    schema: z.union(
      [z.literal('').transform(() => undefined), fromString(addressExpected, parseAddress)],
      `expected ${addressExpected}`,
    ),
    fromText: asIs,
    format: (value) => (value === undefined ? '' : formatAddress(value)),
    placeholder: 'HOST:PORT',
    list: false,
  };
}

/** Any number of lines of text. */
export function textList(placeholder: string): ValueType<readonly string[]> {
  return {
    schema: z.array(text().schema, 'expected a list of texts'),
    fromText: asIs,
    format: same,
    placeholder,
    list: true,
  };
}

/** Any number of a few words, at least one. */
export function someOf<const Word extends string>(
  ...words: readonly [Word, ...Word[]]
): ValueType<readonly Word[]> {
  const expected = `a list of ${words.join(', ')}`;
  return {
    schema: z.array(z.enum(words, `expected one of ${words.join(', ')}`), `expected ${expected}`).min(1),
    fromText: asIs,
    format: same,
    placeholder: 'NAME',
    list: true,
  };
}

/** An HTTP address without a query, or empty for "not set". */
export function optionalUrl(): ValueType<string> {
  const schema = fromString(
    'an http:// or https:// address, for example "https://login.example.org"',
    (value) =>
      value === '' || (/^https?:\/\/[^\s?#]+$/.test(value) && URL.canParse(value)) ? value : undefined,
  );
  return { schema, fromText: asIs, format: same, placeholder: 'URL', list: false };
}

/** Any number of TCP addresses. */
export function addressList(): ValueType<readonly Address[]> {
  return {
    schema: z.array(
      fromString(addressExpected, parseAddress),
      `expected a list of addresses, each ${addressExpected}`,
    ),
    fromText: asIs,
    format: (value) => value.map(formatAddress),
    placeholder: 'HOST:PORT',
    list: true,
  };
}
