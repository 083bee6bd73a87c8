/** `pact-journal node`: compute nodes, their state and where they belong. */
import { CONFIG_STATES, type ConfigState, type NodeSummary } from '@pact-journal/journal-state';
import { Argument, Option, type Command } from 'commander';
import type { CliContext } from '../context.ts';
import { CliError } from '../errors.ts';
import { withJournal } from '../journal.ts';
import { parseChoice, parseCount } from '../parse.ts';
import { printDelta } from '../render.ts';
import { printFields, printTable } from '../tables.ts';

interface ListFlags {
  readonly vcluster?: string;
  readonly state?: ConfigState;
  readonly deviating?: boolean;
  readonly limit?: number;
}

export function register(program: Command, context: CliContext): void {
  const node = program
    .command('node')
    .description('List and show compute nodes, set their state, assign them.');

  node
    .command('list')
    .description('List nodes by name.')
    .option('--vcluster <name>', 'only those assigned to it')
    .option('--state <state>', `one of ${CONFIG_STATES.join(', ')}`, parseChoice('--state', CONFIG_STATES))
    .option('--deviating', 'only those that differ from their virtual cluster')
    .option('-n, --limit <n>', 'only the first n', parseCount('--limit', 1, 0xffff_ffff))
    .action((flags: ListFlags) =>
      withJournal(context, async (journal) => {
        const rows: NodeSummary[] = [];
        const filter = {
          ...(flags.vcluster === undefined ? {} : { vcluster_id: flags.vcluster }),
          ...(flags.state === undefined ? {} : { config_state: flags.state }),
          ...(flags.limit === undefined ? {} : { limit: flags.limit }),
          deviating_only: flags.deviating === true,
        };
        for await (const summary of journal.nodes(filter)) {
          if (context.globals.json) context.out.json(summary);
          else rows.push(summary);
        }
        if (context.globals.json) return;
        printTable(
          context.out,
          ['NODE', 'VCLUSTER', 'STATE', 'DEVIATIONS'],
          rows.map((row) => [row.node_id, row.vcluster_id ?? '-', row.config_state, String(row.deviations)]),
        );
      }),
    );

  node
    .command('show')
    .description('Show a node and what it has of its own.')
    .argument('<node>', 'the node')
    .action((name: string) =>
      withJournal(context, async (journal) => {
        const detail = await journal.node(name);
        if (context.globals.json) return context.out.json(detail);
        printFields(context.out, [
          ['node', detail.node_id],
          ['vcluster', detail.vcluster_id ?? '-'],
          ['state', detail.config_state],
          ['own entries up to', detail.delta_version === null ? '-' : String(detail.delta_version)],
          ['deviations', String(detail.deviations)],
        ]);
        context.out.line('');
        printDelta(context.out, detail.delta);
      }),
    );

  node
    .command('set-state')
    .description("Set a node's state.")
    .argument('<node>', 'the node')
    .addArgument(
      new Argument('<state>', CONFIG_STATES.join(', ')).argParser(parseChoice('state', CONFIG_STATES)),
    )
    .action((name: string, state: ConfigState) =>
      withJournal(context, async (journal) => {
        const receipt = await journal.setNodeState(name, state);
        if (context.globals.json) context.out.json(receipt);
        else context.out.line(`${name} is ${state}`);
      }),
    );

  node
    .command('assign')
    .description('Assign a node to a virtual cluster, or take it out of its one.')
    .argument('<node>', 'the node')
    .argument('[vcluster]', 'the virtual cluster')
    .addOption(new Option('--none', 'take it out of its virtual cluster'))
    .action((name: string, vcluster: string | undefined, flags: { readonly none?: boolean }) => {
      if ((vcluster === undefined) === (flags.none !== true)) {
        throw new CliError('usage', 'say where the node belongs: the name of a virtual cluster, or --none');
      }
      return withJournal(context, async (journal) => {
        const receipt = await journal.assignNode(name, vcluster ?? null);
        if (context.globals.json) context.out.json(receipt);
        else
          context.out.line(
            vcluster === undefined
              ? `${name} belongs to no virtual cluster`
              : `${name} belongs to ${vcluster}`,
          );
      });
    });
}
