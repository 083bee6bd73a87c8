/** BackupService: restore points on demand, and how the export is doing. */
import { journal } from '@pact-journal/journal-proto';
import { status } from '@grpc/grpc-js';
import type { NotLeaderError } from '@pact-journal/raft-core';
import { isBackupError } from '../../backup/errors.ts';
import { wasForwarded } from '../forwarder.ts';
import { CallError } from '../grpc-status.ts';
import type { BackupExport } from '../safekeeping/backup-export.ts';
import { notPossible, type ServiceContext } from './context.ts';

const methods = journal.BackupServiceDefinition;

export function backupService(
  { rpc }: ServiceContext,
  nodeId: number,
  backup: BackupExport,
  refusal: () => string | undefined,
  whoLeads: () => NotLeaderError | undefined,
): journal.BackupServiceServer {
  return {
    createBackup: rpc.unary(methods.createBackup, async (_request, { incoming }) => {
      const { url } = backup.status();
      if (url === '') throw notPossible('no backup is configured on this node; set backup.url');
      const wrong = refusal();
      if (wrong !== undefined) throw notPossible(wrong);
      const cancelled = new AbortController();
      incoming.onCancel(() => cancelled.abort());
      const { record, sizeBytes, sentBytes } = await backup.create(cancelled.signal).catch(asCallError);
      const { index, term, entries, digest } = record;
      return { index, term, entries, sizeBytes, sentBytes, digest, url };
    }),
    getBackupStatus: rpc.leader(methods.getBackupStatus, (_request, { incoming }) => {
      const elsewhere = whoLeads();
      if (elsewhere !== undefined && !wasForwarded(incoming.header)) throw elsewhere;
      const now = backup.status();
      const ms = now.lastSnapshot?.getTime();
      return {
        nodeId,
        url: now.url,
        exporting: now.exporting,
        exportedIndex: now.exportedIndex,
        lagEntries: now.lagEntries,
        lagSeconds: now.lagSeconds,
        failure: now.failure ?? '',
        lastSnapshot:
          ms === undefined ? undefined : { seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1_000_000 },
      };
    }),
  };
}

/** What is wrong with the store is not what is wrong with the node: the words are the store's. */
function asCallError(error: unknown): never {
  if (!isBackupError(error)) throw error;
  const again = error.code === 'unavailable' || error.code === 'slow';
  throw new CallError(again ? status.UNAVAILABLE : status.FAILED_PRECONDITION, error.message);
}
