/** `pact-journal emergency`: suspends enforcement for a scope while somebody repairs it by hand. */
import { formatScope, type EntryType } from '@pact-journal/journal-state';
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { CliError } from '../errors.ts';
import { withJournal } from '../journal.ts';
import { checkedEntry } from '../new-entry.ts';
import {
  addAuthorOptions,
  addScopeOptions,
  authorOf,
  requiredScope,
  type AuthorFlags,
  type ScopeFlags,
} from '../options.ts';
import { formatTime } from '../render.ts';
import { printTable, shorten } from '../tables.ts';

interface EmergencyFlags extends ScopeFlags, AuthorFlags {
  readonly message?: string;
}

export function register(program: Command, context: CliContext): void {
  const emergency = program.command('emergency').description('Start, end and list emergencies.');

  const start = emergency
    .command('start')
    .description("Start an emergency: the scope's nodes are left alone until it is ended.")
    .requiredOption('-m, --message <reason>', 'why', parseReason);
  addScopeOptions(start, 'an emergency of');
  addAuthorOptions(start);
  start.action((flags: EmergencyFlags) => append(context, 'EmergencyStart', flags));

  const end = emergency
    .command('end')
    .description('End an emergency.')
    .option('-m, --message <text>', 'what was done');
  addScopeOptions(end, 'the emergency of');
  addAuthorOptions(end);
  end.action((flags: EmergencyFlags) => append(context, 'EmergencyEnd', flags));

  emergency
    .command('list')
    .description('List emergencies that have not ended.')
    .option('--stale', 'only those that outlived their window')
    .action((flags: { readonly stale?: boolean }) =>
      withJournal(context, async (journal) => {
        const emergencies = await journal.emergencies({ stale_only: flags.stale === true });
        if (context.globals.json) {
          for (const each of emergencies) context.out.json(each);
          return;
        }
        printTable(
          context.out,
          ['ENTRY', 'SCOPE', 'BY', 'SINCE', 'WINDOW ENDS', 'REASON'],
          emergencies.map((each) => [
            String(each.sequence),
            formatScope(each.scope),
            each.author.principal,
            formatTime(each.started_at),
            `${formatTime(each.window_ends_at)}${each.stale ? ' (stale)' : ''}`,
            shorten(each.reason, 60),
          ]),
        );
      }),
    );
}

function parseReason(text: string): string {
  if (text.trim() === '') throw new CliError('usage', '--message: the reason is empty');
  return text;
}

async function append(context: CliContext, type: EntryType, flags: EmergencyFlags): Promise<void> {
  const scope = requiredScope(flags);
  const starts = type === 'EmergencyStart';
  const entry = checkedEntry({
    entry_type: type,
    scope,
    author: authorOf(flags),
    parent: null,
    state_delta: null,
    policy_ref: null,
    ttl_seconds: null,
    emergency_reason: starts ? (flags.message ?? null) : null,
    ...(starts || flags.message === undefined ? {} : { message: flags.message }),
  });
  await withJournal(context, async (journal) => {
    const receipt = await journal.append(entry);
    if (context.globals.json) context.out.json(receipt);
    else
      context.out.line(
        `emergency of ${formatScope(scope)} ${starts ? 'started' : 'ended'} (entry ${String(receipt.sequence)})`,
      );
  });
}
