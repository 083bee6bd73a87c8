/**
 * An OpenID provider to try a secured journal with: `oidc-provider` on loopback, in memory, with a client for each
 * role. A client's name is its role. Nothing to run in earnest: its secrets are written here.
 */
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { Provider, type Configuration } from 'oidc-provider';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '9080' },
    audience: { type: 'string', default: 'pact-journal' },
    role: {
      type: 'string',
      multiple: true,
      default: ['pact-platform-admin', 'pact-ops-ml', 'pact-viewer-ml'],
    },
  },
});
const issuer = `http://127.0.0.1:${values.port}`;
const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });

const configuration: Configuration = {
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'example', alg: 'RS256', use: 'sig' }] },
  clients: values.role.map((role) => ({
    client_id: role,
    client_secret: `secret-of-${role}`,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })),
  ttl: { ClientCredentials: 3_600 },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        scope: '',
        audience: values.audience,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  extraTokenClaims: (_context, token) => ({ pact_role: token.clientId, pact_principal_type: 'human' }),
};

const answer = new Provider(issuer, configuration).callback();
createServer((request, response) => void answer(request, response)).listen(
  Number(values.port),
  '127.0.0.1',
  () => {
    process.stdout.write(`issuer: ${issuer}\nroles: ${values.role.join(', ')}\n`);
  },
);
