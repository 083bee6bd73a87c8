/** Bearer tokens: whose they are, and whether that is true. */
import { hash } from 'node:crypto';
import { errors, jwtVerify, type JWTPayload } from 'jose';
import type { PrincipalType } from '@pact-journal/journal-state';
import { checkPrincipal, type ComputeNode, type User } from './caller.ts';
import { AuthError, isAuthError, type AuthReason } from './errors.ts';
import type { IssuerKeys } from './issuer-keys.ts';

export interface TokenVerifierOptions {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms: readonly string[];
  readonly clockSkewMs: number;
  readonly rolesClaim: string;
  readonly nodeClaim: string;
  readonly keys: Pick<IssuerKeys, 'key'>;
}

/** Tokens that were found good, so that the next call with the same one costs a hash. The oldest make room. */
const REMEMBERED_MAX = 16_384;
const ROLES_MAX = 64;
const NODE_ID = /^[A-Za-z0-9._:-]{1,253}$/;

export class TokenVerifier {
  readonly #options: TokenVerifierOptions;
  readonly #good = new Map<string, User | ComputeNode>();
  /** Those that are being looked at: a thousand calls that begin with the same new token cost one signature. */
  readonly #pending = new Map<string, Promise<User | ComputeNode>>();
  #generation = 0;

  constructor(options: TokenVerifierOptions) {
    this.#options = options;
  }

  /** At once where the token is known. Fails with {@link AuthError}. */
  verify(token: string): User | ComputeNode | Promise<User | ComputeNode> {
    const key = hash('sha256', token, 'base64');
    const known = this.#good.get(key);
    if (known === undefined) return this.#pending.get(key) ?? this.#begin(token, key);
    if (known.expiresAtMs > Date.now()) return known;
    this.#good.delete(key);
    throw new AuthError('tokenExpired', 'the token has expired; log in again');
  }

  /** Changes whenever tokens that were good may not be any more. */
  get generation(): number {
    return this.#generation;
  }

  /** Every token is looked at anew. */
  forget(): void {
    this.#generation += 1;
    this.#good.clear();
    this.#pending.clear();
  }

  #begin(token: string, key: string): Promise<User | ComputeNode> {
    const verification = this.#verify(token, key).finally(() => {
      if (this.#pending.get(key) === verification) this.#pending.delete(key);
    });
    this.#pending.set(key, verification);
    return verification;
  }

  async #verify(token: string, key: string): Promise<User | ComputeNode> {
    const { issuer, audience, algorithms, clockSkewMs, keys } = this.#options;
    const generation = this.#generation;
    try {
      const { payload } = await jwtVerify(token, keys.key, {
        issuer,
        audience,
        algorithms: [...algorithms],
        clockTolerance: clockSkewMs / 1_000,
        requiredClaims: ['exp', 'sub'],
      });
      const caller = this.#callerOf(payload);
      if (generation !== this.#generation) return caller; // found good by keys that may not be any more
      if (this.#good.size >= REMEMBERED_MAX) this.#good.delete(this.#good.keys().next().value ?? '');
      this.#good.set(key, caller);
      return caller;
    } catch (error) {
      throw isAuthError(error) ? error : tokenError(error);
    }
  }

  #callerOf(claims: JWTPayload): User | ComputeNode {
    const { rolesClaim, nodeClaim, clockSkewMs } = this.#options;
    const expiresAtMs = Number(claims.exp) * 1_000 + clockSkewMs;
    const nodeId = claims[nodeClaim];
    if (nodeId !== undefined) {
      if (typeof nodeId !== 'string' || !NODE_ID.test(nodeId))
        throw new AuthError('tokenClaims', `the token's claim ${nodeClaim} is not the name of a node`);
      return { kind: 'node', nodeId, expiresAtMs };
    }
    const principal = claims.sub;
    if (typeof principal !== 'string') throw new AuthError('tokenClaims', 'the token has no subject');
    checkPrincipal(principal);
    return {
      kind: 'user',
      principal,
      principalType: principalTypeOf(claims),
      roles: rolesOf(claims[rolesClaim], rolesClaim),
      expiresAtMs,
    };
  }
}

/** One role, or a list of them. */
function rolesOf(claim: unknown, name: string): readonly string[] {
  if (claim === undefined) return [];
  const roles: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
  if (roles.length > ROLES_MAX || !roles.every((role) => typeof role === 'string'))
    throw new AuthError(
      'tokenClaims',
      `the token's claim ${name} must be a role or a list of at most ${String(ROLES_MAX)}`,
    );
  return roles.map(String);
}

const TYPES: Readonly<Record<string, PrincipalType>> = { human: 'Human', agent: 'Agent', service: 'Service' };

/** Said by a claim of the journal's own; else a client that got a token for itself is no person (RFC 9068, 2.2). */
function principalTypeOf(claims: JWTPayload): PrincipalType {
  const said = claims['pact_principal_type'];
  if (said !== undefined) {
    const type = typeof said === 'string' ? TYPES[said.toLowerCase()] : undefined;
    if (type !== undefined) return type;
    throw new AuthError(
      'tokenClaims',
      "the token's claim pact_principal_type must be human, agent or service",
    );
  }
  return claims['client_id'] === claims.sub || claims['azp'] === claims.sub ? 'Service' : 'Human';
}

const CLAIMS: Readonly<Record<string, readonly [AuthReason, string]>> = {
  iss: ['tokenIssuer', 'the token is of another issuer than this journal trusts'],
  aud: ['tokenAudience', 'the token is meant for another service: it names another audience'],
  nbf: ['tokenNotYetValid', 'the token is not valid yet'],
  iat: ['tokenNotYetValid', 'the token is not valid yet'],
};

function tokenError(error: unknown): AuthError {
  if (error instanceof errors.JWTExpired)
    return new AuthError('tokenExpired', 'the token has expired; log in again');
  if (error instanceof errors.JWTClaimValidationFailed) {
    const known = error.reason === 'check_failed' ? CLAIMS[error.claim] : undefined;
    if (known !== undefined) return new AuthError(...known);
    const missing = error.reason === 'missing' ? CLAIMS[error.claim] : undefined;
    if (missing !== undefined) return new AuthError(missing[0], `the token has no claim ${error.claim}`);
    return new AuthError('tokenClaims', `the token's claim ${error.claim} is missing or makes no sense`);
  }
  if (error instanceof errors.JOSEAlgNotAllowed)
    return new AuthError(
      'tokenAlgorithm',
      'the token is signed with an algorithm that this journal does not accept',
    );
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return new AuthError('tokenKeyUnknown', 'the token is signed with a key that its issuer does not have');
  if (error instanceof errors.JWSSignatureVerificationFailed)
    return new AuthError('tokenSignature', "the token's signature is wrong");
  return new AuthError('tokenMalformed', 'the token is not a signed JSON Web Token');
}
