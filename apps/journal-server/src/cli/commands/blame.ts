/** `pact-journal blame`: for each key in effect, the entry, author and time that set it. */
import { DELTA_KINDS, type DeltaKind, type EntrySeq } from '@pact-journal/journal-state';
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import { addScopeOptions, parseSequence, requiredScope, type ScopeFlags } from '../options.ts';
import { parseKinds } from '../parse.ts';
import { describeValue, formatTime } from '../render.ts';

interface BlameFlags extends ScopeFlags {
  readonly kind?: readonly DeltaKind[];
  readonly asOf?: EntrySeq;
}

export function register(program: Command, context: CliContext): void {
  const command = program
    .command('blame')
    .description('For each key in effect: which entry, author and time set it.')
    .option(
      '--kind <kinds>',
      `comma-separated, of ${DELTA_KINDS.join(', ')} (default all)`,
      parseKinds('--kind'),
    )
    .option('--as-of <sequence>', 'right after this entry (default: now)', parseSequence('--as-of'));
  addScopeOptions(command, 'the configuration of');
  command.action(async (flags: BlameFlags) => {
    const scope = requiredScope(flags);
    const kinds = new Set(flags.kind ?? DELTA_KINDS);
    const { out } = context;
    await withJournal(context, async (journal) => {
      for await (const item of journal.effectiveConfig(scope, flags.asOf)) {
        if (!kinds.has(item.kind)) continue;
        if (context.globals.json) {
          out.json(item);
          continue;
        }
        const origin = [
          out.colors.yellow(String(item.set_by).padStart(6)),
          formatTime(item.set_at),
          item.set_author.principal.padEnd(12),
          item.kind.padEnd(8),
        ];
        out.line(`${origin.join('  ')}  ${item.key} = ${describeValue(item.kind, item.value, item.spec)}`);
      }
    });
  });
}
