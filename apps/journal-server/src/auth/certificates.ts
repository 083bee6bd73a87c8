/** What certificates say about who presents them. */
import { X509Certificate } from 'node:crypto';
import type { ComputeNode, MemberNode } from './caller.ts';
import { AuthError } from './errors.ts';

/** The server name by which members ask each other's client port for the certificate of a member. */
export const MEMBER_SERVER_NAME = 'member.pact-journal.internal';

const NODE_ID = /^[A-Za-z0-9._:-]{1,253}$/;

export function memberUri(clusterId: string, memberId: number): string {
  return `pact://${encodeURIComponent(clusterId)}/member/${String(memberId)}`;
}

export function nodeUri(clusterId: string, nodeId: string): string {
  return `pact://${encodeURIComponent(clusterId)}/node/${encodeURIComponent(nodeId)}`;
}

/** A name in a certificate, as Node writes it, for example `URI` and `pact://c/node/n`. */
export interface AlternativeName {
  readonly type: string;
  readonly value: string;
}

/**
 * The names of a certificate. Node writes names that could be mistaken for several in quotes
 * (https://nodejs.org/api/crypto.html#x509subjectaltname); no name of ours is such, so a certificate with one is
 * refused whole.
 */
export function alternativeNames(text: string | undefined): readonly AlternativeName[] {
  if (text === undefined || text === '') return [];
  if (text.includes('"'))
    throw new AuthError(
      'certificateAmbiguous',
      'the certificate has a name with characters that no name has',
    );
  return text.split(', ').map((name) => {
    const at = name.indexOf(':');
    return { type: name.slice(0, at), value: name.slice(at + 1) };
  });
}

/** Whose certificate of the compute nodes' authorities it is. Fails with {@link AuthError}. */
export function computeNodeOf(certificate: X509Certificate, clusterId: string): ComputeNode {
  const names = alternativeNames(certificate.subjectAltName);
  const uris = names.filter(({ type, value }) => type === 'URI' && value.startsWith('pact:'));
  const dns = names.filter(({ type }) => type === 'DNS');
  const nodeId = uris.length > 0 ? fromUri(uris, clusterId, 'node') : only(dns);
  if (!NODE_ID.test(nodeId)) throw unbound('a node');
  return { kind: 'node', nodeId, expiresAtMs: certificate.validToDate.getTime() };
}

/** Which member it names. Fails with {@link AuthError}. */
export function memberIdOf(subjectAltName: string | undefined, clusterId: string): number {
  const uris = alternativeNames(subjectAltName).filter(
    ({ type, value }) => type === 'URI' && value.startsWith('pact:'),
  );
  const id = fromUri(uris, clusterId, 'member');
  if (!/^[1-9]\d{0,15}$/.test(id)) throw unbound('a member');
  return Number(id);
}

export function memberOf(certificate: X509Certificate, clusterId: string): MemberNode {
  const memberId = memberIdOf(certificate.subjectAltName, clusterId);
  return { kind: 'member', memberId, expiresAtMs: certificate.validToDate.getTime() };
}

/** Whether one of the authorities has issued it itself. */
export function isIssuedBy(certificate: X509Certificate, authorities: readonly X509Certificate[]): boolean {
  return authorities.some((ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey));
}

/** The certificates of a PEM file. */
export function parseCertificates(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

/** Words for what OpenSSL found, as in Node's `authorizationError`. */
export function verificationError(code: string): AuthError {
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return new AuthError('certificateExpired', 'the client certificate has expired; get a new one');
    case 'CERT_NOT_YET_VALID':
      return new AuthError(
        'certificateNotYetValid',
        'the client certificate is not valid yet; compare the clocks',
      );
    case 'INVALID_PURPOSE':
      return new AuthError(
        'certificatePurpose',
        'the certificate is not one for clients (extended key usage)',
      );
    default:
      return new AuthError(
        'certificateUntrusted',
        `the client certificate is not of an authority that this journal trusts (${code})`,
      );
  }
}

function fromUri(uris: readonly AlternativeName[], clusterId: string, kind: 'node' | 'member'): string {
  const uri = only(uris);
  const parts = /^pact:\/\/([^/]+)\/([a-z]+)\/([^/]+)$/.exec(uri);
  if (parts?.[2] !== kind) throw unbound(`a ${kind}`);
  const [cluster, id] = [decoded(parts[1]), decoded(parts[3])];
  if (cluster !== clusterId)
    throw new AuthError(
      'certificateForeign',
      `the certificate is for the cluster ${JSON.stringify(cluster)}`,
    );
  return id;
}

function only(names: readonly AlternativeName[]): string {
  const [name, second] = names;
  if (name === undefined) throw unbound('anybody');
  if (second !== undefined)
    throw new AuthError('certificateAmbiguous', 'the certificate names several; it must name one');
  return name.value;
}

function decoded(text: string | undefined): string {
  try {
    return decodeURIComponent(text ?? '');
  } catch {
    throw new AuthError('certificateUnbound', 'the certificate has a URI that cannot be read');
  }
}

function unbound(what: string): AuthError {
  return new AuthError(
    'certificateUnbound',
    `the certificate does not say that it is ${what}'s (subject alternative name)`,
  );
}
