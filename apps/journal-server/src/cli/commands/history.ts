/** `pact-journal history`: every entry that ever touched a key. */
import { DELTA_KINDS, type DeltaKind } from '@pact-journal/journal-state';
import { Argument, type Command } from 'commander';
import type { CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import { addScopeOptions, scopeOf, type ScopeFlags } from '../options.ts';
import { parseChoice, parseCount } from '../parse.ts';
import { entryLine, itemLine } from '../render.ts';

interface HistoryFlags extends ScopeFlags {
  readonly limit?: number;
}

export function register(program: Command, context: CliContext): void {
  const command = program
    .command('history')
    .description('List every entry that touched a key, oldest first, with what it says about that key.')
    .addArgument(new Argument('<kind>', DELTA_KINDS.join(', ')).argParser(parseChoice('kind', DELTA_KINDS)))
    .argument('<key>', 'mount point, path, interface, service, sysctl, package or GPU index')
    .option('-n, --limit <n>', 'only the newest n', parseCount('--limit', 1, 0xffff_ffff));
  addScopeOptions(command, 'only entries that concern');
  command.action(async (kind: DeltaKind, key: string, flags: HistoryFlags) => {
    await withJournal(context, async (journal) => {
      for await (const entry of journal.history(kind, key, { scope: scopeOf(flags), limit: flags.limit })) {
        if (context.globals.json) {
          context.out.json(entry);
          continue;
        }
        context.out.line(entryLine(context.out, entry));
        for (const item of entry.state_delta?.[kind] ?? [])
          context.out.line(`        ${itemLine(context.out, kind, item)}`);
      }
    });
  });
}
