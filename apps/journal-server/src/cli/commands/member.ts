/** `pact-journal member`: changes of the Raft group. */
import { Argument, type Command } from 'commander';
import { parseEndpoint, type CliContext } from '../context.ts';
import type { MemberStatus } from '@pact-journal/journal-client';
import { withJournal } from '../journal.ts';
import { memberRow, MEMBER_COLUMNS } from '../members.ts';
import { parseCount } from '../parse.ts';
import { printTable } from '../tables.ts';

interface AddFlags {
  readonly raft: string;
  readonly grpc: string;
  readonly metrics?: string;
  readonly promote?: boolean;
}

export function register(program: Command, context: CliContext): void {
  const member = program.command('member').description('List and change the members of the Raft group.');
  const id = (name: string, what: string) => new Argument(`<${name}>`, what).argParser(parseCount(name, 1));
  const address = (option: string) => (text: string) => parseEndpoint(text, option);

  member
    .command('list')
    .description('List members.')
    .action(() => withJournal(context, async (journal) => printMembers(context, await journal.members())));

  member
    .command('add-learner')
    .description('Add a node that receives the log without a vote.')
    .addArgument(id('id', 'its node id, never used before in this group'))
    .requiredOption('--raft <host:port>', 'where its peers reach it', address('--raft'))
    .requiredOption('--grpc <host:port>', 'where its clients reach it', address('--grpc'))
    .option('--metrics <host:port>', 'where its metrics are', address('--metrics'))
    .option('--promote', 'give it a vote once it has caught up')
    .action((newId: number, flags: AddFlags) =>
      withJournal(context, async (journal) => {
        const members = await journal.addLearner({
          id: newId,
          raft: flags.raft,
          grpc: flags.grpc,
          metrics: flags.metrics ?? '',
          auto_promote: flags.promote === true,
        });
        printMembers(context, members);
      }),
    );

  member
    .command('promote')
    .description('Give a learner a vote.')
    .addArgument(id('id', 'the learner'))
    .action((learner: number) =>
      withJournal(context, async (journal) => printMembers(context, await journal.promoteMember(learner))),
    );

  member
    .command('remove')
    .description('Take a member out; refused where the rest would have no quorum.')
    .addArgument(id('id', 'the member'))
    .action((leaving: number) =>
      withJournal(context, async (journal) => printMembers(context, await journal.removeMember(leaving))),
    );

  member
    .command('replace')
    .description('Replace a member by a learner in one step.')
    .addArgument(id('old', 'the member to take out'))
    .addArgument(id('new', 'the learner that takes its place'))
    .action((oldId: number, newId: number) =>
      withJournal(context, async (journal) =>
        printMembers(context, await journal.replaceMember(oldId, newId)),
      ),
    );

  member
    .command('transfer')
    .description('Hand leadership to a voter; without an id, to whoever is best placed.')
    .addArgument(new Argument('[id]', 'the next leader').argParser(parseCount('id', 1)))
    .action((to: number | undefined) =>
      withJournal(context, async (journal) => {
        const outcome = await journal.transferLeadership(to);
        if (context.globals.json) context.out.json(outcome);
        else context.out.line(`node ${String(outcome.leader_id)} leads in term ${String(outcome.term)}`);
      }),
    );
}

function printMembers(context: CliContext, members: readonly MemberStatus[]): void {
  if (context.globals.json) context.out.json({ members });
  else printTable(context.out, MEMBER_COLUMNS, members.map(memberRow));
}
