/** Whether a node's ports are protected, and settings about that which contradict each other. */
import { isLoopback } from './address.ts';
import type { ConfigProblem } from './errors.ts';
import type { ServerConfig } from './settings.ts';

/** Where the value of a setting comes from, by its key. */
export type OriginOf = (key: string) => string;

/** Whether the client port asks who calls. Without, everybody who reaches it may do everything. */
export function authenticates({ auth, tls }: Pick<ServerConfig, 'auth' | 'tls'>): boolean {
  return auth.issuer !== '' || tls.clientCa !== '';
}

/** Whether members prove to each other who they are. */
export function hasPeerTls({ peer }: Pick<ServerConfig, 'peer'>): boolean {
  return peer.cert !== '' && peer.key !== '' && peer.ca !== '';
}

/** What a port lacks for being reachable from elsewhere, as the end of a sentence; undefined where it lacks nothing. */
export function missingProtection(
  config: ServerConfig,
  port: 'grpc' | 'raft' | 'metrics',
): string | undefined {
  if (port === 'raft')
    return hasPeerTls(config)
      ? undefined
      : 'without TLS and authentication (peer.cert, peer.key and peer.ca)';
  const lacks = [
    ...(config.tls.cert === '' ? ['TLS (tls.cert and tls.key)'] : []),
    ...(authenticates(config) ? [] : ['authentication (auth.issuer or tls.client_ca)']),
  ];
  return lacks.length === 0 ? undefined : `without ${lacks.join(' and ')}`;
}

/** Half-configured protection is told at the start, not found out by whoever relies on it. */
export function securityConflicts(config: ServerConfig, origin: OriginOf): readonly ConfigProblem[] {
  const { tls, peer, auth, cluster, tracing } = config;
  const problems: ConfigProblem[] = [];
  const conflict = (key: string, message: string): void => {
    problems.push({ code: 'conflict', where: origin(key), message });
  };
  if ((tls.cert === '') !== (tls.key === '')) {
    const [given, missing] = tls.cert === '' ? ['tls.key', 'tls.cert'] : ['tls.cert', 'tls.key'];
    conflict(given, `${given} is set but ${missing} is not; a certificate and its key come together`);
  }
  if (tls.clientCa !== '' && tls.cert === '')
    conflict('tls.client_ca', 'tls.client_ca needs TLS on the client port: set tls.cert and tls.key too');
  const peerFiles = [peer.cert, peer.key, peer.ca].filter((file) => file !== '').length;
  if (peerFiles !== 0 && peerFiles !== 3) {
    const given = (['cert', 'key', 'ca'] as const).find((name) => peer[name] !== '') ?? 'cert';
    conflict(`peer.${given}`, 'peer.cert, peer.key and peer.ca come together: set all three or none');
  }
  const hasPeers = cluster.members.length > 1 || cluster.join.length > 0;
  if ((authenticates(config) || tls.cert !== '') && hasPeers && !hasPeerTls(config)) {
    const key = auth.issuer === '' ? 'tls.cert' : 'auth.issuer';
    const why = 'members pass calls on to each other, and must know each other where clients are to be known';
    conflict(key, `${why}: set peer.cert, peer.key and peer.ca`);
  }
  for (const [key, url] of [
    ['auth.issuer', auth.issuer],
    ['auth.idp_url', auth.idpUrl],
    ['tracing.otlp_url', tracing.otlpUrl],
  ] as const)
    if (hasCredentials(url))
      conflict(key, `${key} has a user or password in it, which is shown to everybody`);
  if (hasCredentials(auth.issuer)) return problems;
  if (auth.issuer.startsWith('http:') && !isLoopback(new URL(auth.issuer).hostname.replace(/^\[|\]$/g, ''))) {
    problems.push({
      code: 'unsafe',
      where: origin('auth.issuer'),
      message: `auth.issuer is ${auth.issuer}: keys that are read without TLS can be anybody's; use https://`,
    });
  }
  return problems;
}

/** Settings are shown in `config check`, and where people log in to everybody who asks. */
function hasCredentials(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && (url.username !== '' || url.password !== '');
}
