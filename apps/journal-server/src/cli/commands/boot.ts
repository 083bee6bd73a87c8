/** `pact-journal boot`: acts as a booting compute node. */
import { DELTA_KINDS } from '@pact-journal/journal-state';
import type { Command } from 'commander';
import type { BootReport } from '../boot.ts';
import type { CliContext } from '../context.ts';
import { parseCount } from '../parse.ts';
import { describeValue } from '../render.ts';
import { withVCluster } from '../unknown-vcluster.ts';
import { formatBytes, printFields } from '../tables.ts';

interface BootFlags {
  readonly vcluster?: string;
  readonly out?: string;
  readonly minSequence?: number;
  readonly full?: boolean;
}

/** Keys of one kind that are shown unless all are asked for. */
const SHOWN_KEYS = 10;

export function register(program: Command, context: CliContext): void {
  program
    .command('boot')
    .description(
      'Boot as a compute node: stream the overlay and the node delta, verify the checksums, decompress, apply the ' +
        'delta, and print or write the effective configuration.',
    )
    .argument('<node>', "the node's name")
    .option(
      '--vcluster <name>',
      'the virtual cluster to boot into (default: the one that the node is assigned to)',
    )
    .option('--out <dir>', 'write a JSON file a kind, and boot.json, to this directory')
    .option('--min-sequence <n>', 'wait for a state that has this entry', parseCount('--min-sequence', 0))
    .option('--full', `print all keys, not only the first ${String(SHOWN_KEYS)} of each kind`)
    .action(async (node: string, flags: BootFlags) => {
      const { bootNode, writeBoot } = await import('../boot.ts');
      const request = { nodeId: node, vclusterId: flags.vcluster, minSequence: flags.minSequence };
      const boot = (): ReturnType<typeof bootNode> => bootNode(context, request);
      const report = await (flags.vcluster === undefined
        ? boot()
        : withVCluster(context, flags.vcluster, boot));
      const { config, ...summary } = report;
      if (flags.out !== undefined) await writeBoot(flags.out, report);
      if (context.globals.json)
        return context.out.json(flags.out === undefined ? { ...summary, config } : summary);
      printSummary(context, report);
      if (flags.out === undefined)
        printConfig(context, report, flags.full === true ? Number.POSITIVE_INFINITY : SHOWN_KEYS);
      else context.out.line(`written to ${flags.out}`);
    });
}

function printSummary(context: CliContext, report: BootReport): void {
  const counts = DELTA_KINDS.map((kind) => `${String(Object.keys(report.config[kind]).length)} ${kind}`);
  printFields(context.out, [
    ['node', report.node_id],
    ['vcluster', report.vcluster_id],
    ['versions', `overlay ${String(report.base_version)}, node ${String(report.node_version)}`],
    ['overlay', `${formatBytes(report.overlay_size_bytes)}, ${report.overlay_checksum}`],
    ['node delta', formatBytes(report.delta_size_bytes)],
    ['duration', `${String(report.duration_ms)} ms`],
    ['configuration', counts.join(', ')],
  ]);
}

function printConfig(context: CliContext, report: BootReport, maxKeys: number): void {
  const { out } = context;
  for (const kind of DELTA_KINDS) {
    const keys = Object.entries(report.config[kind]);
    if (keys.length === 0) continue;
    out.line('');
    out.line(out.colors.bold(`${kind} (${String(keys.length)})`));
    for (const [key, { value, spec }] of keys.slice(0, maxKeys))
      out.line(`  ${key} = ${describeValue(kind, value, spec)}`);
    if (keys.length > maxKeys) out.line(out.colors.dim(`  … ${String(keys.length - maxKeys)} more (--full)`));
  }
}
