/** `pact-journal dev`: a local cluster in the foreground. */
import { type Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../../config/index.ts';
import { ChildFailure, nodeFlags } from '../../dev/child.ts';
import { DevCluster } from '../../dev/cluster.ts';
import { DEV_LIMITS, DevPlanError, planCluster, type DevPlan, type DevRequest } from '../../dev/plan.ts';
import { greeting } from '../../dev/greeting.ts';
import { checkListeners } from '../../server/listening.ts';
import { createLogger } from '../../server/log.ts';
import type { NodeLine } from '../../server/node-line.ts';
import { runServer, untilAskedToStop, type StopRequest } from '../../server/run.ts';
import type { CliContext } from '../context.ts';
import { CliError } from '../errors.ts';
import { asUsageError, exitCodeError, serverFailure } from '../server-errors.ts';
import { readVersion } from '../version.ts';

interface DevOptions extends DevRequest {
  readonly logLevel?: string;
  readonly backupUrl?: string;
}

export function register(program: Command, context: CliContext): void {
  program
    .command('dev')
    .description(
      'Run a local cluster on 127.0.0.1 until Ctrl-C: a process, a data directory and three ports a node. Node n has gRPC on ' +
        'base + 10(n-1), Raft on the next port, metrics on the one after. A single node without --base-port has 9443, 9444 and 9091. ' +
        'On a directory that was used before, the same cluster goes on.',
    )
    .option('--nodes <N>', 'voters (default 3)', wholeNumber(1, DEV_LIMITS.nodesMax))
    .option('--learners <N>', 'learners besides (default 0)', wholeNumber(0, DEV_LIMITS.learnersMax))
    .option('--base-port <PORT>', "the first node's gRPC port (default 9443)", wholeNumber(1_024, 65_533))
    .option(
      '--data-dir <DIR>',
      'where the nodes keep their data (default .pact-journal/dev-NODES[-LEARNERS])',
    )
    .option('--log-level <LEVEL>', "least level in the nodes' logs (default info)")
    .option('--backup-url <URL>', 'export to this store, an existing directory for example')
    .action(async (options: DevOptions) => {
      const stopRequest = untilAskedToStop();
      const plan = await planCluster(options).catch(planFailure);
      const listeners = plan.nodes.flatMap((node) =>
        (['grpc', 'raft', 'metrics'] as const).map((name) => ({
          address: node[name],
          purpose: `${name} of node ${String(node.id)}`,
          flag: '--base-port',
        })),
      );
      await checkListeners(listeners).catch(serverFailure);
      const passedOn = [
        ...(options.logLevel === undefined ? [] : ['--log-level', options.logLevel]),
        ...(options.backupUrl === undefined ? [] : ['--backup-url', options.backupUrl]),
      ];
      if (plan.nodes.length === 1) await runSingle(plan, options, stopRequest, context);
      else await runCluster(plan, passedOn, stopRequest, context);
    });
}

/** A single node runs in this very process: it is up in a fraction of the time. */
async function runSingle(
  plan: DevPlan,
  options: DevOptions,
  stopRequest: Promise<StopRequest>,
  context: CliContext,
): Promise<void> {
  const [node] = plan.nodes;
  if (node === undefined) throw new Error('assertion failed: a plan has a node');
  const level = options.logLevel ?? (context.out.isErrorTerminal ? 'warn' : 'info');
  const flags = {
    ...nodeFlags(node, plan),
    ...(options.backupUrl === undefined ? {} : { 'backup-url': options.backupUrl }),
    'log-level': level,
    'log-format': context.out.isErrorTerminal ? 'pretty' : 'json',
  };
  const { config } = await loadConfig({ environment: {}, flags }).catch(asUsageError(context));
  const log = await createLogger(config, 2);
  const onReady = (line: NodeLine): void => {
    show([{ ...line, data_dir: node.dataDir }], plan, context);
  };
  await runServer({ config, log, version: readVersion(), stopRequest, onReady }).catch(serverFailure);
}

async function runCluster(
  plan: DevPlan,
  flags: readonly string[],
  stopRequest: Promise<StopRequest>,
  context: CliContext,
): Promise<void> {
  const cluster = await DevCluster.start(plan, {
    flags,
    onUnexpectedExit: (node, report) => {
      const how =
        report.signal === null
          ? `exited with status ${String(report.code)}`
          : `was ended by ${report.signal}`;
      context.out.warn(
        `node ${String(node.id)} ${how}; the others go on, and it comes back when this cluster is started again`,
      );
    },
  }).catch(childFailure);
  try {
    const lines = await Promise.race([cluster.ready(), stopRequest.then(() => undefined)]);
    if (lines !== undefined) show(lines, plan, context);
    await Promise.race([stopRequest, cluster.allExited()]);
  } finally {
    await cluster.stop();
  }
}

function show(nodes: readonly NodeLine[], plan: DevPlan, context: CliContext): void {
  if (context.globals.json) context.out.json({ ready: true, nodes });
  else context.out.raw(greeting(nodes, plan, context.out.colors));
}

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && /^\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`expected a whole number from ${String(min)} to ${String(max)}`);
  };
}

function planFailure(error: unknown): never {
  if (error instanceof DevPlanError) throw new CliError('usage', error.message, { cause: error });
  throw error;
}

function childFailure(error: unknown): never {
  if (error instanceof ChildFailure) throw exitCodeError(error.exitCode, error.message, error);
  throw error;
}
