/** How the commands that run servers turn what stops a server into the one line and the exit status of the CLI. */
import { isConfigError } from '../config/index.ts';
import { isServerError, type ServerErrorCode } from '../server/errors.ts';
import type { CliContext } from './context.ts';
import { CliError, EXIT_CODES, type CliErrorCode } from './errors.ts';

/** For `catch`: prints all problems of a configuration but the last, which becomes the CLI's own failure. */
export function asUsageError(context: CliContext): (error: unknown) => never {
  return (error) => {
    if (!isConfigError(error)) throw error;
    const lines = error.message.split('\n');
    for (const line of lines.slice(0, -1)) context.out.failure(line);
    throw new CliError('usage', lines.at(-1) ?? '', { cause: error });
  };
}

const meaning: Readonly<Record<ServerErrorCode, CliErrorCode>> = {
  portInUse: 'failed',
  cannotListen: 'failed',
  refused: 'refused',
  misconfigured: 'usage',
  damaged: 'damaged',
  fatal: 'failed',
};

/** For `catch`: a server's own error as the CLI's failure. */
export function serverFailure(error: unknown): never {
  if (isServerError(error)) throw new CliError(meaning[error.code], error.message, { cause: error });
  throw error;
}

/** A failure that a child process has reported, with the exit status that it had. */
export function exitCodeError(exitCode: number, message: string, cause: unknown): CliError {
  const code = Object.entries(EXIT_CODES).find(([name, value]) => value === exitCode && name !== 'done')?.[0];
  return new CliError(isErrorCode(code) ? code : 'failed', message, { cause });
}

function isErrorCode(code: string | undefined): code is CliErrorCode {
  return code !== undefined && code !== 'done' && code in EXIT_CODES;
}
