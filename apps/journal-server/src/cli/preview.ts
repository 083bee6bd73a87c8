/** What `--dry-run` shows. */
import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';
import type { EntryPreview } from '@pact-journal/journal-client';
import { countDelta, formatCounts, printDelta } from './render.ts';
import { formatCount } from './tables.ts';

/** Prints it; a preview of an entry that would be refused fails as the entry would. */
export function printPreview(context: CliContext, preview: EntryPreview): void {
  if (preview.refusal !== '') throw new CliError('refused', `would be refused: ${preview.refusal}`);
  if (context.globals.json) {
    context.out.json({
      dry_run: true,
      delta: preview.delta,
      affected_nodes: preview.affected_nodes,
      affected_vclusters: preview.affected_vclusters,
      wants_approval: preview.wants_approval,
    });
    return;
  }
  printDelta(context.out, preview.delta);
  const change = formatCounts(countDelta(preview.delta)) || 'nothing';
  context.out.line(
    `would change ${change} on ${formatCount(preview.affected_nodes)} nodes, ` +
      `${formatCount(preview.affected_vclusters)} overlays to rebuild; nothing was committed`,
  );
  if (preview.wants_approval) context.out.line('it would wait for a second person before it takes effect');
}
