/** `pact-journal storm`: boots many nodes at once and measures. */
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { tlsOptions } from '../channel.ts';
import { CliError } from '../errors.ts';
import { lowerPriority } from '../../priority.ts';
import { parseCount, parseDuration } from '../parse.ts';
import type { StormReport } from '../storm/statistics.ts';
import { formatCount, printFields } from '../tables.ts';

interface StormFlags {
  readonly vcluster: string;
  readonly nodes: number;
  readonly concurrency: number;
  readonly nodePrefix: string;
  readonly timeout: number;
  readonly niceness: number;
}

export function register(program: Command, context: CliContext): void {
  program
    .command('storm')
    .description(
      'Boot many nodes at once, verify every payload, and print throughput and latencies. Each boot at a time has a ' +
        'connection of its own; several --endpoint share the load.',
    )
    .requiredOption('--vcluster <name>', 'the virtual cluster that the nodes boot into')
    .option('--nodes <n>', 'boots in all', parseCount('--nodes', 1, 10_000_000), 10_000)
    .option('--concurrency <n>', 'boots at once', parseCount('--concurrency', 1, 100_000), 1000)
    .option('--node-prefix <text>', "the nodes' names: prefix and number", 'storm-')
    .option('--timeout <duration>', 'for one boot', parseDuration('--timeout'), 30)
    .option(
      '--niceness <n>',
      'CPU priority that the storm gives up (nice(1)): nodes take none from a server on the same machine',
      parseCount('--niceness', 0, 19),
      5,
    )
    .action(async (flags: StormFlags) => {
      lowerPriority(flags.niceness);
      const [{ runStorm }, { decodeOverlay }, { startProgress }] = await Promise.all([
        import('../storm/storm.ts'),
        import('../boot.ts'),
        import('../progress.ts'),
      ]);
      const progress = startProgress(context, flags.nodes, (done, failed) =>
        failed === 0
          ? `${formatCount(done)} booted`
          : `${formatCount(done - failed)} booted, ${formatCount(failed)} failed`,
      );
      const { report, examples } = await runStorm({
        endpoints: context.globals.endpoints,
        token: context.globals.token,
        tls: await tlsOptions(context.globals.tls),
        vcluster: flags.vcluster,
        nodes: flags.nodes,
        concurrency: flags.concurrency,
        nodePrefix: flags.nodePrefix,
        timeoutMs: flags.timeout * 1000,
        decode: decodeOverlay,
        onProgress: (statistics) => {
          progress.update(statistics.done, statistics.failed);
        },
      });
      progress.stop();
      if (context.globals.json) context.out.json(report);
      else printReport(context, report);
      if (report.failed > 0) throw failure(report, examples);
    });
}

function printReport(context: CliContext, report: StormReport): void {
  printFields(context.out, [
    ['boots', `${formatCount(report.succeeded)} of ${formatCount(report.nodes)}`],
    ['duration', `${String(report.duration_s)} s`],
    ['boots/s', formatCount(report.boots_per_s)],
    ['MB/s', String(report.mb_per_s)],
    ['p50', `${String(report.p50_ms)} ms`],
    ['p99', `${String(report.p99_ms)} ms`],
    ['max', `${String(report.max_ms)} ms`],
    ...Object.entries(report.failures).map(([code, count]): [string, string] => [code, formatCount(count)]),
  ]);
}

/** Where not a single boot came through, the exit status says why: nobody there, refused, or damaged. */
function failure(report: StormReport, examples: ReadonlyMap<string, string>): CliError {
  const [code, example] = [...examples][0] ?? ['UNKNOWN', ''];
  const message = `${formatCount(report.failed)} of ${formatCount(report.nodes)} boots failed, the first with ${code}: ${example}`;
  if (report.failures['CORRUPT'] !== undefined) return new CliError('damaged', message);
  if (report.succeeded > 0) return new CliError('failed', message);
  return new CliError(UNREACHABLE.has(code) ? 'unreachable' : 'refused', message);
}

const UNREACHABLE: ReadonlySet<string> = new Set(['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'RESOURCE_EXHAUSTED']);
