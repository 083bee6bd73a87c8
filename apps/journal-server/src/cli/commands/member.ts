/** `pact-journal member`: changes of the Raft group. */
import { Argument, Option, type Command } from 'commander';
import type { JournalClient, MemberStatus } from '@pact-journal/journal-client';
import { parseEndpoint, type CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import { untilCaughtUp, untilVoter } from '../member-waits.ts';
import { memberRow, MEMBER_COLUMNS } from '../members.ts';
import { rebuildMember } from '../member-rebuild.ts';
import { parseCount, parseDuration } from '../parse.ts';
import { printTable } from '../tables.ts';

interface AddFlags {
  readonly raft: string;
  readonly grpc: string;
  readonly metrics?: string;
  readonly promoteWhenCaughtUp?: boolean;
  readonly wait?: number;
}

interface WaitFlags {
  readonly wait?: number;
}

export function register(program: Command, context: CliContext): void {
  const member = program.command('member').description('List and change the members of the Raft group.');
  const id = (name: string, what: string) => new Argument(`<${name}>`, what).argParser(parseCount(name, 1));
  const address = (option: string) => (text: string) => parseEndpoint(text, option);
  const wait = (what: string) => new Option('--wait <duration>', what).argParser(parseDuration('--wait'));
  const change = (change: (journal: JournalClient) => Promise<readonly MemberStatus[]>) =>
    withJournal(context, async (journal) => printMembers(context, await change(journal)));

  member
    .command('list')
    .description('List members.')
    .action(() => change((journal) => journal.members()));

  member
    .command('add-learner')
    .description(
      'Add a node that receives the log without a vote. `serve --join` does it for the node itself.',
    )
    .addArgument(id('id', 'its node id, never used before in this group'))
    .requiredOption('--raft <host:port>', 'where its peers reach it', address('--raft'))
    .requiredOption('--grpc <host:port>', 'where its clients reach it', address('--grpc'))
    .option('--metrics <host:port>', 'where its metrics are', address('--metrics'))
    .option('--promote-when-caught-up', 'give it a vote once it has caught up')
    .addOption(wait('return only when it has caught up, and has its vote if that was asked for'))
    .action((newId: number, flags: AddFlags) =>
      change(async (journal) => {
        const promote = flags.promoteWhenCaughtUp === true;
        const { raft, grpc, metrics = '' } = flags;
        const members = await journal.addLearner({ id: newId, raft, grpc, metrics, auto_promote: promote });
        if (flags.wait === undefined) return members;
        return promote
          ? untilVoter(journal, newId, flags.wait)
          : untilCaughtUp(journal, newId, flags.wait, () => journal.members());
      }),
    );

  member
    .command('promote')
    .description('Give a learner a vote; refused while it lags.')
    .addArgument(id('id', 'the learner'))
    .addOption(wait('wait until it has caught up'))
    .action((learner: number, flags: WaitFlags) =>
      change((journal) =>
        untilCaughtUp(journal, learner, flags.wait ?? 0, () => journal.promoteMember(learner)),
      ),
    );

  member
    .command('remove')
    .description('Take a member out; refused where the rest would have no quorum. A leader hands over first.')
    .addArgument(id('id', 'the member'))
    .action((leaving: number) => change((journal) => journal.removeMember(leaving)));

  member
    .command('replace')
    .description('Replace a voter, dead or alive, by a learner in one step; refused while the learner lags.')
    .addArgument(id('old', 'the member to take out'))
    .addArgument(id('new', 'the learner that takes its place'))
    .addOption(wait('wait until the learner has caught up'))
    .action((oldId: number, newId: number, flags: WaitFlags) =>
      change((journal) =>
        untilCaughtUp(journal, newId, flags.wait ?? 0, () => journal.replaceMember(oldId, newId)),
      ),
    );

  member
    .command('rebuild')
    .description(
      "Replace a member's state by the leader's, for one whose digest differs (alarm digestMismatch). Its log and its vote stay.",
    )
    .addArgument(id('id', 'the member'))
    .action((member: number) => rebuildMember(context, member));

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
