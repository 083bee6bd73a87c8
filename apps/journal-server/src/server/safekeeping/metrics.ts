/** What Prometheus is told of the backup and of the comparison of replicas. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { BackupExport } from './backup-export.ts';
import type { ReplicaCheck } from './replica-check.ts';

export function registerSafekeeping(
  registry: Registry,
  backup: Pick<BackupExport, 'status'>,
  check: Pick<ReplicaCheck, 'refusal' | 'differing' | 'comparedIndex'>,
): void {
  const gauge = (name: string, help: string, value: () => number | undefined): void => {
    const created: Gauge = new Gauge({
      name,
      help,
      registers: [registry],
      collect: () => {
        const now = value();
        // Only who exports knows; others say nothing rather than zero.
        if (now === undefined) created.remove();
        else created.set(now);
      },
    });
  };
  gauge(
    'pact_backup_lag_seconds',
    'For how long the oldest committed entry that cannot be restored yet has been waiting. Only on the node that exports.',
    () => backup.status().lagSeconds,
  );
  gauge(
    'pact_backup_lag_entries',
    'Committed log entries that cannot be restored yet. Only on the node that exports.',
    () => backup.status().lagEntries,
  );
  gauge(
    'pact_backup_exported_index',
    'Everything up to this log index can be restored. Only on the node that exports.',
    () => backup.status().exportedIndex,
  );
  gauge('pact_backup_failing', '1 while the export of this node fails.', () =>
    backup.status().failure === undefined ? 0 : 1,
  );
  gauge(
    'pact_backup_snapshot_timestamp_seconds',
    'When this node last exported a restore point, in seconds since 1970.',
    () => {
      const { lastSnapshot } = backup.status();
      return lastSnapshot === undefined ? undefined : lastSnapshot.getTime() / 1_000;
    },
  );
  const failures: Counter<'code'> = new Counter({
    name: 'pact_backup_failures_total',
    help: 'Attempts to export that failed, by what was wrong.',
    labelNames: ['code'],
    registers: [registry],
    collect: () => {
      failures.reset();
      for (const [code, count] of backup.status().failures) failures.inc({ code }, count);
    },
  });
  const sent: Counter = new Counter({
    name: 'pact_backup_sent_bytes_total',
    help: 'Bytes that this node has exported.',
    registers: [registry],
    collect: () => {
      sent.reset();
      sent.inc(backup.status().sentBytes);
    },
  });
  gauge(
    'pact_replica_digest_mismatch',
    '1 on a node whose state differs from that of the others: it boots no node and does not lead.',
    () => (check.refusal === undefined ? 0 : 1),
  );
  gauge(
    'pact_replica_differing_members',
    'Other members whose state differs from that of most.',
    () => check.differing.length,
  );
  gauge(
    'pact_replica_digest_compared_index',
    'Highest log index at which the digest of this node was found equal to that of others.',
    () => check.comparedIndex,
  );
}
