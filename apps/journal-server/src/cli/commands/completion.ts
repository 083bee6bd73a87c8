/** `pact-journal completion`: completion scripts for shells. */
import { Argument, type Command } from 'commander';
import { Context, type CliContext } from '../context.ts';
import type { Shell } from '../completion.ts';

export function register(program: Command, context: CliContext): void {
  program
    .command('completion')
    .description('Print a completion script, for example: eval "$(pact-journal completion bash)"')
    .addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish']))
    .action(async (shell: Shell) => {
      const { completionScript } = await import('../completion.ts');
      const { createProgram } = await import('../program.ts');
      // A program of its own: in the running one, all other commands are only names.
      const whole = await createProgram(new Context(process, context.env), 'all');
      context.out.raw(completionScript(whole, shell));
    });
}
