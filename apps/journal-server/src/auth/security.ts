/** What protects a server's ports, made from its configuration: who presents what, who is let in, and what is reloaded. */
import { createSecureContext, type SecureContext } from 'node:tls';
import { credentials, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import type { Admit, BootFront, FrontTls } from '@pact-journal/boot-stream';
import type { GrpcTransportOptions } from '@pact-journal/raft-grpc';
import { authenticates, type ServerConfig } from '../config/index.ts';
import type { CertificateFacts } from '../server/facts.ts';
import type { Logger } from '../server/log.ts';
import { MEMBER_SERVER_NAME } from './certificates.ts';
import type { AuthReason } from './errors.ts';
import { Gate } from './gate.ts';
import { IssuerKeys } from './issuer-keys.ts';
import { Materials, type Identity, type TlsFiles } from './materials.ts';
import { watchPeerHandshakes } from './peer-handshakes.ts';
import {
  MEMBER_CHANNEL_OPTIONS,
  memberCredentials,
  PeerServerCredentials,
  peerTransportTls,
} from './peer-tls.ts';
import { RefusalLog } from './refusal-log.ts';
import { TokenVerifier } from './tokens.ts';

export interface SecurityOptions {
  readonly config: ServerConfig;
  readonly log: Logger;
}

/** How to connect to a member's client port. */
export interface MemberChannel {
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
  /** Whether the other side knows that a member calls, and believes it about whom it calls for. */
  readonly trusted: boolean;
}

export class Security {
  readonly #config: ServerConfig;
  readonly #materials: Materials;
  readonly #refusals: RefusalLog;
  readonly #log: Logger;
  readonly #peerServer: PeerServerCredentials | undefined;
  #memberContext: SecureContext | undefined;
  #front: BootFront | undefined;
  #stopWatching: (() => void) | undefined;
  readonly #listeners: (() => void)[] = [];

  private constructor({ config, log }: SecurityOptions, materials: Materials) {
    this.#config = config;
    this.#log = log;
    this.#materials = materials;
    this.#refusals = new RefusalLog(log);
    const { peer } = materials.files;
    this.#peerServer = peer === undefined ? undefined : new PeerServerCredentials(peer);
    this.#memberContext = contextFor(peer);
  }

  /** Fails with `ServerError` where certificates or keys cannot be used. */
  static async open(options: SecurityOptions): Promise<Security> {
    const { config, log } = options;
    const materials = await Materials.load({
      config,
      onFailure: (reason) => {
        log.error({ reason }, 'new certificates cannot be used; the old ones stay in use');
      },
    });
    const security = new Security(options, materials);
    materials.onChange((files) => {
      security.renew(files);
    });
    return security;
  }

  /** Whether calls of clients are authenticated. */
  get enforced(): boolean {
    return authenticates(this.#config);
  }

  /** Told of every refusal, whoever finds it. */
  readonly refused = (reason: AuthReason, path: string): void => {
    this.#refusals.add(reason, path);
  };

  /** Refusals since the start. */
  get refusalCounts(): ReadonlyMap<string, number> {
    return this.#refusals.counts;
  }

  /** For the Raft port. */
  peerTransport(): Partial<GrpcTransportOptions> {
    const server = this.#peerServer;
    if (server === undefined) return {};
    this.#stopWatching?.();
    this.#stopWatching = watchPeerHandshakes(this.#config.listen.raft.port, (failure) => {
      this.refused(failure, '(handshake)');
    });
    return peerTransportTls({ clusterId: this.#config.cluster.id, identity: () => this.#peer(), server });
  }

  /** To the client port of a member: of the one with the id, or of any where that is undefined. */
  memberChannel(memberId: number | undefined): MemberChannel {
    const { client, peer } = this.#materials.files;
    if (client === undefined || peer === undefined)
      return { credentials: credentials.createInsecure(), options: {}, trusted: false };
    return {
      credentials: memberCredentials(peer, this.#config.cluster.id, memberId),
      options: MEMBER_CHANNEL_OPTIONS,
      trusted: true,
    };
  }

  /** For the client port; undefined where it speaks plain text. */
  frontTls(): FrontTls | undefined {
    const { client, peer } = this.#materials.files;
    if (client === undefined) return undefined;
    return {
      ...frontContext({ client, peer }),
      // Whether a certificate is asked for cannot change later, so it is asked for whenever it can ever count. It is
      // judged for each call, so that who presents a bad one reads why.
      requestCert: this.#config.tls.clientCa !== '' || peer !== undefined,
      rejectUnauthorized: false,
      SNICallback: (serverName, done) => {
        done(null, serverName === MEMBER_SERVER_NAME ? this.#memberContext : undefined);
      },
    };
  }

  /** Stands before every call of the client port; undefined where nobody is authenticated. */
  admit(): Admit | undefined {
    if (!this.enforced) return undefined;
    const gate = new Gate({
      clusterId: this.#config.cluster.id,
      tokens: this.#tokens(),
      nodeCertificates: this.#config.tls.clientCa !== '',
      memberAuthorities: () => this.#materials.files.peer?.authorities ?? [],
      streamsPerIdentityMax: this.#config.limits.maxStreamsPerIdentity,
      onRefusal: this.refused,
      onDefect: (error) => {
        this.#log.error({ err: error }, 'a call was refused by a defect of this program');
      },
    });
    return gate.admit;
  }

  /** This front's certificates are renewed from now on. */
  renews(front: BootFront): void {
    this.#front = front;
  }

  /** Told whenever other certificates are in use. */
  onRenewal(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** A connection to the client port that did not get through its handshake. */
  readonly handshakeFailed = (error: Error): void => {
    const code = 'code' in error ? String(error.code) : '';
    // Scanners, and clients that do not trust this server, end here too.
    this.#refusals.add(/VERSION|PROTOCOL/.test(code) ? 'tlsVersion' : 'tlsHandshake', '(handshake)');
  };

  /** A client at that address flooded the client port, or does not read what it asked for. */
  readonly flooded = (address: string, reason: 'flood' | 'stalled'): void => {
    this.#refusals.add(reason, `(connection of ${address})`);
  };

  renew({ client, peer }: TlsFiles): void {
    if (peer !== undefined) this.#peerServer?.renew(peer);
    this.#memberContext = contextFor(peer);
    if (client !== undefined) this.#front?.renewTls(frontContext({ client, peer }));
    for (const listener of this.#listeners) listener();
    this.#log.info('certificates were read again and are in use for new connections');
  }

  /** Looks at the files now instead of at the next interval. */
  reload(): Promise<void> {
    return this.#materials.reload();
  }

  /** For the status and its alarms. */
  certificates(): readonly CertificateFacts[] {
    const { client, peer } = this.#materials.files;
    const { tls, peer: peerFiles } = this.#config;
    return [
      ...factsOf('client port', tls.cert, client),
      ...authorityFacts('compute nodes', tls.clientCa, client),
      ...factsOf('peer', peerFiles.cert, peer),
      ...authorityFacts('peer', peerFiles.ca, peer),
    ];
  }

  close(): void {
    this.#stopWatching?.();
    this.#materials.close();
    this.#refusals.close();
  }

  #peer(): Identity {
    const { peer } = this.#materials.files;
    if (peer === undefined) throw new Error('assertion failed: certificates that were there stay');
    return peer;
  }

  #tokens(): TokenVerifier | undefined {
    const { auth } = this.#config;
    if (auth.issuer === '') return undefined;
    const keys = new IssuerKeys({
      issuer: auth.issuer,
      onFailure: (reason) => {
        this.#log.warn({ issuer: auth.issuer, reason }, 'the keys of the OpenID provider cannot be had');
      },
      onChange: () => {
        verifier.forget();
      },
    });
    const verifier = new TokenVerifier({
      issuer: auth.issuer,
      audience: auth.audience,
      algorithms: auth.algorithms,
      clockSkewMs: auth.clockSkew,
      rolesClaim: auth.rolesClaim,
      nodeClaim: auth.nodeClaim,
      keys,
    });
    return verifier;
  }
}

/** A client's certificate is looked up among the nodes' authorities; where there are none, nobody's is good. */
function frontContext({
  client,
  peer,
}: {
  readonly client: Identity;
  readonly peer: Identity | undefined;
}): Pick<FrontTls, 'cert' | 'key' | 'ca' | 'minVersion'> {
  const ca = client.ca ?? peer?.ca;
  return { cert: client.cert, key: client.key, minVersion: 'TLSv1.3', ...(ca === undefined ? {} : { ca }) };
}

function contextFor(identity: Identity | undefined): SecureContext | undefined {
  if (identity === undefined) return undefined;
  const { cert, key, ca } = identity;
  return createSecureContext({ cert, key, minVersion: 'TLSv1.3', ...(ca === undefined ? {} : { ca }) });
}

function factsOf(purpose: string, path: string, identity: Identity | undefined): readonly CertificateFacts[] {
  if (identity === undefined) return [];
  return [{ purpose, subject: identity.name, path, notAfter: new Date(identity.expiresAtMs) }];
}

function authorityFacts(
  purpose: string,
  path: string,
  identity: Identity | undefined,
): readonly CertificateFacts[] {
  return (identity?.authorities ?? []).map((authority) => ({
    purpose: `${purpose} authority`,
    subject: authority.subject.replaceAll('\n', ', '),
    path,
    notAfter: authority.validToDate,
  }));
}
