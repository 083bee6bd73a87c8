/** `pact-journal status`: who leads, who belongs to the group, how each of them is, and what an operator must look at. */
import type { Command } from 'commander';
import { reportCluster, type ClusterReport, type MemberReport } from '../cluster-report.ts';
import type { CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import { memberLag, memberState } from '../members.ts';
import type { Output } from '../output.ts';
import { formatBytes, formatCount, formatSpan, printFields, printTable } from '../tables.ts';

const COLUMNS = ['ID', 'ROLE', 'STATE', 'LAG', 'VERSION', 'UP', 'DISK', 'FREE', 'GRPC', 'RAFT'] as const;

export function register(program: Command, context: CliContext): void {
  program
    .command('status')
    .description(
      "Show who leads, how each member is, and the alarms of all. Asks every member's client address.",
    )
    .action(async () => {
      await withJournal(context, async (journal) => {
        const report = await reportCluster(context, journal);
        if (context.globals.json) context.out.json(report);
        else print(context.out, report);
      });
    });
}

function print(out: Output, report: ClusterReport): void {
  printFields(out, [
    ['cluster', report.cluster_id],
    ['leader', report.leader_id === 0 ? out.colors.red('none') : `node ${String(report.leader_id)}`],
    ['term', String(report.term)],
    ['entries', formatCount(report.entries)],
    ['committed', String(report.commit_index)],
    ['applied', String(report.applied_index)],
    ['answered by', `node ${String(report.node_id)} (${report.role}, version ${report.version})`],
    ...certificateFields(report),
    ...insecureFields(out, report),
  ]);
  out.line('');
  printTable(out, COLUMNS, report.members.map(row));
  for (const alarm of report.alarms) {
    out.line(
      `${out.colors.red('alarm')} ${alarm.code} on node ${String(alarm.node_id)} since ${alarm.since}: ${alarm.message}`,
    );
  }
}

function row(member: MemberReport): readonly string[] {
  const { disk, uptime_ms: uptimeMs } = member;
  const state = memberState(member);
  return [
    String(member.id),
    member.role,
    member.reachable ? state : `${state}, no answer`,
    memberLag(member),
    member.version === '' ? '-' : member.version,
    uptimeMs === null ? '-' : formatSpan(uptimeMs),
    disk === null ? '-' : formatBytes(disk.used_bytes),
    disk === null ? '-' : `${formatBytes(disk.free_bytes)} (${share(disk.free_bytes, disk.total_bytes)})`,
    member.grpc,
    member.raft,
  ];
}

function share(part: number, whole: number): string {
  return `${String(whole === 0 ? 0 : Math.floor((100 * part) / whole))}%`;
}

/** The certificate that runs out first, of whichever member. */
function certificateFields({ members }: ClusterReport): readonly (readonly [string, string])[] {
  const all = members.flatMap(({ id, certificates }) => (certificates ?? []).map((one) => ({ id, ...one })));
  const first = all.sort((a, b) => (a.not_after < b.not_after ? -1 : 1))[0];
  if (first === undefined) return [];
  const { id, purpose, subject, not_after: notAfter } = first;
  return [['certificates', `valid until ${notAfter} (${purpose} of ${subject}, node ${String(id)})`]];
}

/** Whoever runs with `--insecure` is to be seen by everybody who looks. */
function insecureFields(out: Output, { members }: ClusterReport): readonly (readonly [string, string])[] {
  const nodes = members.filter(({ insecure }) => insecure === true).map(({ id }) => `node ${String(id)}`);
  if (nodes.length === 0) return [];
  return [['INSECURE', out.colors.red(`${nodes.join(', ')}: started with --insecure`)]];
}
