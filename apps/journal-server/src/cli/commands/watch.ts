/** `pact-journal watch`: follows updates as a node gets them. */
import type { EntrySeq } from '@pact-journal/journal-state';
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { untilInterrupted } from '../interruption.ts';
import { withJournal } from '../journal.ts';
import { parseSequence } from '../options.ts';

interface WatchFlags {
  readonly node?: string;
  readonly vcluster?: string;
  readonly from?: EntrySeq;
}

export function register(program: Command, context: CliContext): void {
  program
    .command('watch')
    .description(
      'Follow updates as they are committed: those that concern a node (its own, its virtual cluster and global), or ' +
        'without --node those of a virtual cluster, or of all. Ends with Ctrl-C.',
    )
    .option('--node <name>', 'the node')
    .option('--vcluster <name>', 'the virtual cluster (default: the one that the node is assigned to)')
    .option('--from <sequence>', 'start with this entry (default: the next one)', parseSequence('--from'))
    .action(async (flags: WatchFlags) => {
      const { printUpdates } = await import('../updates.ts');
      // Also tells at once where nobody is reached: a subscription by itself would go on trying.
      const next = await withJournal(context, async (journal) => (await journal.status()).entries);
      const subscription = {
        nodeId: flags.node ?? '',
        vclusterId: flags.vcluster ?? '',
        fromSequence: flags.from ?? next,
      };
      await untilInterrupted((signal) => printUpdates(context, subscription, signal));
    });
}
