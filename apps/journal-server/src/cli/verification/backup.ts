import type { Repository } from '../../backup/format/repository.ts';
import { verifyBackup } from '../../backup/verify.ts';
import { startByteProgress, type ByteProgress } from '../byte-progress.ts';
import type { CliContext } from '../context.ts';
import { formatBytes, formatCount, formatMoment } from '../tables.ts';
import { chainOf, report } from './report.ts';

export async function verifyRepository(
  context: CliContext,
  repository: Repository,
  expect: string | undefined,
): Promise<void> {
  let progress: ByteProgress | undefined;
  const found = await verifyBackup(repository, {
    onProgress: (doneBytes, totalBytes) => {
      progress ??= startByteProgress(context, totalBytes, 'checked');
      progress.update(doneBytes);
    },
  }).finally(() => progress?.stop());
  report(
    context,
    {
      target: repository.url,
      kind: 'backup',
      clusterId: found.clusterId,
      findings: found.findings.map(({ key, message }) =>
        message.startsWith(key) ? message : `${key}: ${message}`,
      ),
      chain: found.state === undefined ? undefined : chainOf(found.state),
      details: [
        [
          'reaches',
          `log index ${String(found.index)}${found.state === undefined ? '' : ` of ${formatMoment(found.state.clock)}`}`,
        ],
        [
          'objects',
          `${formatCount(found.objects)} (${formatCount(found.snapshots)} snapshots, ${formatCount(found.logObjects)} of log), ${formatBytes(found.sizeBytes)}`,
        ],
        ...(found.gaps === 0
          ? []
          : ([['gaps', `${String(found.gaps)}: points in them cannot be restored`]] as const)),
      ],
      fields: {
        index: found.index,
        objects: found.objects,
        size_bytes: found.sizeBytes,
        snapshots: found.snapshots,
        log_objects: found.logObjects,
        gaps: found.gaps,
      },
    },
    expect,
  );
}
