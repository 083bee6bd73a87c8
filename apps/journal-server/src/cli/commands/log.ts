/** `pact-journal log`: lists entries, oldest first. */
import { setTimeout as delay } from 'node:timers/promises';
import { ENTRY_TYPES, type EntryFilter, type EntrySeq, type EntryType } from '@pact-journal/journal-state';
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { untilInterrupted } from '../interruption.ts';
import type { JournalClient } from '@pact-journal/journal-client';
import { withJournal } from '../journal.ts';
import { addScopeOptions, parseSequence, scopeOf, type ScopeFlags } from '../options.ts';
import { parseChoice, parseCount } from '../parse.ts';
import { entryLine } from '../render.ts';
import { knownVClusters, unknownVCluster } from '../unknown-vcluster.ts';

interface LogFlags extends ScopeFlags {
  readonly type?: readonly EntryType[];
  readonly author?: string;
  readonly from?: EntrySeq;
  readonly to?: EntrySeq;
  readonly limit?: number;
  readonly follow?: boolean;
}

/** How often `--follow` asks for more. */
const FOLLOW_INTERVAL_MS = 300;

export function register(program: Command, context: CliContext): void {
  const command = program
    .command('log')
    .description('List entries, oldest first, as the reached replica has them.')
    .option('--type <types>', `comma-separated, of ${ENTRY_TYPES.join(', ')}`, parseTypes)
    .option('--author <principal>', 'only entries by this principal')
    .option('--from <sequence>', 'lowest sequence', parseSequence('--from'))
    .option('--to <sequence>', 'highest sequence', parseSequence('--to'))
    .option('-n, --limit <n>', 'only the newest n matches', parseCount('--limit', 1, 0xffff_ffff))
    .option('--follow', 'go on with new entries until interrupted');
  addScopeOptions(command, 'only entries that concern');
  command.action(async (flags: LogFlags) => {
    const scope = scopeOf(flags);
    const filter: EntryFilter = {
      ...(scope === undefined ? {} : { scope }),
      ...(flags.type === undefined ? {} : { entry_types: flags.type }),
      ...(flags.author === undefined ? {} : { author: flags.author }),
      ...(flags.from === undefined ? {} : { from_sequence: flags.from }),
      ...(flags.to === undefined ? {} : { to_sequence: flags.to }),
      ...(flags.limit === undefined ? {} : { limit: flags.limit }),
    };
    await withJournal(context, async (journal) => {
      // How far the journal was before the listing: what comes later is what following shows.
      const known = flags.follow === true ? (await journal.status()).entries : 0;
      const last = await print(context, journal, filter);
      if (last < 0 && flags.vcluster !== undefined && !context.globals.json)
        await remarkUnknown(context, journal, flags.vcluster);
      if (flags.follow !== true) return;
      await untilInterrupted((signal) => follow(context, journal, filter, Math.max(known, last + 1), signal));
    });
  });
}

function parseTypes(text: string): readonly EntryType[] {
  const one = parseChoice<EntryType>('--type', ENTRY_TYPES);
  return text.split(',').map((part) => one(part.trim()));
}

/** Prints matching entries and returns the last one's sequence, -1 for none. */
async function print(context: CliContext, journal: JournalClient, filter: EntryFilter): Promise<number> {
  let last = -1;
  for await (const entry of journal.entries(filter)) {
    if (context.globals.json) context.out.json(entry);
    else context.out.line(entryLine(context.out, entry));
    last = entry.sequence;
  }
  return last;
}

/** An empty list of a virtual cluster that nobody knows may be a typing error. */
async function remarkUnknown(context: CliContext, journal: JournalClient, vcluster: string): Promise<void> {
  // Only a hint: the listing itself has succeeded.
  const known = await knownVClusters(journal).catch(() => [vcluster]);
  if (!known.includes(vcluster)) context.out.note(unknownVCluster(vcluster, known));
}

async function follow(
  context: CliContext,
  journal: JournalClient,
  filter: EntryFilter,
  from: number,
  signal: AbortSignal,
): Promise<void> {
  const { limit: _limit, ...matching } = filter;
  let next = from;
  while (!signal.aborted && (filter.to_sequence === undefined || next <= filter.to_sequence)) {
    const last = await print(context, journal, { ...matching, from_sequence: next as EntrySeq });
    if (last >= next) next = last + 1;
    else await delay(FOLLOW_INTERVAL_MS, undefined, { signal });
  }
}
