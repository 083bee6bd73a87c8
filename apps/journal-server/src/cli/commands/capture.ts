/** `pact-journal capture`: this host's real state as a state delta. */
import { stat, writeFile } from 'node:fs/promises';
import { DELTA_KINDS, type DeltaKind, type StateDelta } from '@pact-journal/journal-state';
import type { Command } from 'commander';
import type { CliContext } from '../context.ts';
import { CliError } from '../errors.ts';
import { parseCount, parseKinds } from '../parse.ts';

interface CaptureFlags {
  readonly include?: readonly DeltaKind[];
  readonly etcMaxBytes?: number;
  readonly root: string;
  readonly output?: string;
}

export function register(program: Command, context: CliContext): void {
  program
    .command('capture')
    .description(
      "Print this host's real state as a state delta: mounts, files below /etc, network interfaces, services, sysctls, " +
        'packages and GPUs. Nothing unreadable, volatile or secret is taken; what was left out is counted on stderr.',
    )
    .option(
      '--include <kinds>',
      `comma-separated, of ${DELTA_KINDS.join(', ')} (default all)`,
      parseKinds('--include'),
    )
    .option(
      '--etc-max-bytes <n>',
      'leave out larger files (default 1048576)',
      parseCount('--etc-max-bytes', 0),
    )
    .option('--root <dir>', 'capture a system below another directory', '/')
    .option('-o, --output <file>', 'write the delta to a file instead of stdout')
    .action(async (flags: CaptureFlags) => {
      await checkRoot(flags.root);
      const { captureHost } = await import('../../capture/index.ts');
      const { delta, leftOut } = await captureHost({
        root: flags.root,
        ...(flags.include === undefined ? {} : { include: flags.include }),
        ...(flags.etcMaxBytes === undefined ? {} : { etcMaxBytes: flags.etcMaxBytes }),
      });
      const text = formatDelta(delta);
      if (flags.output === undefined) context.out.raw(text);
      else await write(flags.output, text);
      const counts = DELTA_KINDS.filter((kind) => delta[kind].length > 0).map(
        (kind) => `${String(delta[kind].length)} ${kind}`,
      );
      const total = DELTA_KINDS.reduce((sum, kind) => sum + delta[kind].length, 0);
      context.out.note(`captured ${String(total)} items: ${counts.join(', ')}`);
      if (leftOut.length > 0) {
        context.out.note(
          `left out: ${leftOut.map((part) => `${String(part.count)} ${part.kind} (${part.reason})`).join(', ')}`,
        );
      }
    });
}

/** A root that is none would give an empty capture, which looks like a host without any configuration. */
async function checkRoot(root: string): Promise<void> {
  let reason = 'is not a directory';
  try {
    if ((await stat(root)).isDirectory()) return;
  } catch (error) {
    reason = `cannot be read (${error instanceof Error ? error.message : String(error)})`;
  }
  throw new CliError('usage', `--root: ${root} ${reason}, give the directory that holds the system's etc`);
}

/** JSON with an item a line, so that captures can be compared with line tools. */
export function formatDelta(delta: StateDelta): string {
  const kinds = DELTA_KINDS.map((kind) => {
    const items = delta[kind].map((item) => JSON.stringify(item));
    return `${JSON.stringify(kind)}:[${items.length === 0 ? '' : `\n${items.join(',\n')}\n`}]`;
  });
  return `{${kinds.join(',\n')}}\n`;
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw new CliError(
      'failed',
      `cannot write the capture to ${path}: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}
