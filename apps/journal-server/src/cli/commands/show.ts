/** `pact-journal show`: one entry with all that the journal knows about it. */
import { Argument, type Command } from 'commander';
import type { EntrySeq } from '@pact-journal/journal-state';
import type { CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import { parseSequence } from '../options.ts';
import { printEntry } from '../render.ts';

/** Keys of one kind that are shown unless all are asked for. */
const SHOWN_ITEMS = 20;

export function register(program: Command, context: CliContext): void {
  program
    .command('show')
    .description('Show one entry with its delta.')
    .addArgument(new Argument('<sequence>', 'the entry').argParser(parseSequence('sequence')))
    .option('--full', `all keys, not only the first ${String(SHOWN_ITEMS)} of each kind`)
    .action(async (sequence: EntrySeq, flags: { readonly full?: boolean }) => {
      await withJournal(context, async (journal) => {
        const entry = await journal.entry(sequence);
        if (context.globals.json) context.out.json(entry);
        else printEntry(context.out, entry, flags.full === true ? Number.POSITIVE_INFINITY : SHOWN_ITEMS);
      });
    });
}
