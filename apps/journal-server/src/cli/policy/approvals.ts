/** `pact-journal policy approvals|approve|deny`: changes that wait for a second person. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import { addAuthorOptions, authorOf, type AuthorFlags } from '../options.ts';
import { formatTime } from '../render.ts';
import { printTable } from '../tables.ts';

/** Tells somebody whose change waits for approval what is to happen next. */
export function printPending(context: CliContext, id: string): void {
  context.out.line(`not in effect yet: it waits for a second person (pact-journal policy approve ${id})`);
}

export function registerApprovals(policy: Command, context: CliContext): void {
  policy
    .command('approvals')
    .description('List changes that wait for a second person.')
    .argument('[name]', 'only those of this virtual cluster or node')
    .action((name: string | undefined) =>
      withJournal(context, async (journal) => {
        const approvals = await journal.approvals(name);
        if (context.globals.json) {
          for (const each of approvals) context.out.json(each);
          return;
        }
        printTable(
          context.out,
          ['APPROVAL', 'ACTION', 'SCOPE', 'BY', 'SINCE', 'UNTIL'],
          approvals.map((each) => [
            each.approval_id,
            each.action,
            each.scope,
            each.requester,
            formatTime(each.created_at),
            `${formatTime(each.expires_at)}${each.status === 'pending' ? '' : ` (${each.status})`}`,
          ]),
        );
      }),
    );
}

interface DecisionFlags extends AuthorFlags {
  readonly message?: string;
}

export function registerDecision(
  policy: Command,
  context: CliContext,
  { name, decision }: { readonly name: string; readonly decision: 'approved' | 'rejected' },
): void {
  const command = policy
    .command(name)
    .description(
      decision === 'approved'
        ? 'Approve a change that somebody else asked for: it takes effect at once.'
        : 'Reject a change that waits for approval, or take back your own.',
    )
    .argument('<approval>', 'its id, as "policy approvals" lists it; "show" prints what it would change')
    .option('-m, --message <text>', 'why');
  addAuthorOptions(command);
  command.action((approval: string, flags: DecisionFlags) =>
    withJournal(context, async (journal) => {
      await journal.decideApproval(approval, decision, authorOf(flags), flags.message);
      if (context.globals.json) context.out.json({ approval_id: approval, decision });
      else context.out.line(`approval ${approval} ${decision}`);
    }),
  );
}
