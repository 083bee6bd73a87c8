/** `pact-journal status`: who leads, who belongs to the group, how far each is, and what an operator must look at. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import { memberRow, MEMBER_COLUMNS } from '../members.ts';
import { formatCount, printFields, printTable } from '../tables.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('status')
    .description('Show who leads, how far each member is, and alarms.')
    .action(async () => {
      await withJournal(context, async (journal) => {
        const status = await journal.status();
        if (context.globals.json) return context.out.json(status);
        const { out } = context;
        printFields(out, [
          ['leader', status.leader_id === 0 ? out.colors.red('none') : `node ${String(status.leader_id)}`],
          ['term', String(status.term)],
          ['entries', formatCount(status.entries)],
          ['committed', String(status.commit_index)],
          ['applied', String(status.applied_index)],
          ['answered by', `node ${String(status.node_id)} (${status.role}, version ${status.version})`],
        ]);
        out.line('');
        printTable(out, MEMBER_COLUMNS, status.members.map(memberRow));
        for (const alarm of status.alarms) {
          out.line(
            `${out.colors.red('alarm')} ${alarm.code} on node ${String(alarm.node_id)} since ${alarm.since}: ${alarm.message}`,
          );
        }
      });
    });
}
