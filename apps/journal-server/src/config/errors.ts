/** What is wrong with a configuration. */
export type ConfigErrorCode = 'unreadable' | 'syntax' | 'unknownKey' | 'invalidValue' | 'conflict' | 'unsafe';

/** One thing that is wrong: where, what, and what would be right, in one line. */
export interface ConfigProblem {
  readonly code: ConfigErrorCode;
  /** `FILE:LINE`, `$VARIABLE`, `--flag`, or `configuration` where several settings contradict each other. */
  readonly where: string;
  readonly message: string;
}

/** A configuration that cannot be used. Its message has one line a problem. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code: ConfigErrorCode;
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly [ConfigProblem, ...ConfigProblem[]], options?: ErrorOptions) {
    super(problems.map((problem) => `${problem.where}: ${problem.message}`).join('\n'), options);
    this.code = problems[0].code;
    this.problems = problems;
  }
}

/** Recognises a {@link ConfigError} by its shape, also across duplicate installs. */
export function isConfigError(error: unknown): error is ConfigError {
  return error instanceof Error && error.name === 'ConfigError' && 'problems' in error;
}
