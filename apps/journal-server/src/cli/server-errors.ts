/** How the commands that run servers turn what stops a server into the one line and the exit status of the CLI. */
import { isConfigError } from '../config/index.ts';
import type { CliContext } from './context.ts';
import { CliError } from './errors.ts';

/** For `catch`: prints all problems of a configuration but the last, which becomes the CLI's own failure. */
export function asUsageError(context: CliContext): (error: unknown) => never {
  return (error) => {
    if (!isConfigError(error)) throw error;
    const lines = error.message.split('\n');
    for (const line of lines.slice(0, -1)) context.out.failure(line);
    throw new CliError('usage', lines.at(-1) ?? '', { cause: error });
  };
}
