/** `pact-journal policy evaluate`: whether somebody may do something. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { readDelta } from '../delta-input.ts';
import { CliError } from '../errors.ts';
import { withJournal } from '../journal.ts';
import {
  addAuthorOptions,
  addScopeOptions,
  authorOf,
  requiredScope,
  type AuthorFlags,
  type ScopeFlags,
} from '../options.ts';

interface EvaluateFlags extends ScopeFlags, AuthorFlags {
  readonly command?: string;
  readonly file?: string;
}

export function registerEvaluate(policy: Command, context: CliContext): void {
  const evaluate = policy
    .command('evaluate')
    .description('Ask whether somebody may do something, without doing it. Exits with 4 where not.')
    .argument('<action>', 'commit, rollback, exec, shell, emergency_start, policy_update, approve, ...')
    .option('--command <line>', 'the command line of an exec or shell')
    .option('-f, --file <file>', 'the state delta of a commit as JSON, - for standard input');
  addScopeOptions(evaluate, 'in');
  addAuthorOptions(evaluate);
  evaluate.action(async (action: string, flags: EvaluateFlags) => {
    const scope = requiredScope(flags);
    const delta = flags.file === undefined ? undefined : await readDelta(context, flags.file);
    await withJournal(context, async (journal) => {
      const answer = await journal.evaluate({
        author: authorOf(flags),
        scope,
        action,
        ...(delta === undefined ? {} : { proposed_change: delta }),
        ...(flags.command === undefined ? {} : { command: flags.command }),
      });
      const reason = answer.denial_reason ?? '';
      if (context.globals.json) context.out.json(answer);
      else if (answer.authorized)
        context.out.line(`allowed${reason === '' ? '' : `, with a warning: ${reason}`}`);
      if (!answer.authorized) throw new CliError('refused', `${action}: ${reason || 'not allowed'}`);
    });
  });
}
