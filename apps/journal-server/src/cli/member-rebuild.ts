/** `pact-journal member rebuild`: replaces the state of a replica that has gone astray by that of the leader. */
import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';
import { withJournal } from './journal.ts';
import { compareReplicas } from './replicas.ts';
import { formatBytes } from './tables.ts';

/** Fetching a large state takes its time, and so does starting from it. */
const REBUILD_MS = 60 * 60_000;
const COMPARE_MS = 10 * 60_000;

export async function rebuildMember(context: CliContext, id: number): Promise<void> {
  const { members, leader_id: leaderId } = await withJournal(context, (journal) => journal.status());
  const target = members.find((member) => member.id === id);
  if (target === undefined) throw new CliError('refused', `there is no member ${String(id)}`);
  const leader = members.find((member) => member.id === leaderId);
  if (leader === undefined)
    throw new CliError('unreachable', 'there is no leader whose state could be taken over');
  const report = await withJournal(
    context,
    (journal) => journal.rebuildReplica({ deadlineMs: REBUILD_MS, attemptTimeoutMs: REBUILD_MS }),
    [target.grpc],
  );
  const comparison = await compareReplicas(context, target.grpc, leader.grpc, COMPARE_MS);
  if (context.globals.json) context.out.json({ ...report, equal: comparison === 'equal' });
  else {
    context.out.line(
      `node ${String(id)} has started anew from the leader's state at log index ${String(report.index)} (${formatBytes(report.fetched_bytes)} fetched)`,
    );
  }
  if (comparison === 'differ') {
    throw new CliError(
      'damaged',
      `node ${String(id)} still differs from the leader: one of its log entries does; give the machine a new member (member add-learner, member replace)`,
    );
  }
  if (comparison === 'not comparable')
    throw new CliError(
      'failed',
      `node ${String(id)} did not come to the index of the leader; look at its log`,
    );
}
