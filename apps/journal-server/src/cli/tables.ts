/** Tables for humans. */
import Table from 'cli-table3';
import type { Output } from './output.ts';

/** No borders: tables that can be read, cut and pasted. */
const PLAIN = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
} as const;

/** Prints rows below a heading; nothing but the heading when there are none. */
export function printTable(out: Output, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const table = new Table({
    head: head.map((title) => out.colors.bold(title)),
    chars: PLAIN,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
  });
  for (const row of rows) table.push([...row]);
  for (const line of table.toString().split('\n')) out.line(line.trimEnd());
}

/** Prints `name  value` lines, names aligned. */
export function printFields(out: Output, fields: readonly (readonly [string, string])[]): void {
  const width = Math.max(...fields.map(([name]) => name.length));
  for (const [name, value] of fields) out.line(`${out.colors.bold(name.padEnd(width))}  ${value}`);
}

/** Cuts a text to a width in characters, with an ellipsis. */
export function shorten(text: string, width: number): string {
  const flat = text.replace(/\s+/gu, ' ');
  return flat.length <= width ? flat : `${flat.slice(0, Math.max(0, width - 1))}…`;
}

/** `1536` as `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? String(value) : value.toFixed(1)} ${units[unit] ?? ''}`;
}

/** `1234567` as `1,234,567`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

const SPANS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const;

/** `93784000` milliseconds as `1 d 2 h`: the two largest units. */
export function formatSpan(ms: number): string {
  const at = SPANS.findIndex(([, unitMs]) => ms >= unitMs);
  const [unit, unitMs] = SPANS[at] ?? ['ms', 1];
  const [lesser, lesserMs] = SPANS[at + 1] ?? ['ms', 1];
  const rest = Math.floor((ms % unitMs) / lesserMs);
  const largest = `${String(Math.floor(ms / unitMs))} ${unit}`;
  return rest === 0 || unit === 's' || unit === 'ms' ? largest : `${largest} ${String(rest)} ${lesser}`;
}

/** The time of a state in words: one that no command has changed yet has the first time that there can be. */
export function formatMoment(clock: string): string {
  return clock.startsWith('0000-') ? 'the beginning' : clock;
}
