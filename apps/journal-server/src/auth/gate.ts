/** Stands before every call of the client port, whoever answers it: who calls, and whether that one may call this at all. */
import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { FRONT_KEY_PREFIX, type Admission, type FrontRequest } from '@pact-journal/boot-stream';
import { authorizeMethod, rowOf } from './authorizer.ts';
import {
  callerName,
  decodeCaller,
  encodeCaller,
  type Caller,
  type ComputeNode,
  type MemberNode,
} from './caller.ts';
import {
  computeNodeOf,
  isIssuedBy,
  MEMBER_SERVER_NAME,
  memberOf,
  verificationError,
} from './certificates.ts';
import { AUTH_REASON_KEY, AuthError, isAuthError, type AuthErrorCode, type AuthReason } from './errors.ts';
import type { TokenVerifier } from './tokens.ts';

/** From the front to whoever answers: who calls. Clients' own metadata of this name never gets there. */
export const CALLER_KEY = `${FRONT_KEY_PREFIX}caller`;
/** From a member that passes a call on: who called it. From anybody else it is a forgery. */
export const ON_BEHALF_KEY = 'x-pact-on-behalf-of';

export interface GateOptions {
  readonly clusterId: string;
  /** Undefined: users cannot call. */
  readonly tokens: TokenVerifier | undefined;
  /** Whether there are authorities for certificates of compute nodes. */
  readonly nodeCertificates: boolean;
  /** The authorities of members, as they are now. */
  readonly memberAuthorities: () => readonly X509Certificate[];
  /** Calls that one caller may have open. */
  readonly streamsPerIdentityMax: number;
  /** Told of every refusal. Must not throw. */
  readonly onRefusal: (reason: AuthReason, path: string) => void;
  /** Told of defects of this program. Must not throw. */
  readonly onDefect: (error: unknown) => void;
}

/** A caller that has calls open or had some lately. */
interface Known {
  readonly caller: Caller;
  readonly metadata: Readonly<Record<string, string>>;
  readonly load: Load;
  /** Paths that were found to be its to call with some request: the table does not change. */
  readonly allowed: Set<string>;
}

/** What a connection's last token was, and whose. */
interface LastToken {
  readonly authorization: string;
  /** Of the verifier, when it found the token good. */
  readonly generation: number;
  readonly caller: Caller;
}

/** What callers of one name have open. */
interface Load {
  readonly name: string;
  streams: number;
}

const GRPC_CODES: Readonly<Record<AuthErrorCode, number>> = {
  permissionDenied: 7,
  overloaded: 8,
  unsupported: 12,
  unavailable: 14,
  unauthenticated: 16,
};

type ByCertificate = ComputeNode | MemberNode | undefined;

export class Gate {
  readonly #options: GateOptions;
  /** By connection: certificates do not change on one. */
  readonly #certificates = new WeakMap<Socket, ByCertificate | AuthError>();
  readonly #lastTokens = new WeakMap<Socket, LastToken>();
  readonly #known = new WeakMap<Caller, Known>();
  /** By name, while there are calls open. */
  readonly #loads = new Map<string, Load>();

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** For the front. At once where the caller is known. */
  readonly admit = (request: FrontRequest): Admission | Promise<Admission> => {
    try {
      const caller = this.#identify(request);
      if (!(caller instanceof Promise)) return this.#admit(caller, request);
      return caller
        .then((known) => this.#admit(known, request))
        .catch((error: unknown) => this.#refused(error, request));
    } catch (error) {
      return this.#refused(error, request);
    }
  };

  #identify({ headers, socket }: FrontRequest): Caller | Promise<Caller> {
    const byCertificate = this.#byCertificate(socket);
    const onBehalf = headers[ON_BEHALF_KEY];
    if (onBehalf !== undefined) {
      if (byCertificate?.kind !== 'member' || typeof onBehalf !== 'string')
        throw new AuthError('callerForged', `only members may say ${ON_BEHALF_KEY}`);
      return decodeCaller(onBehalf);
    }
    if (byCertificate?.kind === 'member') return byCertificate;
    const { authorization } = headers;
    // A token says more than the certificate of the machine that it is used on.
    if (authorization !== undefined) return this.#byLastToken(socket, authorization, byCertificate);
    if (byCertificate !== undefined) return byCertificate;
    throw new AuthError(
      'missingCredentials',
      'this journal needs to know who calls: log in and send a token, or present a client certificate',
    );
  }

  /** Most calls of a connection carry the token of the one before: comparing is cheaper than looking it up. */
  #byLastToken(
    socket: Socket,
    authorization: string,
    byCertificate: ComputeNode | undefined,
  ): Caller | Promise<Caller> {
    const generation = this.#options.tokens?.generation ?? 0;
    const last = this.#lastTokens.get(socket);
    if (last?.authorization === authorization && last.generation === generation) return last.caller;
    const caller = this.#byToken(authorization, byCertificate);
    if (!(caller instanceof Promise)) this.#lastTokens.set(socket, { authorization, generation, caller });
    return caller;
  }

  #byToken(authorization: string, byCertificate: ComputeNode | undefined): Caller | Promise<Caller> {
    const token = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(authorization)?.[1];
    if (token === undefined)
      throw new AuthError('malformedCredentials', 'the metadata authorization must be "Bearer" and a token');
    const { tokens } = this.#options;
    if (tokens === undefined)
      throw new AuthError('tokensNotAccepted', 'this journal takes no tokens: it has no auth.issuer');
    const agreeing = (caller: Caller): Caller => {
      if (byCertificate !== undefined && caller.kind === 'node' && caller.nodeId !== byCertificate.nodeId)
        throw new AuthError('certificateAmbiguous', 'the certificate and the token are of different nodes');
      return caller;
    };
    const caller = tokens.verify(token);
    return caller instanceof Promise ? caller.then(agreeing) : agreeing(caller);
  }

  #byCertificate(socket: Socket): ByCertificate {
    let known = this.#certificates.get(socket);
    if (known === undefined && !this.#certificates.has(socket)) {
      known = this.#readCertificate(socket);
      this.#certificates.set(socket, known);
    }
    if (isAuthError(known)) throw known;
    if (known !== undefined && known.expiresAtMs <= Date.now()) throw verificationError('CERT_HAS_EXPIRED');
    return known;
  }

  #readCertificate(socket: Socket): ByCertificate | AuthError {
    if (!(socket instanceof TLSSocket)) return undefined;
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return undefined;
    try {
      if (!socket.authorized) throw verificationError(String(socket.authorizationError));
      const { clusterId, memberAuthorities, nodeCertificates } = this.#options;
      if (isIssuedBy(certificate, memberAuthorities())) return memberOf(certificate, clusterId);
      // What was verified for members only must not pass for a node.
      if (!nodeCertificates || servernameOf(socket) === MEMBER_SERVER_NAME)
        throw verificationError('UNABLE_TO_GET_ISSUER_CERT');
      return computeNodeOf(certificate, clusterId);
    } catch (error) {
      if (isAuthError(error)) return error;
      throw error;
    }
  }

  #admit(caller: Caller, { path }: FrontRequest): Admission {
    if (caller.expiresAtMs <= Date.now())
      throw new AuthError('tokenExpired', 'the credentials have expired; get new ones');
    const { metadata, load, allowed } = this.#knownAs(caller);
    if (!allowed.has(path)) {
      const row = rowOf(path);
      if (row === undefined)
        throw new AuthError('methodUnknown', `The server does not implement the method ${path}`);
      authorizeMethod(caller, row);
      allowed.add(path);
    }
    if (load.streams >= this.#options.streamsPerIdentityMax)
      throw new AuthError('tooManyStreams', `${load.name} has ${String(load.streams)} calls open already`);
    load.streams += 1;
    this.#loads.set(load.name, load);
    const release = (): void => {
      load.streams -= 1;
      if (load.streams === 0) this.#loads.delete(load.name);
    };
    return { type: 'admitted', metadata, expiresAtMs: caller.expiresAtMs, share: load.name, release };
  }

  #knownAs(caller: Caller): Known {
    const known = this.#known.get(caller);
    // Another credential of the same caller may have begun a count meanwhile.
    if (known !== undefined && (known.load.streams > 0 || !this.#loads.has(known.load.name))) return known;
    const name = callerName(caller);
    const load = this.#loads.get(name) ?? { name, streams: 0 };
    const metadata = known?.metadata ?? { [CALLER_KEY]: encodeCaller(caller) };
    const fresh = { caller, metadata, load, allowed: known?.allowed ?? new Set<string>() };
    this.#known.set(caller, fresh);
    return fresh;
  }

  #refused(error: unknown, { path }: FrontRequest): Admission {
    if (!isAuthError(error)) {
      this.#options.onDefect(error);
      return { type: 'refused', status: { code: 13, message: 'internal error', trailers: {} } };
    }
    this.#options.onRefusal(error.reason, path);
    const trailers = { [AUTH_REASON_KEY]: error.reason };
    return { type: 'refused', status: { code: GRPC_CODES[error.code], message: error.message, trailers } };
  }
}

/** The name that the client asked for in its handshake. */
function servernameOf(socket: TLSSocket): unknown {
  return 'servername' in socket ? socket.servername : undefined;
}
