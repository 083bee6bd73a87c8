/** Why a call was not let in: what a client is told, and what is counted. */

import type { PeerHandshakeFailure } from './peer-handshakes.ts';

/** No credentials, or such that say nothing: UNAUTHENTICATED. */
type CredentialReason =
  | 'missingCredentials'
  | 'malformedCredentials'
  | 'tokensNotAccepted'
  | 'tokenMalformed'
  | 'tokenAlgorithm'
  | 'tokenKeyUnknown'
  | 'tokenSignature'
  | 'tokenIssuer'
  | 'tokenAudience'
  | 'tokenExpired'
  | 'tokenNotYetValid'
  | 'tokenClaims'
  | 'certificateUntrusted'
  | 'certificateExpired'
  | 'certificateNotYetValid'
  | 'certificatePurpose'
  | 'certificateUnbound'
  | 'certificateAmbiguous'
  | 'certificateForeign';

/** Known, but not allowed to: PERMISSION_DENIED. */
type PermissionReason = 'noRole' | 'roleInsufficient' | 'scopeForbidden' | 'callerForged';

/**
 * Connections that were not let in or not kept: `tlsVersion`, `tlsHandshake`: the handshake failed, because of another
 * version of TLS or of anything else. `peerTlsVersion`, `peerCertificate`, `peerTlsHandshake`: the same on the Raft port,
 * where who has no certificate of a member gets no further. `flood`: a connection that resets streams or sends headers that
 * are too large, or one too many that shakes hands for nothing. `stalled`: the client does not read.
 */
type ConnectionReason = 'tlsVersion' | 'tlsHandshake' | PeerHandshakeFailure | 'flood' | 'stalled';

/** - `issuerUnavailable`: nobody can say whether a token is right: UNAVAILABLE. - `tooManyStreams`: RESOURCE_EXHAUSTED. */
export type AuthReason =
  | CredentialReason
  | PermissionReason
  | ConnectionReason
  | 'issuerUnavailable'
  | 'tooManyStreams'
  | 'methodUnknown';

export type AuthErrorCode =
  'unauthenticated' | 'permissionDenied' | 'unavailable' | 'overloaded' | 'unsupported';

const CODES: Readonly<Partial<Record<AuthReason, AuthErrorCode>>> = {
  noRole: 'permissionDenied',
  roleInsufficient: 'permissionDenied',
  scopeForbidden: 'permissionDenied',
  callerForged: 'permissionDenied',
  issuerUnavailable: 'unavailable',
  tooManyStreams: 'overloaded',
  methodUnknown: 'unsupported',
};

/** A call that was refused. Its message is for the client: it never carries a credential. */
export class AuthError extends Error {
  override readonly name = 'AuthError';
  readonly reason: AuthReason;
  readonly code: AuthErrorCode;

  constructor(reason: AuthReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
    this.code = CODES[reason] ?? 'unauthenticated';
  }
}

export function isAuthError(error: unknown): error is AuthError {
  return error instanceof Error && error.name === 'AuthError' && 'reason' in error;
}

/** Metadata with which a refusal says its {@link AuthReason}, for programs. */
export const AUTH_REASON_KEY = 'x-pact-auth-reason';
