/** An OpenID issuer on loopback, as far as a server asks one: discovery, and the key of its tokens. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Issuer {
  readonly url: string;
  /** A token that is good for an hour, of a subject with one role. */
  token(subject: string, role: string): string;
  stop(): Promise<void>;
}

const KEY_ID = 'bench';

export async function startIssuer(): Promise<Issuer> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = { ...publicKey.export({ format: 'jwk' }), kid: KEY_ID, alg: 'ES256', use: 'sig' };
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  server.on('request', (request, response) => {
    const isKeys = request.url === '/keys';
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(isKeys ? { keys: [key] } : { issuer: url, jwks_uri: `${url}/keys` }));
  });
  return {
    url,
    token: (sub, pact_role) => {
      const exp = Math.floor(Date.now() / 1_000) + 3_600;
      const parts = [
        { alg: 'ES256', kid: KEY_ID, typ: 'JWT' },
        { iss: url, aud: 'pact-journal', sub, exp, pact_role },
      ];
      const text = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
      const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
      return `${text}.${signature.toString('base64url')}`;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
