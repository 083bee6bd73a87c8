/** Mutual TLS 1.3 between members: on the Raft port, and on the leader's client port for calls that are passed on. */
import { createSecureContext, type PeerCertificate, type SecureContextOptions } from 'node:tls';
import { credentials, ServerCredentials, type ChannelCredentials, type ChannelOptions } from '@grpc/grpc-js';
import type { GrpcTransportOptions } from '@pact-journal/raft-grpc';
import { memberIdOf, MEMBER_SERVER_NAME } from './certificates.ts';
import { isAuthError } from './errors.ts';
import type { Identity } from './materials.ts';

/** Kept by the server for as long as it listens; {@link renew} gives new connections other certificates. */
export class PeerServerCredentials extends ServerCredentials {
  constructor(identity: Identity) {
    super({ requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' }, contextOf(identity));
  }

  renew(identity: Identity): void {
    this.updateSecureContextOptions(contextOf(identity));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

export interface PeerTlsOptions {
  readonly clusterId: string;
  /** The certificates as they are now: asked for each connection. */
  readonly identity: () => Identity;
  readonly server: ServerCredentials;
}

/** For a GrpcTransport: each side must be the member that it says it is. */
export function peerTransportTls(
  options: PeerTlsOptions,
): Pick<GrpcTransportOptions, 'serverCredentials' | 'channelCredentials' | 'channelOptions' | 'verifyPeer'> {
  const { clusterId, identity, server } = options;
  return {
    serverCredentials: server,
    channelCredentials: (peer) => memberCredentials(identity(), clusterId, peer.id),
    channelOptions: MEMBER_CHANNEL_OPTIONS,
    verifyPeer: ({ nodeId, subjectAltName }) => notTheMember(subjectAltName, clusterId, nodeId),
  };
}

/** Members are known by their ids, not by where they are reached. */
export const MEMBER_CHANNEL_OPTIONS: ChannelOptions = {
  'grpc.ssl_target_name_override': MEMBER_SERVER_NAME,
  'grpc.default_authority': MEMBER_SERVER_NAME,
};

/** To connect as a member to a member: to the one with the id, or to any where that is undefined. */
export function memberCredentials(
  identity: Identity,
  clusterId: string,
  memberId: number | undefined,
): ChannelCredentials {
  const context = createSecureContext({ ...contextOf(identity), minVersion: 'TLSv1.3' });
  return credentials.createFromSecureContext(context, {
    checkServerIdentity: (_host: string, { subjectaltname }: PeerCertificate) => {
      const problem = notTheMember(subjectaltname, clusterId, memberId);
      return problem === undefined ? undefined : new Error(problem);
    },
  });
}

/** Why a certificate of the members' authority is not the one that was expected; undefined where it is. */
function notTheMember(
  subjectAltName: string | undefined,
  clusterId: string,
  memberId: number | undefined,
): string | undefined {
  try {
    const id = memberIdOf(subjectAltName, clusterId);
    if (memberId === undefined || id === memberId) return undefined;
    return `the certificate is member ${String(id)}'s, not member ${String(memberId)}'s`;
  } catch (error) {
    if (isAuthError(error)) return error.message;
    throw error;
  }
}

function contextOf({ cert, key, ca }: Identity): SecureContextOptions {
  return { cert, key, ...(ca === undefined ? {} : { ca }) };
}
