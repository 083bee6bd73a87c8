/** `pact-journal certs init`: certificates to try a secured cluster with. */
import { resolve } from 'node:path';
import { Option, type Command } from 'commander';
import type { CliContext } from '../context.ts';
import { CliError } from '../errors.ts';
import { parseCount } from '../parse.ts';

interface InitFlags {
  readonly dir: string;
  readonly clusterId: string;
  readonly members: number;
  readonly host?: readonly string[];
  readonly node?: readonly string[];
  readonly days: number;
}

const collect = (value: string, previous: readonly string[] | undefined): string[] => [
  ...(previous ?? []),
  value,
];

export function register(program: Command, context: CliContext): void {
  const certs = program.command('certs').description('certificates for development and first steps');
  certs
    .command('init')
    .description(
      'make authorities (server, compute nodes, members) and certificates in a folder; what is there already is kept',
    )
    .option('--dir <dir>', 'the folder', 'certs')
    .option('--cluster-id <id>', 'name of the cluster, as in cluster.id', 'pact')
    .addOption(
      new Option('--members <n>', 'members with ids from 1').argParser(parseCount('--members', 1)).default(3),
    )
    .option('--host <name>', 'a name or address by which clients reach a member, repeatable', collect)
    .option('--node <name>', 'a compute node, repeatable', collect)
    .addOption(
      new Option('--days <n>', 'how long certificates are valid')
        .argParser(parseCount('--days', 1))
        .default(365),
    )
    .action(async (flags: InitFlags) => {
      const { initCerts } = await import('../../certs/init.ts');
      for (const node of flags.node ?? []) {
        if (!/^[A-Za-z0-9._-]{1,253}$/.test(node))
          throw new CliError('usage', `--node: ${JSON.stringify(node)} is not the name of a node`);
      }
      const report = await initCerts({
        folder: resolve(flags.dir),
        clusterId: flags.clusterId,
        members: Array.from({ length: flags.members }, (_, index) => index + 1),
        hosts: flags.host ?? [],
        nodes: flags.node ?? [],
        days: flags.days,
      });
      if (context.globals.json) return context.out.json(report);
      for (const file of report.written) context.out.line(`${report.folder}/${file}`);
      if (report.kept.length > 0) context.out.remark(`kept: ${report.kept.join(', ')}`);
    });
}
