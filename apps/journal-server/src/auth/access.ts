/** What the services ask: who calls, and whether the table allows what the request wants. */
import { status } from '@grpc/grpc-js';
import { BootStreamError, type FrontCall } from '@pact-journal/boot-stream';
import type { JournalView } from '@pact-journal/journal-state';
import { authorize, rowOf, type Grant } from './authorizer.ts';
import { ANYBODY, decodeCaller, type Caller } from './caller.ts';
import { AuthError, isAuthError, type AuthErrorCode, type AuthReason } from './errors.ts';
import { CALLER_KEY } from './gate.ts';
import { BOOT_ROW, SUBSCRIBE_ROW, type Row } from './roles.ts';

export interface AccessOptions {
  /** False: everybody may do everything, and authors are who they say. */
  readonly enforced: boolean;
  readonly view: () => JournalView;
  /** Told of every refusal. Must not throw. */
  readonly onRefusal: (reason: AuthReason, path: string) => void;
}

const BOOT_ROWS: Readonly<Record<FrontCall['method'], Row>> = {
  StreamBootConfig: BOOT_ROW,
  SubscribeConfigUpdates: SUBSCRIBE_ROW,
};

/** Callers whose encoded form is remembered. */
const REMEMBERED_MAX = 16_384;

export class Access {
  readonly #options: AccessOptions;
  readonly #callers = new Map<string, Caller>();

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /** From the metadata that the front has put there. Fails closed where there is none. */
  callerOf(header: (name: string) => string | undefined): Caller {
    if (!this.#options.enforced) return ANYBODY;
    const text = header(CALLER_KEY);
    if (text === undefined) throw new AuthError('missingCredentials', 'who calls is not known');
    const known = this.#callers.get(text);
    if (known !== undefined) return known;
    const caller = decodeCaller(text);
    if (this.#callers.size >= REMEMBERED_MAX) this.#callers.delete(this.#callers.keys().next().value ?? '');
    this.#callers.set(text, caller);
    return caller;
  }

  /** Fails with {@link AuthError} where the table does not allow it. */
  authorize(caller: Caller, path: string, request: unknown): Grant {
    const row = rowOf(path);
    if (row === undefined) throw this.#counted(new AuthError('methodUnknown', `${path} is not served`), path);
    return this.authorizeBy(row, caller, request);
  }

  /** The same for boots and subscriptions, in the words of their front. Fails with `BootStreamError`. */
  authorizeBoot(
    caller: Caller,
    method: FrontCall['method'],
    request: Pick<FrontCall, 'nodeId' | 'vclusterId'>,
  ): void {
    try {
      this.authorizeBy(BOOT_ROWS[method], caller, request);
    } catch (error) {
      if (!isAuthError(error)) throw error;
      const code = error.code === 'permissionDenied' ? 'permissionDenied' : 'unauthenticated';
      throw new BootStreamError(code, error.message, { cause: error });
    }
  }

  authorizeBy(row: Row, caller: Caller, request: unknown): Grant {
    try {
      return authorize(caller, row, request, this.#options.view());
    } catch (error) {
      throw this.#counted(error, row.path);
    }
  }

  #counted(error: unknown, path: string): unknown {
    if (isAuthError(error)) this.#options.onRefusal(error.reason, path);
    return error;
  }
}

const STATUS: Readonly<Record<AuthErrorCode, status>> = {
  unauthenticated: status.UNAUTHENTICATED,
  permissionDenied: status.PERMISSION_DENIED,
  unavailable: status.UNAVAILABLE,
  overloaded: status.RESOURCE_EXHAUSTED,
  unsupported: status.UNIMPLEMENTED,
};

export function statusOfAuthError({ code }: AuthError): status {
  return STATUS[code];
}
