/** A real OpenID provider on loopback (`oidc-provider`), whose keys the test has, so that it can sign what it likes. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWK, type JWTPayload } from 'jose';
import { Provider, type Configuration } from 'oidc-provider';

export const AUDIENCE = 'pact-journal';

export interface SigningKey {
  readonly kid: string;
  readonly algorithm: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
  readonly privateJwk: JWK;
}

export async function signingKey(kid: string, algorithm = 'RS256'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const [publicJwk, privateJwk] = [await exportJWK(publicKey), await exportJWK(privateKey)];
  const about = { kid, alg: algorithm, use: 'sig' };
  return {
    kid,
    algorithm,
    privateKey,
    publicJwk: { ...publicJwk, ...about },
    privateJwk: { ...privateJwk, ...about },
  };
}

export interface TokenOptions {
  readonly key?: SigningKey;
  readonly issuer?: string;
  readonly audience?: string | readonly string[];
  readonly subject?: string;
  /** Seconds from now. */
  readonly expiresIn?: number;
  readonly notBefore?: number;
  readonly header?: Readonly<Record<string, unknown>>;
}

/** Answers discovery and keys as `oidc-provider` does, and issues tokens for clients by their credentials. */
export class OpenIdProvider {
  readonly issuer: string;
  key: SigningKey;
  /** How often its keys were asked for. */
  keyRequests = 0;
  readonly #server: Server;
  #provider: Provider;

  private constructor(server: Server, issuer: string, key: SigningKey) {
    this.#server = server;
    this.issuer = issuer;
    this.key = key;
    this.#provider = providerOf(issuer, [key]);
    server.on('request', (request, response) => {
      if (request.url === '/jwks') this.keyRequests += 1;
      void this.#provider.callback()(request, response);
    });
  }

  static async start(): Promise<OpenIdProvider> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return new OpenIdProvider(server, `http://127.0.0.1:${String(port)}`, await signingKey('first'));
  }

  /** From now on it has these keys and no others. */
  rotate(...keys: readonly [SigningKey, ...SigningKey[]]): void {
    this.key = keys[0];
    this.#provider = providerOf(this.issuer, keys);
  }

  /** As an issuer would make it; everything can be made wrong. */
  token(claims: JWTPayload, options: TokenOptions = {}): Promise<string> {
    const {
      key = this.key,
      subject = 'alice@example.org',
      expiresIn = 600,
      notBefore,
      header = {},
    } = options;
    const now = Math.floor(Date.now() / 1_000);
    const audience = options.audience ?? AUDIENCE;
    const jwt = new SignJWT(claims)
      .setProtectedHeader({ alg: key.algorithm, kid: key.kid, typ: 'at+jwt', ...header })
      .setIssuer(options.issuer ?? this.issuer)
      .setAudience(typeof audience === 'string' ? audience : [...audience])
      .setSubject(subject)
      .setIssuedAt(now)
      .setExpirationTime(now + expiresIn);
    if (notBefore !== undefined) jwt.setNotBefore(now + notBefore);
    return jwt.sign(key.privateKey);
  }

  /** A token that the provider itself issues to a client, by the grant of client credentials. */
  async issuedToken(clientId: string): Promise<string> {
    const response = await fetch(`${this.issuer}/token`, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        authorization: `Basic ${Buffer.from(`${clientId}:secret-of-${clientId}`).toString('base64')}`,
      },
      body: new URLSearchParams({ grant_type: 'client_credentials', resource: 'urn:pact-journal' }),
    });
    const answer = (await response.json()) as { readonly access_token?: string };
    if (answer.access_token === undefined) throw new Error(`no token: ${JSON.stringify(answer)}`);
    return answer.access_token;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

function providerOf(issuer: string, keys: readonly SigningKey[]): Provider {
  const configuration: Configuration = {
    jwks: { keys: keys.map(({ privateJwk }) => privateJwk) },
    clients: ['pact-platform-admin', 'pact-viewer-ml'].map((client_id) => ({
      client_id,
      client_secret: `secret-of-${client_id}`,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: '',
          audience: AUDIENCE,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
    // A client's name is its role here; a real provider looks it up.
    extraTokenClaims: (_context, token) => ({ pact_role: [token.clientId] }),
  };
  return new Provider(issuer, configuration);
}
