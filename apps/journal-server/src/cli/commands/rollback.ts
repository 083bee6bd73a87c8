/** `pact-journal rollback`: makes a scope's configuration what it was right after an earlier entry. */
import { formatScope, type EntrySeq, type NewConfigEntry, type Scope } from '@pact-journal/journal-state';
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import { checkedEntry } from '../new-entry.ts';
import {
  addAuthorOptions,
  addScopeOptions,
  authorOf,
  parseSequence,
  scopeOf,
  type AuthorFlags,
  type ScopeFlags,
} from '../options.ts';
import { printPending } from '../policy/approvals.ts';
import { printPreview } from '../preview.ts';

interface RollbackFlags extends ScopeFlags, AuthorFlags {
  readonly to: EntrySeq;
  readonly message?: string;
  readonly dryRun?: boolean;
}

export function register(program: Command, context: CliContext): void {
  const command = program
    .command('rollback')
    .description(
      "Make a scope's configuration what it was right after an entry; later entries stay in the log.",
    )
    .requiredOption('--to <sequence>', 'the entry whose state is restored', parseSequence('--to'))
    .option('-m, --message <text>', 'why')
    .option('--dry-run', 'show what would change on how many nodes and commit nothing');
  addScopeOptions(command, "roll back (default: the entry's own scope)");
  addAuthorOptions(command);
  command.action(async (flags: RollbackFlags) => {
    const entryFor = (scope: Scope): NewConfigEntry =>
      checkedEntry({
        entry_type: 'Rollback',
        scope,
        author: authorOf(flags),
        parent: flags.to,
        state_delta: null,
        policy_ref: null,
        ttl_seconds: null,
        emergency_reason: null,
        ...(flags.message === undefined ? {} : { message: flags.message }),
      });
    const named = scopeOf(flags);
    // Whatever the scope: options that no entry may have are refused before the journal is asked for it.
    entryFor(named ?? 'Global');
    await withJournal(context, async (journal) => {
      const scope = named ?? (await journal.entry(flags.to)).scope;
      const entry = entryFor(scope);
      if (flags.dryRun === true) return printPreview(context, await journal.preview(entry));
      const receipt = await journal.append(entry);
      if (context.globals.json) return context.out.json(receipt);
      if (receipt.pending_approval === true) return printPending(context, String(receipt.sequence));
      context.out.line(
        `${formatScope(scope)} is as it was after ${String(flags.to)} (entry ${String(receipt.sequence)})`,
      );
    });
  });
}
