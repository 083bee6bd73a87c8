import { verifyDataDirectory } from '../../backup/data-directory.ts';
import type { CliContext } from '../context.ts';
import { chainOf, report } from './report.ts';

export async function verifyDirectory(
  context: CliContext,
  dir: string,
  expect: string | undefined,
): Promise<void> {
  const found = await verifyDataDirectory(dir);
  const { clusterId, nodeId, findings, state, index, uncommitted } = found;
  report(
    context,
    {
      target: dir,
      kind: 'data directory',
      clusterId,
      findings,
      chain: state === undefined ? undefined : chainOf(state),
      details: [
        ['node', nodeId === undefined ? '-' : String(nodeId)],
        ['committed up to', `log index ${String(index)}, as far as this node knows`],
        ...(uncommitted === 0
          ? []
          : ([['after that', `${String(uncommitted)} log entries, of which it does not know it`]] as const)),
      ],
      fields: { node_id: nodeId ?? null, index, uncommitted },
    },
    expect,
  );
}
