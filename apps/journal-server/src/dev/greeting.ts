import { relative } from 'node:path';
import { DEFAULT_PORTS } from '../config/index.ts';
import type { NodeLine } from '../server/node-line.ts';
import type { DevPlan } from './plan.ts';

interface Colors {
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly green: (text: string) => string;
}

/** What a person reads when the cluster is ready: where it is, and what to try. */
export function greeting(nodes: readonly NodeLine[], plan: DevPlan, colors: Colors): string {
  const cli = cliName();
  const endpoints = nodes.map(({ grpc }) => grpc).join(',');
  const isDefault = endpoints === `127.0.0.1:${String(DEFAULT_PORTS.grpc)}`;
  const title =
    nodes.length === 1 ? 'The journal is running.' : `A journal of ${String(nodes.length)} nodes is running.`;
  const rows = nodes.map(
    (node) =>
      `  node ${String(node.id)}  ${node.role.padEnd(8)}  gRPC ${node.grpc}  metrics http://${node.metrics}/metrics  pid ${String(node.pid)}`,
  );
  return [
    '',
    colors.bold(colors.green(title)),
    '',
    ...rows,
    '',
    `  data  ${relative(process.cwd(), plan.dataDir) || '.'}`,
    '',
    'In another terminal, try:',
    '',
    ...(isDefault ? [] : [`  export PACT_ENDPOINT=${endpoints}`]),
    `  ${cli} capture > capture.json`,
    `  ${cli} commit --vcluster ml-training -f capture.json -m "baseline"`,
    `  ${cli} boot node-001 --vcluster ml-training`,
    '',
    colors.dim('Ctrl-C stops it; the data stays.'),
    '',
    '',
  ].join('\n');
}

/** How this program was called, so that the commands can be copied as they are. */
function cliName(): string {
  const entry = process.argv[1] ?? '';
  if (/node_modules|\/bin\/pact-journal$/.test(entry)) return 'npx pact-journal';
  const launcher = entry.replace(/(dist|src\/cli)\/[^/]+$/, 'bin/pact-journal.js');
  const path = relative(process.cwd(), launcher);
  return `node ${path.startsWith('..') ? launcher : path}`;
}
