import type { IncomingHttpHeaders } from 'node:http2';
import type { Socket } from 'node:net';
import type { CallStatus } from '../server/call.ts';

/** A call of which nothing but its headers was read. */
export interface FrontRequest {
  /** For example `/pact.journal.ConfigService/GetEntry`. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The same object for every call of a connection. */
  readonly socket: Socket;
}

/** A call that may go on. */
export interface Admitted {
  readonly type: 'admitted';
  /** What whoever handles the call is told of its caller; names begin with `x-pact-front-`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Milliseconds of Date.now at which a call that is still open is ended; Infinity for never. */
  readonly expiresAtMs: number;
  /** Who calls: where calls have to wait, the callers take turns. Default: the connection. */
  readonly share?: unknown;
  /** Called once, when the call is over. */
  readonly release?: () => void;
}

/** A call that is answered with a status and nothing else. */
export interface Refused {
  readonly type: 'refused';
  readonly status: CallStatus;
}

export type Admission = Admitted | Refused;

/**
 * Decides about a call before anything of its body is read, whoever handles it later. Must neither throw nor reject; a
 * decision that is known at once is best given without a promise.
 */
export type Admit = (request: FrontRequest) => Admission | Promise<Admission>;

export const EVERYBODY: Admitted = { type: 'admitted', metadata: {}, expiresAtMs: Infinity };
