/** Entries and deltas for human eyes. */
import {
  DELTA_KINDS,
  type ConfigEntry,
  type Decision,
  type DeltaItem,
  type DeltaKind,
  formatScope,
  type StateDelta,
} from '@pact-journal/journal-state';
import type { Output } from './output.ts';
import { printFields, shorten } from './tables.ts';

/** `2026-11-24T08:00:00.000Z` as `2026-11-24 08:00:00`. */
export function formatTime(timestamp: string): string {
  return timestamp.slice(0, 19).replace('T', ' ');
}

/** How many keys a delta adds, modifies and removes. */
export interface DeltaCounts {
  readonly added: number;
  readonly modified: number;
  readonly removed: number;
}

export function countDelta(delta: StateDelta): DeltaCounts {
  const counts = { added: 0, modified: 0, removed: 0 };
  for (const kind of DELTA_KINDS) {
    for (const { action } of delta[kind]) {
      if (action === 'Add') counts.added += 1;
      else if (action === 'Modify') counts.modified += 1;
      else counts.removed += 1;
    }
  }
  return counts;
}

/** `+2345 ~3 -1`; empty for a delta that changes nothing. */
export function formatCounts(counts: DeltaCounts): string {
  const parts = [
    [counts.added, '+'],
    [counts.modified, '~'],
    [counts.removed, '-'],
  ] as const;
  return parts
    .filter(([count]) => count > 0)
    .map(([count, sign]) => `${sign}${String(count)}`)
    .join(' ');
}

/** One entry as one line of a log. */
export function entryLine(out: Output, entry: ConfigEntry): string {
  const { colors } = out;
  const change = entry.state_delta === null ? '' : formatCounts(countDelta(entry.state_delta));
  const words = shorten(entryWords(entry), 60);
  const columns = [
    colors.yellow(String(entry.sequence).padStart(6)),
    formatTime(entry.timestamp),
    entry.entry_type.padEnd(14),
    formatScope(entry.scope).padEnd(22),
    entry.author.principal.padEnd(12),
    change.padEnd(10),
    words,
  ];
  return columns.join('  ').trimEnd();
}

/** What the author said: the message, the reason of an emergency, or what a commit carried as its policy reference. */
export function entryWords(entry: ConfigEntry): string {
  return (
    entry.message ?? entry.emergency_reason ?? (entry.entry_type === 'Commit' ? (entry.policy_ref ?? '') : '')
  );
}

/** An entry with all of its fields and its delta. */
export function printEntry(out: Output, entry: ConfigEntry, maxItems: number): void {
  const { author } = entry;
  const fields: [string, string][] = [
    ['sequence', String(entry.sequence)],
    ['time', entry.timestamp],
    ['type', entry.entry_type],
    ['scope', formatScope(entry.scope)],
    ['author', `${author.principal} (${author.principal_type}, ${author.role})`],
  ];
  const words = entryWords(entry);
  if (words !== '') fields.push(['message', words]);
  if (entry.parent !== null) fields.push(['parent', String(entry.parent)]);
  if (entry.policy_ref !== null && entry.policy_ref !== words) fields.push(['policy', entry.policy_ref]);
  if (entry.ttl_seconds !== null) fields.push(['ttl', `${String(entry.ttl_seconds)} s`]);
  if (entry.expires !== undefined) fields.push(['expires', `entry ${String(entry.expires)}`]);
  if (entry.proposal !== undefined)
    fields.push(['asks for', `${entry.proposal.entry_type}, until ${entry.proposal.expires_at}`]);
  if (entry.decision !== undefined) fields.push(['approval', decisionWords(entry.decision)]);
  fields.push(['hash', entry.hash]);
  printFields(out, fields);
  if (entry.state_delta === null) return;
  out.line('');
  printDelta(out, entry.state_delta, maxItems);
}

function decisionWords({ pending, outcome, by, reason }: Decision): string {
  const words = reason === null ? '' : `: ${reason}`;
  return `entry ${String(pending)} ${outcome} by ${by.principal} (${by.principal_type}, ${by.role})${words}`;
}

/** A delta, kind by kind, a line a key; of each kind at most `maxItems`. */
export function printDelta(
  out: Output,
  delta: StateDelta,
  maxItems: number = Number.POSITIVE_INFINITY,
): void {
  for (const kind of DELTA_KINDS) {
    const items = delta[kind];
    if (items.length === 0) continue;
    out.line(out.colors.bold(`${kind} (${String(items.length)})`));
    for (const item of items.slice(0, maxItems)) out.line(`  ${itemLine(out, kind, item)}`);
    if (items.length > maxItems)
      out.line(out.colors.dim(`  … ${String(items.length - maxItems)} more (--full)`));
  }
}

/** `+ vm.swappiness = 10 (was 60)` */
export function itemLine(out: Output, kind: DeltaKind, item: DeltaItem): string {
  const { colors } = out;
  const value = describeValue(kind, item.value, item.spec);
  if (item.action === 'Remove') {
    return colors.red(`- ${item.key}${item.previous === null ? '' : ` (was ${oneLine(item.previous)})`}`);
  }
  const before =
    item.previous === null || item.action === 'Add' ? '' : colors.dim(` (was ${oneLine(item.previous)})`);
  const text = `${item.key} = ${value}`;
  return `${item.action === 'Add' ? colors.green(`+ ${text}`) : colors.yellow(`~ ${text}`)}${before}`;
}

/** A key's value with what its spec adds: a mount's type and options, a file's mode and owner. */
export function describeValue(kind: DeltaKind, value: string | null, spec: DeltaItem['spec']): string {
  const text =
    value === null ? '(none)' : oneLine(kind === 'files' ? value.slice(0, 'sha256:'.length + 12) : value);
  if (spec === undefined) return text;
  if ('source' in spec) return `${text} ${spec.fs_type} ${spec.options}${spec.read_only ? ' read-only' : ''}`;
  const mode = spec.mode === undefined ? '' : ` 0${spec.mode.toString(8)}`;
  return `${text}${mode}${spec.owner === undefined ? '' : ` ${spec.owner}`}`;
}

function oneLine(text: string): string {
  return shorten(text, 100);
}
