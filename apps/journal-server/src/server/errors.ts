/**
 * Why a server does not start or stopped.
 *
 * - `portInUse`, `cannotListen`: an address could not be listened on
 * - `refused`: the data directory belongs to another cluster, node or process, or the cluster does not let this node join
 * - `misconfigured`: what the configuration asks for is not installed
 * - `damaged`: what the data directory holds contradicts itself
 * - `fatal`: consensus or storage stopped for good while running
 */
export type ServerErrorCode =
  'portInUse' | 'cannotListen' | 'refused' | 'misconfigured' | 'damaged' | 'fatal';

/** A server that cannot start or go on. The message is one line for the operator. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
  readonly code: ServerErrorCode;

  constructor(code: ServerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** Recognises a {@link ServerError} by its shape. */
export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && error.name === 'ServerError' && 'code' in error;
}

/** The `code` of a system error (`EADDRINUSE`, ...), where there is one. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
