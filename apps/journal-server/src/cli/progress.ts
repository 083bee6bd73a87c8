/** Progress of long work, on stderr and only where a human watches. */
import { Presets, SingleBar } from 'cli-progress';
import type { CliContext } from './context.ts';

export interface Progress {
  update(done: number, failed: number): void;
  stop(): void;
}

const SILENT: Progress = { update: () => undefined, stop: () => undefined };

export function startProgress(
  context: CliContext,
  total: number,
  describe: (done: number, failed: number) => string,
): Progress {
  if (context.globals.json || !context.out.isErrorTerminal) return SILENT;
  const bar = new SingleBar(
    {
      format: '{bar} {percentage}% | {text} | {duration_formatted}',
      stream: process.stderr,
      fps: 10,
      hideCursor: true,
    },
    Presets.shades_classic,
  );
  bar.start(total, 0, { text: describe(0, 0) });
  return {
    update: (done, failed) => {
      bar.update(done, { text: describe(done, failed) });
    },
    stop: () => {
      bar.stop();
    },
  };
}
