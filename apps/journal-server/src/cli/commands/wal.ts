/** `pact-journal wal`: looking at, checking and repairing a data directory offline. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { WalRepair } from '@pact-journal/wal-storage';
import type { CliContext } from '../context.ts';
import { CliError } from '../errors.ts';
import { openPeers, type RepairFlags } from '../repair-peers.ts';
import { formatBytes, formatCount, printFields } from '../tables.ts';

export function register(program: Command, context: CliContext): void {
  const wal = program.command('wal').description('Inspect, verify and repair a data directory offline.');

  wal
    .command('inspect')
    .description('Show what a data directory says about itself; may be used beside a running server.')
    .argument('<dir>', 'the data directory, as in data_dir')
    .action(async (dir: string) => {
      requireDataDir(dir);
      const { inspectWal } = await import('@pact-journal/wal-storage');
      const found = await inspectWal(dir);
      if (context.globals.json) {
        return context.out.json({
          path: found.path,
          cluster_id: found.identity?.clusterId ?? null,
          node_id: found.identity?.nodeId ?? null,
          format: found.identity?.format ?? null,
          term: found.vote?.term ?? null,
          vote: found.vote?.vote ?? null,
          compacted_index: found.compactedIndex ?? null,
          compacted_term: found.compactedTerm ?? null,
          commit_hint: found.commitHint ?? null,
          log_files: found.logFiles,
          first_file: found.firstFile ?? null,
          last_file: found.lastFile ?? null,
          snapshots: found.snapshots.map(({ term, index, sizeBytes }) => ({
            term,
            index,
            size_bytes: sizeBytes,
          })),
          chunk_files: found.chunkFiles,
        });
      }
      const unread = 'unreadable (see wal verify)';
      printFields(context.out, [
        ['directory', found.path],
        ['cluster', found.identity?.clusterId ?? unread],
        ['node', text(found.identity?.nodeId) ?? unread],
        [
          'term, vote',
          found.vote === undefined ? unread : `${String(found.vote.term)}, ${String(found.vote.vote)}`,
        ],
        ['compacted up to', text(found.compactedIndex) ?? unread],
        ['committed at least', text(found.commitHint) ?? '-'],
        [
          'log files',
          `${formatCount(found.logFiles)} (${text(found.firstFile) ?? '-'} to ${text(found.lastFile) ?? '-'})`,
        ],
        [
          'snapshots',
          found.snapshots.map(({ term, index }) => `snap-${String(term)}-${String(index)}`).join(', ') ||
            'none',
        ],
        ['chunks', formatCount(found.chunkFiles)],
      ]);
    });

  wal
    .command('verify')
    .description(
      'Check a data directory whole: every log line, the chain between them, every snapshot. Changes nothing.',
    )
    .argument('<dir>', 'the data directory, as in data_dir')
    .action(async (dir: string) => {
      requireDataDir(dir);
      const { verifyWal } = await import('@pact-journal/wal-storage');
      const found = await verifyWal(dir);
      const damage = found.findings.filter((finding) => finding.severity === 'damage');
      if (context.globals.json) {
        context.out.json({
          ok: found.ok,
          findings: found.findings,
          first_index: found.firstIndex,
          last_index: found.lastIndex,
          entries: found.entries,
          files: found.files,
          size_bytes: found.sizeBytes,
          snapshots: found.snapshots,
          missing: found.missing,
        });
      } else {
        for (const finding of found.findings) {
          const mark =
            finding.severity === 'damage'
              ? context.out.colors.red('damage')
              : context.out.colors.yellow('note');
          context.out.line(`${mark} ${finding.code}: ${finding.message}`);
        }
        context.out.line(
          `${formatCount(found.entries)} entries (${String(found.firstIndex)} to ${String(found.lastIndex)}) in ` +
            `${formatCount(found.files)} files of ${formatBytes(found.sizeBytes)}, ${formatCount(found.snapshots)} snapshots`,
        );
      }
      const [first] = damage;
      if (first === undefined) return;
      const others = damage.length === 1 ? '' : ` (and ${String(damage.length - 1)} more)`;
      throw new CliError('damaged', `${dir}: ${first.message}${others}`);
    });

  registerRepair(wal, context);
}

function registerRepair(wal: Command, context: CliContext): void {
  wal
    .command('repair')
    .description(
      'Replace missing and damaged log entries by those of healthy nodes. Nothing is used that no node knows to be committed, and the damaged log is kept.',
    )
    .argument('<dir>', 'the data directory to repair, as in data_dir; its server must be stopped')
    .option('--config <file>', "the damaged node's configuration: its members and certificates")
    .option('--peer <id=host:port...>', 'running members of the cluster, with their Raft addresses')
    .option(
      '--from <dir...>',
      'instead, data directories of other nodes of the cluster that are stopped, or copies of them',
    )
    .option('--dry-run', 'show what would be taken and change nothing')
    .action(async (dir: string, flags: RepairFlags) => {
      for (const path of [dir, ...(flags.from ?? [])]) requireDataDir(path);
      const { repairWal } = await import('@pact-journal/wal-storage');
      const peers = await openPeers(context, dir, flags);
      try {
        const result = await repairWal(dir, peers, { dryRun: flags.dryRun === true });
        printRepair(context, result, flags.dryRun === true);
      } finally {
        await peers.close();
      }
    });
}

function printRepair(context: CliContext, result: WalRepair, dryRun: boolean): void {
  const { before, fetched, snapshotIndex, droppedFrom, damagedLogPath } = result;
  if (context.globals.json) {
    return context.out.json({
      was_ok: before.ok,
      dry_run: dryRun,
      fetched,
      snapshot_index: snapshotIndex ?? null,
      dropped_from: droppedFrom ?? null,
      damaged_log: damagedLogPath ?? null,
    });
  }
  if (before.ok) return context.out.line('nothing is damaged, and nothing was changed');
  const ranges = fetched.map(({ from, to }) =>
    from === to ? String(from) : `${String(from)} to ${String(to)}`,
  );
  const verb = dryRun ? 'would take' : 'took';
  printFields(context.out, [
    ['found', before.findings.map(({ message }) => message).join('; ')],
    [`${verb} entries`, ranges.join(', ') || 'none'],
    [`${verb} the snapshot of entry`, text(snapshotIndex) ?? '-'],
    ['dropped, never committed', droppedFrom === undefined ? '-' : `from entry ${String(droppedFrom)} on`],
    ['the damaged log is kept in', damagedLogPath ?? '-'],
  ]);
}

function requireDataDir(dir: string): void {
  if (existsSync(join(dir, 'raft'))) return;
  throw new CliError('usage', `${dir}: is no data directory of a journal: it has no folder "raft"`);
}

function text(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(value);
}
