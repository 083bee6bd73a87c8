/** How the command line fails: one line that says what, where and what would be right, and an exit status. */

/** Exit statuses, the same for every command. */
export const EXIT_CODES = {
  done: 0,
  /** The operation itself failed. */
  failed: 1,
  /** Wrong arguments, unreadable or malformed input, bad configuration: nothing was sent. */
  usage: 2,
  /** Nobody reached, no leader, overloaded, or not all reached that was to be checked: trying again may help. */
  unreachable: 3,
  /** The journal said no: authentication, permission, validation, or it does not know what was named. */
  refused: 4,
  /** Damage found: a checksum, a hash or a file is not what it must be. */
  damaged: 5,
} as const;

export type CliErrorCode = Exclude<keyof typeof EXIT_CODES, 'done'>;

/** What commands throw. The message is one line for the operator. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly code: CliErrorCode;

  constructor(code: CliErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** What to print, and with which status to exit. */
export interface Failure {
  readonly message: string;
  readonly exitCode: number;
}

/** Codes of this project's own typed errors (clients, boots, storage, configuration) by what they mean here. */
const TYPED_FAILURES: ReadonlyMap<string, CliErrorCode> = new Map([
  ['unavailable', 'unreachable'],
  ['noLeader', 'unreachable'],
  ['overloaded', 'unreachable'],
  ['deadlineExceeded', 'unreachable'],
  ['invalidRequest', 'refused'],
  ['malformed', 'refused'],
  ['notFound', 'refused'],
  ['notPossible', 'refused'],
  ['unauthenticated', 'refused'],
  ['permissionDenied', 'refused'],
  ['invalidOption', 'usage'],
  ['invalidUrl', 'usage'],
  ['slow', 'unreachable'],
  ['denied', 'refused'],
  ['foreignCluster', 'refused'],
  ['newerBackup', 'refused'],
  ['noSuchPoint', 'refused'],
  ['notEmpty', 'refused'],
  ['unusable', 'refused'],
  ['checksumMismatch', 'damaged'],
  ['locked', 'refused'],
  ['permission', 'refused'],
  ['foreignDirectory', 'refused'],
  ['newerFormat', 'refused'],
  ['unproven', 'refused'],
  ['contradiction', 'damaged'],
  ['corrupt', 'damaged'],
  ['hole', 'damaged'],
  ['overlap', 'damaged'],
  ['voteMissing', 'damaged'],
  ['voteCorrupt', 'damaged'],
  ['metadataMissing', 'damaged'],
  ['committedBeyondLog', 'damaged'],
  ['logWithoutSnapshot', 'damaged'],
]);

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

/** Makes one line of whatever was thrown. Recognises errors by their shape, not their class. */
export function describeFailure(error: unknown): Failure {
  if (!isRecord(error)) return { message: oneLine(String(error)), exitCode: EXIT_CODES.failed };
  const code = error['code'];
  const message = oneLine(typeof error['message'] === 'string' ? error['message'] : JSON.stringify(error));
  if (typeof code === 'string' && code.startsWith('commander.')) {
    return {
      message: message.replace(/^error: /u, ''),
      exitCode: error['exitCode'] === 0 ? 0 : EXIT_CODES.usage,
    };
  }
  if (typeof code === 'string') {
    return {
      message,
      exitCode: EXIT_CODES[isCliErrorCode(code) ? code : (TYPED_FAILURES.get(code) ?? 'failed')],
    };
  }
  return { message, exitCode: EXIT_CODES.failed };
}

function isCliErrorCode(code: string): code is CliErrorCode {
  return code !== 'done' && Object.hasOwn(EXIT_CODES, code);
}

function oneLine(text: string): string {
  return text
    .split(/\r?\n/u)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ');
}
