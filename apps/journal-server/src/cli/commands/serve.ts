/** `pact-journal serve`: one journal server in the foreground. */
import type { Command } from 'commander';
import {
  addSettingFlags,
  configSources,
  formatAddress,
  loadConfig,
  type ServerConfig,
} from '../../config/index.ts';
import type { ServeMessage } from '../../dev/child.ts';
import { createLogger, type Logger } from '../../server/log.ts';
import type { NodeLine } from '../../server/node-line.ts';
import { runServer, untilAskedToStop } from '../../server/run.ts';
import { ServiceManager } from '../../server/service-manager.ts';
import type { CliContext } from '../context.ts';
import { describeFailure } from '../errors.ts';
import { asUsageError, serverFailure } from '../server-errors.ts';
import { readVersion } from '../version.ts';

export function register(program: Command, context: CliContext): void {
  const serve = program
    .command('serve')
    .description(
      'Run one journal server until SIGINT or SIGTERM; a second signal ends it at once. Settings come from the TOML file, ' +
        'then PACT_JOURNAL_* variables, then flags. Logs go to stdout, with --json to stderr: stdout then has one line when ready.',
    );
  addSettingFlags(serve).action(async (options: Readonly<Record<string, unknown>>) => {
    try {
      await run(options, context);
    } catch (error) {
      const { message, exitCode } = describeFailure(error);
      tellParent({ kind: 'failed', message, exitCode });
      throw error;
    }
  });
}

async function run(options: Readonly<Record<string, unknown>>, context: CliContext): Promise<void> {
  const { config } = await loadConfig(configSources(options, context.env)).catch(asUsageError(context));
  const { json } = context.globals;
  const log = await createLogger(config, json ? 2 : 1);
  const manager = new ServiceManager(context.env, log);
  const onReady = (line: NodeLine): void => {
    manager.ready(`serving as ${line.role}, node ${String(line.id)} of ${config.cluster.id}`);
    if (json) context.out.json({ ready: true, nodes: [line] });
    else announce(config, log, context);
    tellParent({ kind: 'ready' });
  };
  const stopRequest = untilAskedToStop();
  void stopRequest.then(() => {
    manager.stopping();
  });
  await runServer({ config, log, version: readVersion(), stopRequest, onReady }).catch(serverFailure);
}

/** Where it is reached, as log lines: stdout has nothing but the log. */
function announce(config: ServerConfig, log: Logger, context: CliContext): void {
  const { grpc, raft, metrics } = config.listen;
  log.info(
    {
      grpc: formatAddress(grpc),
      raft: formatAddress(raft),
      metrics: formatAddress(metrics),
      data_dir: config.node.dataDir,
      cluster_id: config.cluster.id,
    },
    'serving',
  );
  if (context.out.isTerminal)
    context.out.note(
      `clients: pact-journal --endpoint ${formatAddress(config.advertise.grpc ?? grpc)} status`,
    );
}

function tellParent(message: ServeMessage): void {
  if (process.connected && process.send !== undefined) process.send(message);
}
