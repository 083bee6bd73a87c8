/** `pact-journal completion`: completion scripts for shells. */
import { Argument, type Command } from 'commander';
import type { CliContext } from '../context.ts';
import type { Shell } from '../completion.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('completion')
    .description('Print a completion script, for example: eval "$(pact-journal completion bash)"')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: Shell) => {
      const { completionScript } = await import('../completion.ts');
      context.out.raw(completionScript(await context.wholeProgram(), shell));
    });
}
