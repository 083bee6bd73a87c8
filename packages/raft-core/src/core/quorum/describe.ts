import { NO_INDEX } from '../ids.ts';
import type { LogIndex, NodeId } from '../types.ts';
import type { AckedIndexer, MajorityConfig } from './majority.ts';

interface Row {
  readonly id: NodeId;
  readonly index: LogIndex;
  readonly known: boolean;
  bar: number;
}

/**
 * A picture of what each voter has acknowledged: a bar per voter, as long as the number of voters that are behind it.
 * A voter that nothing is known of shows a question mark. Ids are hexadecimal.
 */
export function describeMajority(config: MajorityConfig, acked: AckedIndexer): string {
  const size = config.length;
  if (size === 0) return '<empty majority quorum>';
  const rows = config.map((id): Row => {
    const index = acked.ackedIndex(id);
    return { id, index: index ?? NO_INDEX, known: index !== undefined, bar: 0 };
  });
  const byIndex = [...rows].sort((a, b) => a.index - b.index || a.id - b.id);
  byIndex.forEach((row, position) => {
    const previous = byIndex[position - 1];
    if (previous !== undefined) row.bar = previous.index < row.index ? position : previous.bar;
  });
  const lines = rows.map((row) => {
    const bar = row.known ? `${'x'.repeat(row.bar)}>${' '.repeat(size - row.bar)}` : `?${' '.repeat(size)}`;
    return `${bar} ${String(row.index).padStart(5)}    (id=${row.id.toString(16)})\n`;
  });
  return `${' '.repeat(size)}    idx\n${lines.join('')}`;
}
