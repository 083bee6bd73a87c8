/** `pact-journal snapshot`: has the reached node take a snapshot. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import { formatBytes } from '../tables.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('snapshot')
    .description('Take a snapshot on the reached node now; done when it is durable.')
    .action(() =>
      withJournal(context, async (journal) => {
        const snapshot = await journal.createSnapshot();
        if (context.globals.json) return context.out.json(snapshot);
        context.out.line(
          `snapshot up to index ${String(snapshot.index)}, term ${String(snapshot.term)}: ` +
            `${formatBytes(snapshot.size_bytes)}, of which ${formatBytes(snapshot.written_bytes)} were new`,
        );
      }),
    );
}
