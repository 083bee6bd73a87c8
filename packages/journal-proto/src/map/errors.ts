/**
 * Why a value could not be carried over: `missing`: a field that must be there is not; `malformed`: its content cannot
 * be read; `outOfRange`: it can, but no such value is allowed.
 */
export type WireErrorCode = 'missing' | 'malformed' | 'outOfRange';

/**
 * A message from the wire, or a value on its way to it, has a wrong field. A server answers `INVALID_ARGUMENT` with
 * the message. Recognise it with {@link isWireError}, which works across duplicate installations.
 */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: WireErrorCode;
  /** The field's path by its names in the .proto files, for example `entry.state_delta.mounts[2].path`. */
  readonly field: string;

  constructor(code: WireErrorCode, field: string, reason: string) {
    super(`${field}: ${reason}`);
    this.code = code;
    this.field = field;
  }
}

/** Whether something caught is a {@link WireError}. */
export function isWireError(error: unknown): error is WireError {
  return error instanceof Error && error.name === 'WireError' && 'field' in error && 'code' in error;
}

/** The value, which must be there. */
export function required<Value>(value: Value | undefined | null, field: string): Value {
  if (value === undefined || value === null) throw new WireError('missing', field, 'must be given');
  return value;
}

/** The text, which must not be empty. */
export function nonEmpty(value: string, field: string): string {
  if (value === '') throw new WireError('missing', field, 'must be given');
  return value;
}

/** `{field: value}` where there is a value, else nothing: optional fields are left out rather than undefined. */
export function present<Key extends string, Value>(
  key: Key,
  value: Value | undefined,
): Partial<Record<Key, Value>> {
  return value === undefined ? {} : ({ [key]: value } as Record<Key, Value>);
}
