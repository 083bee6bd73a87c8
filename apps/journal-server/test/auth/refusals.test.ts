/** Credentials that are wrong: each is refused with the right code, told why, and counted. Real tokens, real certificates. */
import { createHmac, createPublicKey, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Metadata, status } from '@grpc/grpc-js';
import { journal } from '@pact-journal/journal-proto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { memberUri, nodeUri } from '../../src/auth/certificates.ts';
import type { AuthReason } from '../../src/auth/errors.ts';
import { TokenVerifier, type TokenVerifierOptions } from '../../src/auth/tokens.ts';
import { Authority, type Issued, type Subject } from '../../src/certs/authority.ts';
import { signingKey, type SigningKey } from '../support/openid-provider.ts';
import { callPath, clientOf, type Ended } from '../support/raw-call.ts';
import { bearer, CLUSTER_ID, SecuredCluster } from '../support/secured-cluster.ts';

const STATUS = journal.ClusterServiceDefinition.getStatus.path;
const GET_NODE = journal.NodeServiceDefinition.getNode;
const ADMIN = { pact_role: ['pact-platform-admin'] };
const HOUR_MS = 3_600_000;

let cluster: SecuredCluster;
let strange: SigningKey;
let elliptic: SigningKey;
let impostor: SigningKey;
let lesser: SigningKey;
let strangers: Authority;

beforeAll(async () => {
  cluster = await SecuredCluster.start();
  strange = await signingKey('strange');
  elliptic = await signingKey('elliptic', 'ES256');
  impostor = await signingKey('first', 'RS256');
  lesser = await signingKey('first', 'RS384');
  strangers = await Authority.create('strangers', 2);
  expect(await withToken(await cluster.provider.token(ADMIN))).toMatchObject({ code: status.OK });
}, 60_000);
afterAll(async () => {
  await cluster.stop();
});

async function call(metadata: Metadata, identity: Partial<Issued> = {}): Promise<Ended> {
  const client = clientOf(cluster.only.grpc, cluster.channel(identity));
  try {
    return await callPath(client, STATUS, undefined, metadata);
  } finally {
    client.close();
  }
}

const withToken = (token: string): Promise<Ended> => call(bearer(token));

function withHeader(value: string): Promise<Ended> {
  const metadata = new Metadata();
  metadata.set('authorization', value);
  return call(metadata);
}

/** The claims of a good token, for those that jose would not sign. */
const claims = (): Record<string, unknown> => ({
  ...ADMIN,
  iss: cluster.provider.issuer,
  aud: 'pact-journal',
  sub: 'alice@example.org',
  exp: Math.floor(Date.now() / 1_000) + 600,
});
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const unsigned = (header: object, signature = ''): string => `${part(header)}.${part(claims())}.${signature}`;

function hmac(algorithm: 'HS256' | 'HS512', secret: string | Buffer): string {
  const signed = `${part({ alg: algorithm, kid: cluster.provider.key.kid, typ: 'JWT' })}.${part(claims())}`;
  const digest = createHmac(algorithm === 'HS256' ? 'sha256' : 'sha512', secret).update(signed);
  return `${signed}.${digest.digest('base64url')}`;
}

async function publicPem(): Promise<string> {
  const { kty = '', n = '', e = '' } = cluster.provider.key.publicJwk;
  const key = createPublicKey({ key: { kty, n, e }, format: 'jwk' });
  return Promise.resolve(key.export({ type: 'spki', format: 'pem' }).toString());
}

async function tampered(change: (parts: string[]) => void): Promise<string> {
  const parts = (await cluster.provider.token(ADMIN)).split('.');
  change(parts);
  return parts.join('.');
}

const token = (
  more: Record<string, unknown> = {},
  options: Parameters<SecuredCluster['provider']['token']>[1] = {},
): Promise<string> => cluster.provider.token({ ...ADMIN, ...more }, options);

/** A verifier like the server's, with keys from elsewhere. */
const verifierWith = (keys: TokenVerifierOptions['keys']): TokenVerifier =>
  new TokenVerifier({
    issuer: cluster.provider.issuer,
    audience: 'pact-journal',
    algorithms: ['RS256'],
    clockSkewMs: 0,
    rolesClaim: 'pact_role',
    nodeClaim: 'pact_node_id',
    keys,
  });

type Case = readonly [what: string, credential: () => Promise<string>, reason: AuthReason];

const TOKENS: readonly Case[] = [
  // What is no token at all.
  ['an empty JSON', () => Promise.resolve('e30.e30.e30'), 'tokenMalformed'],
  ['one part', () => Promise.resolve('abc'), 'tokenMalformed'],
  ['two parts', () => tampered((parts) => parts.pop()), 'tokenMalformed'],
  ['four parts', () => tampered((parts) => parts.push('abc')), 'tokenMalformed'],
  ['no signature', () => tampered((parts) => (parts[2] = '')), 'tokenSignature'],
  ['a header that is no JSON', () => tampered((parts) => (parts[0] = 'abc')), 'tokenMalformed'],
  ['a payload that is a number', () => tampered((parts) => (parts[1] = part(7))), 'tokenSignature'],
  ['random bytes', () => Promise.resolve(randomBytes(300).toString('base64url')), 'tokenMalformed'],
  // Signatures.
  ['alg none', () => Promise.resolve(unsigned({ alg: 'none' })), 'tokenAlgorithm'],
  ['alg None', () => Promise.resolve(unsigned({ alg: 'None' })), 'tokenAlgorithm'],
  ['alg none with a signature', () => Promise.resolve(unsigned({ alg: 'none' }, 'abc')), 'tokenAlgorithm'],
  ['no alg', () => Promise.resolve(unsigned({ typ: 'JWT' }, 'abc')), 'tokenMalformed'],
  ['HMAC with the public key as PEM', async () => hmac('HS256', await publicPem()), 'tokenAlgorithm'],
  [
    'HMAC with the modulus',
    () => Promise.resolve(hmac('HS256', cluster.provider.key.publicJwk.n ?? '')),
    'tokenAlgorithm',
  ],
  ['HMAC with an empty secret', () => Promise.resolve(hmac('HS512', '')), 'tokenAlgorithm'],
  ['an algorithm that is not in the list', () => token({}, { key: lesser }), 'tokenAlgorithm'],
  [
    'a changed payload',
    () => tampered((parts) => (parts[1] = part({ ...claims(), sub: 'root' }))),
    'tokenSignature',
  ],
  [
    'a changed header',
    () => tampered((parts) => (parts[0] = part({ alg: 'RS256', kid: 'first' }))),
    'tokenSignature',
  ],
  [
    'the signature of another token',
    async () => {
      const [, , other = ''] = (await token({ more: 1 })).split('.');
      return tampered((parts) => (parts[2] = other));
    },
    'tokenSignature',
  ],
  ['a key of the same name that is another', () => token({}, { key: impostor }), 'tokenSignature'],
  ['an unknown key', () => token({}, { key: strange }), 'tokenKeyUnknown'],
  ['a key of another kind', () => token({}, { key: elliptic }), 'tokenKeyUnknown'],
  [
    'a known name with a key of another kind',
    () => token({}, { key: elliptic, header: { kid: 'first' } }),
    'tokenKeyUnknown',
  ],
  [
    'its own key in the header',
    () => token({}, { key: strange, header: { jwk: strange.publicJwk, kid: 'strange' } }),
    'tokenKeyUnknown',
  ],
  [
    'an address of keys in the header',
    () => token({}, { key: strange, header: { jku: `${cluster.provider.issuer}/evil` } }),
    'tokenKeyUnknown',
  ],
  [
    'an address of certificates in the header',
    () => token({}, { key: strange, header: { x5u: 'https://evil.example/x5u' } }),
    'tokenKeyUnknown',
  ],
  [
    'a critical header that nobody knows',
    () =>
      token({}, { header: { crit: ['exp2'], exp2: 1 } }).catch(() =>
        Promise.resolve(unsigned({ alg: 'RS256', kid: 'first', crit: ['exp2'], exp2: 1 }, 'abc')),
      ),
    'tokenMalformed',
  ],
  // Whose, for whom, and when.
  ['another issuer', () => token({}, { issuer: 'https://login.example' }), 'tokenIssuer'],
  ['an issuer with a slash more', () => token({}, { issuer: `${cluster.provider.issuer}/` }), 'tokenIssuer'],
  [
    'an issuer in capitals',
    () => token({}, { issuer: cluster.provider.issuer.toUpperCase() }),
    'tokenIssuer',
  ],
  ['another audience', () => token({}, { audience: 'lattice' }), 'tokenAudience'],
  ['other audiences', () => token({}, { audience: ['lattice', 'pact'] }), 'tokenAudience'],
  ['an empty audience', () => token({}, { audience: [] }), 'tokenAudience'],
  ['an audience that begins alike', () => token({}, { audience: 'pact-journal-2' }), 'tokenAudience'],
  ['expired an hour ago', () => token({}, { expiresIn: -3_600 }), 'tokenExpired'],
  ['expired just beyond the skew', () => token({}, { expiresIn: -40 }), 'tokenExpired'],
  ['not valid for an hour', () => token({}, { notBefore: 3_600 }), 'tokenNotYetValid'],
  ['not valid until just beyond the skew', () => token({}, { notBefore: 40 }), 'tokenNotYetValid'],
  ['an expiry that is text', () => signed({ exp: 'tomorrow' }), 'tokenClaims'],
  ['no expiry', () => signed({ exp: undefined }), 'tokenClaims'],
  ['a not-before that is text', () => signed({ nbf: 'yesterday' }), 'tokenClaims'],
  ['no issuer', () => signed({ iss: undefined }), 'tokenIssuer'],
  ['no audience', () => signed({ aud: undefined }), 'tokenAudience'],
  ['no subject', () => signed({ sub: undefined }), 'tokenClaims'],
  // What it says of the caller.
  ['an empty subject', () => signed({ sub: '' }), 'tokenClaims'],
  ['a subject of 300 characters', () => token({}, { subject: 'x'.repeat(300) }), 'tokenClaims'],
  ['a subject on two lines', () => token({}, { subject: 'a\nb' }), 'tokenClaims'],
  ["the journal's own name as subject", () => token({}, { subject: 'system:journal' }), 'tokenClaims'],
  ["a node's name as subject", () => token({}, { subject: 'node:node-1' }), 'tokenClaims'],
  ["a member's name as subject", () => token({}, { subject: 'Member:1' }), 'tokenClaims'],
  ['a role that is a number', () => token({ pact_role: 7 }), 'tokenClaims'],
  ['a role that is an object', () => token({ pact_role: { admin: true } }), 'tokenClaims'],
  ['a list with a number', () => token({ pact_role: ['pact-platform-admin', 7] }), 'tokenClaims'],
  [
    'a thousand roles',
    () => token({ pact_role: Array.from({ length: 1_000 }, (_, i) => `r${String(i)}`) }),
    'tokenClaims',
  ],
  ['an unknown kind of principal', () => token({ pact_principal_type: 'robot' }), 'tokenClaims'],
  ["a node's name that is none", () => token({ pact_node_id: '../node-1' }), 'tokenClaims'],
  ["a list as a node's name", () => token({ pact_node_id: ['node-1'] }), 'tokenClaims'],
];

/** Signed by the right key, with claims that jose's own signer would not let through. */
async function signed(more: Record<string, unknown>): Promise<string> {
  const { CompactSign } = await import('jose');
  const { key } = cluster.provider;
  return new CompactSign(Buffer.from(JSON.stringify({ ...claims(), ...more })))
    .setProtectedHeader({ alg: key.algorithm, kid: key.kid })
    .sign(key.privateKey);
}

const HEADERS: readonly (readonly [string, string, AuthReason])[] = [
  ['only the word', 'Bearer', 'malformedCredentials'],
  ['another scheme', 'Basic YWxpY2U6c2VjcmV0', 'malformedCredentials'],
  ['a word glued on', 'Bearerabc', 'malformedCredentials'],
  ['a token with a blank in it', 'Bearer abc def', 'malformedCredentials'],
  ['characters that no token has', 'Bearer a"b', 'malformedCredentials'],
];

const node = (over: Partial<Subject> = {}): Subject => ({
  commonName: 'node-1',
  uris: [nodeUri(CLUSTER_ID, 'node-1')],
  usages: ['client'],
  ...over,
});
type Signer = 'client-ca' | 'server-ca' | 'peer-ca' | 'strangers';

const CERTIFICATES: readonly (readonly [string, Signer, Subject, AuthReason])[] = [
  ['of strangers', 'strangers', node(), 'certificateUntrusted'],
  ["of the servers' authority", 'server-ca', node(), 'certificateUntrusted'],
  ["of the members' authority", 'peer-ca', node(), 'certificateUntrusted'],
  ["a member's", 'peer-ca', node({ uris: [memberUri(CLUSTER_ID, 1)] }), 'certificateUntrusted'],
  [
    'that has expired',
    'client-ca',
    node({ notBeforeMs: Date.now() - 2 * HOUR_MS, notAfterMs: Date.now() - HOUR_MS }),
    'certificateExpired',
  ],
  [
    'that is not valid yet',
    'client-ca',
    node({ notBeforeMs: Date.now() + HOUR_MS }),
    'certificateNotYetValid',
  ],
  ['for servers', 'client-ca', node({ usages: ['server'] }), 'certificatePurpose'],
  ['without a name', 'client-ca', node({ uris: [] }), 'certificateUnbound'],
  [
    'with a common name alone',
    'client-ca',
    { commonName: 'node-1', usages: ['client'] },
    'certificateUnbound',
  ],
  ['with an address alone', 'client-ca', node({ uris: [], ips: ['10.0.0.1'] }), 'certificateUnbound'],
  ['that says it is a member', 'client-ca', node({ uris: [memberUri(CLUSTER_ID, 1)] }), 'certificateUnbound'],
  [
    'that says it is a user',
    'client-ca',
    node({ uris: [`pact://${CLUSTER_ID}/user/root`] }),
    'certificateUnbound',
  ],
  [
    'with a path too long',
    'client-ca',
    node({ uris: [`pact://${CLUSTER_ID}/node/node-1/x`] }),
    'certificateUnbound',
  ],
  [
    'of a node without a name',
    'client-ca',
    node({ uris: [`pact://${CLUSTER_ID}/node/`] }),
    'certificateUnbound',
  ],
  [
    'of a node with a slash in its name',
    'client-ca',
    node({ uris: [`pact://${CLUSTER_ID}/node/a%2Fb`] }),
    'certificateUnbound',
  ],
  ['of another cluster', 'client-ca', node({ uris: [nodeUri('other', 'node-1')] }), 'certificateForeign'],
  [
    'of two nodes',
    'client-ca',
    node({ uris: [nodeUri(CLUSTER_ID, 'node-1'), nodeUri(CLUSTER_ID, 'node-2')] }),
    'certificateAmbiguous',
  ],
  ['of two hosts', 'client-ca', node({ uris: [], dns: ['node-1', 'node-2'] }), 'certificateAmbiguous'],
  ['of every host', 'client-ca', node({ uris: [], dns: ['*.example.org'] }), 'certificateUnbound'],
];

const asked = new Map<AuthReason, number>();
const counts = (reason: AuthReason): void => void asked.set(reason, (asked.get(reason) ?? 0) + 1);

describe('is UNAUTHENTICATED', () => {
  it.each(TOKENS)('a token with %s', async (_what, credential, reason) => {
    counts(reason);
    expect(await withToken(await credential())).toMatchObject({ code: status.UNAUTHENTICATED, reason });
  });

  it.each(HEADERS)('a header with %s', async (_what, value, reason) => {
    counts(reason);
    expect(await withHeader(value)).toMatchObject({ code: status.UNAUTHENTICATED, reason });
  });

  it.each(CERTIFICATES)('a certificate %s', async (_what, signer, subject, reason) => {
    counts(reason);
    const authority = signer === 'strangers' ? strangers : await cluster.authority(signer);
    const issued = await authority.issue(subject);
    expect(await call(new Metadata(), issued)).toMatchObject({ code: status.UNAUTHENTICATED, reason });
    // A good token does not make up for it.
    counts(reason);
    expect(await call(bearer(await cluster.provider.token(ADMIN)), issued)).toMatchObject({ reason });
  });

  it('nothing at all', async () => {
    counts('missingCredentials');
    expect(await call(new Metadata())).toMatchObject({
      code: status.UNAUTHENTICATED,
      reason: 'missingCredentials',
    });
  });

  it('every refusal was counted by its reason, and no credential is in the log', async () => {
    const failures = await cluster.failures();
    for (const [reason, count] of asked) expect(failures[reason], reason).toBe(count);
    expect(TOKENS.length + HEADERS.length + CERTIFICATES.length).toBeGreaterThanOrEqual(60);
    const log = cluster.only.log.join('');
    expect(log).toContain('refused a call');
    expect(log).not.toMatch(/eyJ[A-Za-z0-9_-]{10}|PRIVATE KEY|Bearer /);
  });
});

describe('what is right stays right', () => {
  it('clocks may be off by the skew', async () => {
    for (const options of [{ expiresIn: -20 }, { notBefore: 20 }])
      expect(await withToken(await token({}, options))).toMatchObject({ code: status.OK });
  });

  it('a node calls by the URI of its certificate, by its DNS name, or by a token that is bound to it', async () => {
    const request = GET_NODE.requestSerialize({ nodeId: 'node-1' });
    const authority = await cluster.authority('client-ca');
    const identities = [
      await authority.issue(node()),
      await authority.issue(node({ uris: [], dns: ['node-1'] })),
      undefined,
    ];
    for (const identity of identities) {
      const client = clientOf(cluster.only.grpc, cluster.channel(identity));
      const metadata =
        identity === undefined ? bearer(await token({ pact_node_id: 'node-1' })) : new Metadata();
      // Nothing mentions the node yet: whoever gets to be told that was let in.
      expect(await callPath(client, GET_NODE.path, request, metadata)).toMatchObject({
        code: status.NOT_FOUND,
      });
      const other = GET_NODE.requestSerialize({ nodeId: 'node-2' });
      expect(await callPath(client, GET_NODE.path, other, metadata)).toMatchObject({
        code: status.PERMISSION_DENIED,
        reason: 'scopeForbidden',
      });
      client.close();
    }
  });

  it("a node's token on the machine of another is refused", async () => {
    const other = await call(
      bearer(await token({ pact_node_id: 'node-2' })),
      cluster.identity('node-node-1/client'),
    );
    expect(other).toMatchObject({ code: status.UNAUTHENTICATED, reason: 'certificateAmbiguous' });
  });
});

describe('a new token', () => {
  it('is verified once, however many calls begin with it at once, and again where it was refused', async () => {
    let verified = 0;
    const verifier = verifierWith({
      key: () => {
        verified += 1;
        return Promise.resolve(cluster.provider.key.publicJwk);
      },
    });
    const good = await token();
    const callers = await Promise.all(Array.from({ length: 100 }, async () => verifier.verify(good)));
    expect(new Set(callers).size).toBe(1);
    expect(verified).toBe(1);
    const bad = await token({}, { audience: 'lattice' });
    for (const expected of [2, 3]) {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 100 }, async () => verifier.verify(bad)),
      );
      expect(outcomes.every(({ status: outcome }) => outcome === 'rejected')).toBe(true);
      expect(verified).toBe(expected);
    }
  });
});

describe('keys', () => {
  it('that an issuer has now are found, and asked for at most once in a while, whatever tokens come', async () => {
    const { IssuerKeys } = await import('../../src/auth/issuer-keys.ts');
    let forgotten = 0;
    const keys = new IssuerKeys({
      issuer: cluster.provider.issuer,
      cooldownMs: 200,
      onFailure: () => undefined,
      onChange: () => (forgotten += 1),
    });
    const verifier = verifierWith(keys);
    const before = await token();
    await verifier.verify(before);
    const [next, requests] = [await signingKey('second'), cluster.provider.keyRequests];
    cluster.provider.rotate(next);
    await expect
      .poll(async () => {
        const result: unknown = await Promise.resolve(verifier.verify(await token())).catch(() => undefined);
        return result;
      })
      .toMatchObject({ kind: 'user' });
    expect(forgotten).toBe(1);
    expect(cluster.provider.keyRequests - requests).toBe(1);
    // A flood of tokens with unknown keys costs the issuer one question in an interval.
    const flood = await Promise.all(Array.from({ length: 50 }, () => token({}, { key: strange })));
    const asking = cluster.provider.keyRequests;
    await Promise.allSettled(flood.map(async (each) => verifier.verify(each)));
    expect(cluster.provider.keyRequests - asking).toBeLessThanOrEqual(1);
    await expect(Promise.resolve(verifier.verify(flood[0] ?? ''))).rejects.toMatchObject({
      reason: 'tokenKeyUnknown',
    });
  });

  it.each([
    ['nobody answers', undefined],
    [
      'it calls itself otherwise',
      { issuer: 'https://other.example', jwks_uri: 'https://other.example/jwks' },
    ],
    ['its keys come without TLS from elsewhere', { jwks_uri: 'http://10.255.255.1/jwks' }],
    ['it answers no JSON', 'hello'],
  ])('cannot be had where %s: UNAVAILABLE, to be tried again', async (_why, document) => {
    const { IssuerKeys } = await import('../../src/auth/issuer-keys.ts');
    const server = createServer((_request, response) => {
      if (document === undefined) return void response.destroy();
      response.end(
        typeof document === 'string' ? document : JSON.stringify({ issuer: address, ...document }),
      );
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
    const reasons: string[] = [];
    const keys = new IssuerKeys({
      issuer: address,
      onFailure: (reason) => reasons.push(reason),
      onChange: () => undefined,
    });
    const asking = keys.key({ alg: 'RS256' }, { payload: '', signature: '' });
    await expect(Promise.resolve(asking)).rejects.toMatchObject({
      reason: 'issuerUnavailable',
      code: 'unavailable',
    });
    expect(reasons).toHaveLength(1);
    await new Promise((resolve) => server.close(resolve));
  });
});
