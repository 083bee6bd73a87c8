/** `pact-journal commit`: declares a change of state for a scope. */
import { formatScope, TTL_SECONDS_MAX, TTL_SECONDS_MIN, type EntrySeq } from '@pact-journal/journal-state';
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { readDelta } from '../delta-input.ts';
import { CliError } from '../errors.ts';
import { withJournal } from '../journal.ts';
import { checkedEntry } from '../new-entry.ts';
import {
  addAuthorOptions,
  addScopeOptions,
  authorOf,
  parseSequence,
  requiredScope,
  type AuthorFlags,
  type ScopeFlags,
} from '../options.ts';
import { parseDuration } from '../parse.ts';
import { printPending } from '../policy/approvals.ts';
import { printPreview } from '../preview.ts';
import { countDelta, formatCounts } from '../render.ts';

interface CommitFlags extends ScopeFlags, AuthorFlags {
  readonly file: string;
  readonly message?: string;
  readonly ttl?: number;
  readonly parent?: EntrySeq;
  readonly bootConfig?: boolean;
  readonly dryRun?: boolean;
}

export function register(program: Command, context: CliContext): void {
  const command = program
    .command('commit')
    .description('Commit a state delta: it is acknowledged once a majority has it on disk.')
    .requiredOption('-f, --file <file>', 'the state delta as JSON, - for standard input')
    .option('-m, --message <text>', 'what it is for')
    .option('--ttl <duration>', 'roll it back after this time, 15m to 10d', parseTtl)
    .option('--parent <sequence>', 'an earlier entry that this one continues', parseSequence('--parent'))
    .option('--boot-config', 'configuration declared ahead of a first boot')
    .option('--dry-run', 'show what would change on how many nodes and commit nothing');
  addScopeOptions(command, 'commit to');
  addAuthorOptions(command);
  command.action(async (flags: CommitFlags) => {
    const scope = requiredScope(flags);
    const delta = await readDelta(context, flags.file);
    const entry = checkedEntry({
      entry_type: flags.bootConfig === true ? 'BootConfig' : 'Commit',
      scope,
      author: authorOf(flags),
      parent: flags.parent ?? null,
      state_delta: delta,
      policy_ref: null,
      ttl_seconds: flags.ttl ?? null,
      emergency_reason: null,
      ...(flags.message === undefined ? {} : { message: flags.message }),
    });
    await withJournal(context, async (journal) => {
      if (flags.dryRun === true) return printPreview(context, await journal.preview(entry));
      const receipt = await journal.append(entry);
      if (context.globals.json) return context.out.json(receipt);
      if (receipt.pending_approval === true) return printPending(context, String(receipt.sequence));
      const change = formatCounts(countDelta(delta)) || 'nothing changes';
      context.out.line(`committed ${String(receipt.sequence)} to ${formatScope(scope)}: ${change}`);
    });
  });
}

function parseTtl(text: string): number {
  const seconds = parseDuration('--ttl')(text);
  if (seconds < TTL_SECONDS_MIN || seconds > TTL_SECONDS_MAX) {
    throw new CliError(
      'usage',
      `--ttl: ${text} is out of range, allowed are 15 minutes (15m) to 10 days (10d)`,
    );
  }
  return seconds;
}
