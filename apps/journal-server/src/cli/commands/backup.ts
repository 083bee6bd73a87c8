/** `pact-journal backup`: restore points in an object store or a directory. */
import type { Command } from 'commander';
import type { Repository } from '../../backup/format/repository.ts';
import { piecesOf, type SnapshotRecord } from '../../backup/format/snapshot-record.ts';
import { reachOf, type Reach } from '../../backup/plan.ts';
import { prune } from '../../backup/retention.ts';
import { STORE_URL_HELP } from '../../backup/store/open-store.ts';
import { readTimeline } from '../../backup/timeline.ts';
import type { CliContext } from '../context.ts';
import { withJournal } from '../journal.ts';
import { parseCount, parseDuration } from '../parse.ts';
import { withRepository } from '../repository.ts';
import { formatBytes, formatCount, formatMoment, printFields, printTable } from '../tables.ts';
import { verifyRepository } from '../verification/backup.ts';

const LONG_MS = 6 * 3_600_000;
const URL_HELP = `the backup (${STORE_URL_HELP}); by default, where the reached cluster exports to`;

export function register(program: Command, context: CliContext): void {
  const backup = program
    .command('backup')
    .description('Restore points in an object store or a directory, which the leader exports to by itself.');
  registerCreate(backup, context);
  registerStatus(backup, context);
  registerList(backup, context);

  backup
    .command('verify')
    .description('Check a backup whole: every object, every hash, the chain, the digests. Changes nothing.')
    .argument('[url]', URL_HELP)
    .option('--expect <hash>', 'fail unless the chain contains an entry with this hash')
    .action((url: string | undefined, flags: { readonly expect?: string }) =>
      withRepository(context, url, (repository) => verifyRepository(context, repository, flags.expect)),
    );

  registerPrune(backup, context);
}

function registerCreate(backup: Command, context: CliContext): void {
  backup
    .command('create')
    .description('Have the reached node, leader or not, export a restore point now; done when it is one.')
    .action(() =>
      withJournal(context, async (journal) => {
        // Sending all of a large journal takes its time.
        const report = await journal.createBackup({ deadlineMs: LONG_MS, attemptTimeoutMs: LONG_MS });
        if (context.globals.json) return context.out.json(report);
        context.out.line(
          `restore point at log index ${String(report.index)} with ${formatCount(report.entries)} entries: ` +
            `${formatBytes(report.size_bytes)}, of which ${formatBytes(report.sent_bytes)} were new, in ${report.url}`,
        );
      }),
    );
}

function registerStatus(backup: Command, context: CliContext): void {
  backup
    .command('status')
    .description('Show how far the leader has exported, and what is in the way.')
    .action(() =>
      withJournal(context, async (journal) => {
        const status = await journal.backupStatus();
        if (context.globals.json) return context.out.json(status);
        const lag =
          status.lag_seconds === null
            ? 'unknown'
            : `${status.lag_seconds.toFixed(1)} s, ${formatCount(status.lag_entries ?? 0)} log entries`;
        printFields(context.out, [
          ['store', status.url === '' ? 'none (set backup.url)' : status.url],
          ['exported by', status.exporting ? `node ${String(status.node_id)}` : 'nobody'],
          ['exported up to index', status.exported_index === null ? '-' : String(status.exported_index)],
          ['behind', lag],
          ['failure', status.failure === '' ? '-' : context.out.colors.red(status.failure)],
        ]);
      }),
    );
}

function registerList(backup: Command, context: CliContext): void {
  backup
    .command('list')
    .description('List the restore points of a backup and how far it reaches.')
    .argument('[url]', URL_HELP)
    .action((url: string | undefined) =>
      withRepository(context, url, async (repository) => {
        const { clusterId, snapshots, reach } = await readAll(repository);
        if (context.globals.json) {
          return context.out.json({
            url: repository.url,
            cluster_id: clusterId,
            snapshots: snapshots.map(snapshotJson),
            reach: reach === undefined ? null : reachJson(reach),
          });
        }
        printTable(
          context.out,
          ['INDEX', 'ENTRIES', 'STATE OF', 'EXPORTED', 'BY NODE', 'SIZE'],
          snapshots.map((record) => [
            String(record.index),
            formatCount(record.entries),
            formatMoment(record.clock),
            record.createdAt,
            String(record.nodeId),
            formatBytes(sizeOf(record)),
          ]),
        );
        const [oldest] = snapshots;
        if (reach === undefined || oldest === undefined)
          return context.out.line('nothing can be restored yet');
        context.out.line('');
        context.out.line(
          `cluster ${clusterId}: every point from ${formatMoment(oldest.clock)} (${formatCount(oldest.entries)} entries) to ${formatMoment(reach.time)}` +
            `${reach.entries === undefined ? '' : ` (${formatCount(reach.entries)} entries)`}, log index ${String(reach.index)}`,
        );
      }),
    );
}

function registerPrune(backup: Command, context: CliContext): void {
  backup
    .command('prune')
    .description(
      'Remove old restore points, and what only they need. Every point after the oldest kept one stays.',
    )
    .argument('[url]', URL_HELP)
    .option('--keep-count <n>', 'newest snapshots to keep', parseCount('--keep-count', 1), 24)
    .option(
      '--keep-age <duration>',
      'keep all that restoring any younger point takes, for example 7d',
      parseDuration('--keep-age'),
      7 * 86_400,
    )
    .option('--dry-run', 'say what would go and remove nothing')
    .action(
      (
        url: string | undefined,
        flags: { readonly keepCount: number; readonly keepAge: number; readonly dryRun?: boolean },
      ) =>
        withRepository(context, url, async (repository) => {
          const dryRun = flags.dryRun === true;
          const retention = { keepCount: flags.keepCount, keepAgeMs: flags.keepAge * 1_000 };
          const report = await prune(repository, retention, Date.now(), { dryRun });
          if (context.globals.json) {
            return context.out.json({
              dry_run: dryRun,
              snapshots: report.snapshots,
              log_objects: report.logObjects,
              chunks: report.chunks,
              freed_bytes: report.freedBytes,
              oldest_index: report.oldestIndex ?? null,
            });
          }
          context.out.line(
            `${dryRun ? 'would remove' : 'removed'} ${formatCount(report.snapshots)} snapshots, ${formatCount(report.logObjects)} log objects ` +
              `and ${formatCount(report.chunks)} pieces: ${formatBytes(report.freedBytes)}`,
          );
        }),
    );
}

async function readAll(repository: Repository): Promise<{
  readonly clusterId: string;
  readonly snapshots: readonly SnapshotRecord[];
  readonly reach: Reach | undefined;
}> {
  const timeline = await readTimeline(repository);
  const { clusterId } = timeline.identity;
  const snapshots: SnapshotRecord[] = [];
  for (const { key } of timeline.snapshots) snapshots.push(await repository.snapshot(key, clusterId));
  const newest = snapshots.at(-1);
  const reach = newest === undefined ? undefined : await reachOf(repository, timeline, newest);
  return { clusterId, snapshots, reach };
}

function sizeOf(record: SnapshotRecord): number {
  return piecesOf(record).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

function snapshotJson(record: SnapshotRecord): object {
  const { index, term, entries, operations, clock, digest, createdAt, nodeId } = record;
  return {
    index,
    term,
    entries,
    operations,
    clock,
    digest,
    created_at: createdAt,
    node_id: nodeId,
    size_bytes: sizeOf(record),
  };
}

export function reachJson({ index, entries, time, headHash }: Reach): object {
  return { index, entries: entries ?? null, time, head_hash: headHash ?? null };
}
