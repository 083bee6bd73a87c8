/** `pact-journal diff`: what turns one configuration into another. */
import type { EntrySeq, Scope } from '@pact-journal/journal-state';
import { Argument, Option, type Command } from 'commander';
import type { CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import { addScopeOptions, parseSequence, requiredScope, type ScopeFlags } from '../options.ts';
import { countDelta, formatCounts, printDelta } from '../render.ts';

interface DiffFlags extends ScopeFlags {
  readonly withVcluster?: string;
  readonly withNode?: string;
}

export function register(program: Command, context: CliContext): void {
  const command = program
    .command('diff')
    .description(
      "Show what changed in a scope's configuration between two entries, or how two scopes differ.",
    )
    .addArgument(
      new Argument('[from]', 'right after this entry (default: now)').argParser(parseSequence('from')),
    )
    .addArgument(new Argument('[to]', 'right after this entry (default: now)').argParser(parseSequence('to')))
    .addOption(new Option('--with-vcluster <name>', 'compare with a virtual cluster').conflicts(['withNode']))
    .addOption(new Option('--with-node <name>', 'compare with a node').conflicts(['withVcluster']));
  addScopeOptions(command, 'the configuration of');
  command.action(async (from: EntrySeq | undefined, to: EntrySeq | undefined, flags: DiffFlags) => {
    const left = requiredScope(flags);
    await withJournal(context, async (journal) => {
      const delta = await journal.diff(
        { scope: left, as_of: from },
        { scope: otherScope(flags) ?? left, as_of: to },
      );
      if (context.globals.json) return context.out.json(delta);
      printDelta(context.out, delta);
      context.out.line(formatCounts(countDelta(delta)) || 'no difference');
    });
  });
}

function otherScope(flags: DiffFlags): Scope | undefined {
  if (flags.withVcluster !== undefined) return { VCluster: flags.withVcluster };
  return flags.withNode === undefined ? undefined : { Node: flags.withNode };
}
