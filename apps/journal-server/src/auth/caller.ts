/** Who calls, once that is known. */
import type { Identity, PrincipalType } from '@pact-journal/journal-state';
import { AuthError } from './errors.ts';

/** A person or program with a token. */
export interface User {
  readonly kind: 'user';
  /** The token's subject. */
  readonly principal: string;
  readonly principalType: PrincipalType;
  /** As the token says, known to the table of roles or not. */
  readonly roles: readonly string[];
  /** Milliseconds of Date.now until which the credential is good. */
  readonly expiresAtMs: number;
}

/** A compute node, by its certificate or by a token that is bound to it. */
export interface ComputeNode {
  readonly kind: 'node';
  readonly nodeId: string;
  readonly expiresAtMs: number;
}

/** A member of the Raft group on its own behalf, by its certificate. */
export interface MemberNode {
  readonly kind: 'member';
  readonly memberId: number;
  readonly expiresAtMs: number;
}

/** Where nothing is authenticated, everybody is everybody. */
export interface Anybody {
  readonly kind: 'anybody';
  readonly expiresAtMs: number;
}

export type Caller = User | ComputeNode | MemberNode | Anybody;

export const ANYBODY: Anybody = { kind: 'anybody', expiresAtMs: Infinity };

/** The role under which a compute node's entries are written. */
export const NODE_ROLE = 'pact-agent';

/** Principals that no token may claim: the journal's own, and those of compute nodes. */
const RESERVED = /^(system|node|member):/i;
const PRINCIPAL_LENGTH_MAX = 256;

/** Fails with `tokenClaims` where it could be taken for somebody else's name. */
export function checkPrincipal(principal: string): void {
  if (principal === '' || principal.length > PRINCIPAL_LENGTH_MAX || /[\p{Cc}\p{Cf}]/u.test(principal)) {
    const right = `1 to ${String(PRINCIPAL_LENGTH_MAX)} printable characters`;
    throw new AuthError('tokenClaims', `the token's subject must have ${right}`);
  }
  if (RESERVED.test(principal))
    throw new AuthError('tokenClaims', "the token's subject is a name that the journal keeps for itself");
}

/** For logs and limits: a name that no other caller has. */
export function callerName(caller: Caller): string {
  switch (caller.kind) {
    case 'user':
      return `user:${caller.principal}`;
    case 'node':
      return `node:${caller.nodeId}`;
    case 'member':
      return `member:${String(caller.memberId)}`;
    case 'anybody':
      return 'anybody';
  }
}

/**
 * The author of what a caller writes: its own identity, in the role that allows it. What the request claims counts only
 * where nobody is authenticated; undefined then.
 */
export function authorOf(caller: Caller, role: string): Identity | undefined {
  switch (caller.kind) {
    case 'user':
      return { principal: caller.principal, principal_type: caller.principalType, role };
    case 'node':
      return { principal: `node:${caller.nodeId}`, principal_type: 'Agent', role: NODE_ROLE };
    case 'member':
      return {
        principal: `member:${String(caller.memberId)}`,
        principal_type: 'Service',
        role: 'pact-member',
      };
    case 'anybody':
      return undefined;
  }
}

/** As metadata between the front and the services, and between members: never taken from anybody else. */
export function encodeCaller(caller: Caller): string {
  return Buffer.from(JSON.stringify(caller)).toString('base64url');
}

/** Fails with `callerForged` where it is not what {@link encodeCaller} made. */
export function decodeCaller(text: string): Caller {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (isCaller(value)) return value;
  } catch {
    // Answered below, like anything else that is no caller.
  }
  throw new AuthError('callerForged', 'what was said about the caller cannot be read');
}

const TYPES: readonly unknown[] = ['Human', 'Agent', 'Service'] satisfies readonly PrincipalType[];

function isCaller(value: unknown): value is Caller {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false;
  if (!('expiresAtMs' in value) || typeof value.expiresAtMs !== 'number') return false;
  switch (value.kind) {
    case 'user':
      return (
        'principal' in value &&
        typeof value.principal === 'string' &&
        'principalType' in value &&
        TYPES.includes(value.principalType) &&
        'roles' in value &&
        Array.isArray(value.roles) &&
        value.roles.every((role) => typeof role === 'string')
      );
    case 'node':
      return 'nodeId' in value && typeof value.nodeId === 'string';
    case 'member':
      return 'memberId' in value && typeof value.memberId === 'number';
    default:
      return false;
  }
}
