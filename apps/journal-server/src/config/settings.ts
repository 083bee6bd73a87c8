/**
 * The table of settings. Everything else derives from it: the typed {@link ServerConfig}, the TOML keys, the
 * variables, the flags and their help, `config check`, and what is suggested for a misspelt key.
 */
import { parseAddress, type Address } from './address.ts';
import { lokiSettings, tracingSettings } from './telemetry-settings.ts';
import { memberList } from './members.ts';
import { setting, type Setting } from './setting.ts';
import {
  address,
  addressList,
  duration,
  flag,
  integer,
  oneOf,
  optionalAddress,
  optionalText,
  optionalUrl,
  size,
  someOf,
  text,
  textList,
} from './value-types.ts';

export type { Setting } from './setting.ts';

function loopback(port: number): Address {
  const parsed = parseAddress(`127.0.0.1:${String(port)}`);
  if (parsed === undefined) throw new Error(`assertion failed: ${String(port)} is a port`);
  return parsed;
}

const anyId = integer(1, Number.MAX_SAFE_INTEGER);
const port = integer(1, 65_535);

/** Signatures that need a private key. HMAC is not among them: its key would have to be known here. */
export const TOKEN_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const;

/** Ports and limits that other programs rely on. */
export const DEFAULT_PORTS = { grpc: 9443, raft: 9444, metrics: 9091 } as const;

export const settings = {
  node: {
    id: setting(
      anyId,
      'node-id',
      1,
      "this node's Raft id; never used again for another machine or an emptied data directory",
    ),
    dataDir: setting(
      text('DIR'),
      'data-dir',
      '/var/lib/pact/journal',
      'directory of the log, the snapshots and the vote; one process owns it',
    ),
    mode: setting(
      oneOf('standalone', 'co-located'),
      'mode',
      'standalone',
      'dedicated management nodes, or the same nodes as lattice-server',
    ),
    insecure: setting(
      flag(),
      'insecure',
      false,
      'listen off loopback although there is no TLS or no authentication',
    ),
    niceness: setting(integer(0, 19), 'niceness', 0, 'lowered CPU priority (nice(1)); 0 leaves it as it is'),
  },
  cluster: {
    id: setting(
      text('ID', 128),
      'cluster-id',
      'pact',
      'name of the Raft group; nodes and data directories of another one are refused',
    ),
    members: setting(
      memberList(),
      'member',
      [],
      'the first members of a new cluster, the same on each of them; none makes a cluster of this node alone',
    ),
    readdress: setting(
      flag(),
      'readdress',
      false,
      'the addresses in cluster.members replace those that the cluster remembers: for machines that moved',
    ),
    join: setting(
      addressList(),
      'join',
      [],
      'gRPC addresses of a running cluster that a new, empty node joins as a learner',
    ),
  },
  listen: {
    grpc: setting(address(), 'listen-grpc', loopback(DEFAULT_PORTS.grpc), 'where clients are served'),
    raft: setting(
      address(),
      'listen-raft',
      loopback(DEFAULT_PORTS.raft),
      'where the other members are served',
    ),
    metrics: setting(
      address(),
      'listen-metrics',
      loopback(DEFAULT_PORTS.metrics),
      'where /metrics, /health, /ready and /discovery are served over HTTP',
    ),
  },
  advertise: {
    grpc: setting(
      optionalAddress(),
      'advertise-grpc',
      undefined,
      "what others are told to reach clients' port by; the member's, or listen.grpc",
    ),
    raft: setting(
      optionalAddress(),
      'advertise-raft',
      undefined,
      "the same for members; the member's, or listen.raft",
    ),
    metrics: setting(
      optionalAddress(),
      'advertise-metrics',
      undefined,
      "the same for HTTP; the member's, or listen.metrics",
    ),
  },
  tls: {
    cert: setting(
      optionalText('FILE'),
      'tls-cert',
      '',
      "PEM file of the client port's certificate and what stands between it and its authority; turns TLS on there",
    ),
    key: setting(optionalText('FILE'), 'tls-key', '', "PEM file of the client port's private key"),
    clientCa: setting(
      optionalText('FILE'),
      'tls-client-ca',
      '',
      'PEM file of the authorities whose certificates say which compute node calls; turns authentication on',
    ),
    reloadInterval: setting(
      duration(100, 86_400_000),
      'tls-reload-interval',
      10_000,
      'how often certificates and keys of all ports are read again',
    ),
  },
  peer: {
    cert: setting(
      optionalText('FILE'),
      'peer-cert',
      '',
      "PEM file of this member's certificate for the Raft port; with key and ca it turns mutual TLS 1.3 on there",
    ),
    key: setting(optionalText('FILE'), 'peer-key', '', "PEM file of this member's private key"),
    ca: setting(
      optionalText('FILE'),
      'peer-ca',
      '',
      'PEM file of the authority that issues members and nobody else',
    ),
  },
  log: {
    level: setting(
      oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal'),
      'log-level',
      'info',
      'least level that is logged',
    ),
    format: setting(oneOf('json', 'pretty'), 'log-format', 'json', 'JSON lines, or lines for people'),
  },
  storage: {
    entriesPerFile: setting(
      integer(1, 65_536),
      'entries-per-file',
      4_096,
      'most log entries in one file of the log; 1 makes a file an entry',
    ),
    snapshotIntervalEntries: setting(
      integer(100, 1_000_000_000),
      'snapshot-interval-entries',
      50_000,
      'a snapshot is taken after this many log entries',
    ),
    snapshotIntervalSize: setting(
      size(2 ** 20, 2 ** 40),
      'snapshot-interval-size',
      256 * 2 ** 20,
      'or after this much of log, whichever comes first',
    ),
    retainedEntries: setting(
      integer(0, 100_000_000),
      'retained-entries',
      10_000,
      'log entries kept behind a snapshot for members that lag',
    ),
    digestInterval: setting(
      duration(100, 3_600_000),
      'digest-interval',
      1_000,
      'how often this replica compares the digest of its state with those of the others',
    ),
  },
  backup: {
    url: setting(
      optionalText('URL'),
      'backup-url',
      '',
      'store that the leader exports to, s3://BUCKET/PREFIX or file:///DIRECTORY; empty: no export',
    ),
    interval: setting(
      duration(10, 3_600_000),
      'backup-interval',
      500,
      'committed entries this close together are exported in one object',
    ),
    snapshotInterval: setting(
      duration(1_000, 31 * 86_400_000),
      'backup-snapshot-interval',
      3_600_000,
      'how often a snapshot is exported, from which a restore begins',
    ),
    keepCount: setting(
      integer(1, 1_000_000),
      'backup-keep-count',
      24,
      'newest exported snapshots that are kept whatever their age',
    ),
    keepAge: setting(
      duration(0, 10_000 * 86_400_000),
      'backup-keep-age',
      7 * 86_400_000,
      'any point that is younger can be restored, however many snapshots that takes',
    ),
  },
  raft: {
    heartbeatInterval: setting(
      duration(10, 10_000),
      'heartbeat-interval',
      100,
      'how often a leader is heard of',
    ),
    electionTimeout: setting(
      duration(50, 60_000),
      'election-timeout',
      800,
      'silence of this long, up to twice this long, starts an election; at least 5 heartbeats',
    ),
    maxPendingSize: setting(
      size(2 ** 20, 2 ** 34),
      'max-pending-size',
      64 * 2 ** 20,
      'proposals not yet committed; beyond it writes are refused as overload',
    ),
  },
  limits: {
    maxConcurrentBootStreams: setting(
      integer(1, 1_000_000),
      'max-concurrent-boot-streams',
      15_000,
      'boots streamed at once; beyond it they are told to come again',
    ),
    maxSubscribers: setting(integer(1, 1_000_000), 'max-subscribers', 20_000, 'live subscriptions at once'),
    maxMessageSize: setting(
      size(2 ** 16, 2 ** 30),
      'max-message-size',
      16 * 2 ** 20,
      'largest request that a client may send',
    ),
    readyTimeout: setting(
      duration(10, 60_000),
      'ready-timeout',
      1_000,
      '/ready says no on a node that needs longer to apply all that is committed',
    ),
    maxStreamsPerConnection: setting(
      integer(1, 100_000),
      'max-streams-per-connection',
      256,
      'calls that one connection may have open',
    ),
    maxStreamsPerIdentity: setting(
      integer(1, 1_000_000),
      'max-streams-per-identity',
      10_000,
      'calls that one user or compute node may have open on this node; needs authentication',
    ),
    maxConnections: setting(
      integer(1, 1_000_000),
      'max-connections',
      32_768,
      'connections of clients at once',
    ),
    maxConnectionsPerAddress: setting(
      integer(1, 1_000_000),
      'max-connections-per-address',
      4_096,
      'connections at once of clients at one address; needs authentication',
    ),
    connectionRatePerAddress: setting(
      integer(1, 1_000_000),
      'connection-rate-per-address',
      64,
      'connections a second that clients at one address may open in the long run, and 16 times as many at once; needs authentication',
    ),
    maxSessionMemory: setting(
      size(2 ** 20, 2 ** 36),
      'max-session-memory',
      64 * 2 ** 20,
      'what one connection may have queued for itself; answers that are shared come on top',
    ),
    maxHeaderSize: setting(size(2 ** 12, 2 ** 20), 'max-header-size', 2 ** 14, "a call's headers together"),
    handshakeTimeout: setting(
      duration(100, 600_000),
      'handshake-timeout',
      10_000,
      'how long a new connection may take for its TLS handshake and its first frames',
    ),
    stallTimeout: setting(
      duration(100, 3_600_000),
      'stall-timeout',
      30_000,
      'a client that takes less than 16 KiB of each answer that waits for it in this time loses its connection',
    ),
    floodPenalty: setting(
      duration(0, 300_000),
      'flood-penalty',
      10_000,
      'how long an address that floods can open no connection; twice as long each time that it goes on, up to 5 minutes; needs authentication',
    ),
    idleTimeout: setting(
      duration(1_000, 86_400_000),
      'idle-timeout',
      900_000,
      'a connection without calls is closed after this; clients open another when they need one',
    ),
    drainTimeout: setting(
      duration(0, 3_600_000),
      'drain-timeout',
      10_000,
      'how long a stopping node waits for boots and writes under way',
    ),
  },
  overlay: {
    rebuildDelay: setting(
      duration(0, 60_000),
      'overlay-rebuild-delay',
      5,
      'commits this close together cost one rebuild a virtual cluster',
    ),
  },
  auth: {
    issuer: setting(
      optionalUrl(),
      'auth-issuer',
      '',
      'OpenID provider whose tokens users call with, exactly as their iss says; turns authentication on',
    ),
    audience: setting(
      text('TEXT', 256),
      'auth-audience',
      'pact-journal',
      'what the aud of a token must contain',
    ),
    algorithms: setting(
      someOf(...TOKEN_ALGORITHMS),
      'auth-algorithm',
      ['RS256', 'PS256', 'ES256', 'EdDSA'],
      'signature algorithms that tokens may have',
    ),
    clockSkew: setting(
      duration(0, 60_000),
      'auth-clock-skew',
      30_000,
      "how far a token's exp and nbf may be off, because clocks are",
    ),
    rolesClaim: setting(
      text('NAME', 256),
      'auth-roles-claim',
      'pact_role',
      "claim with a user's role or roles",
    ),
    nodeClaim: setting(
      text('NAME', 256),
      'auth-node-claim',
      'pact_node_id',
      "claim that makes a token a compute node's: its value is the node's name",
    ),
    metrics: setting(
      oneOf('local', 'open'),
      'auth-metrics',
      'local',
      'with authentication: /metrics is answered to this machine only, or to everybody',
    ),
    discovery: setting(oneOf('local', 'open'), 'auth-discovery', 'local', 'the same for /discovery'),
    idpUrl: setting(
      optionalText('URL'),
      'auth-idp-url',
      '',
      'OpenID provider that /auth/discovery names; the issuer where it is empty',
    ),
    clientId: setting(optionalText('ID'), 'auth-client-id', '', 'OAuth client id that /auth/discovery names'),
    scopes: setting(
      textList('SCOPE'),
      'auth-scope',
      ['openid', 'profile'],
      'OAuth scopes that /auth/discovery names',
    ),
  },
  loki: lokiSettings,
  tracing: tracingSettings,
  lattice: {
    raftPort: setting(
      port,
      'lattice-raft-port',
      9000,
      "co-located: lattice-server's Raft port, which the journal keeps clear of",
    ),
    grpcPort: setting(port, 'lattice-grpc-port', 50051, "co-located: lattice-server's gRPC port"),
    restPort: setting(port, 'lattice-rest-port', 8080, "co-located: lattice-server's REST port"),
    dataDir: setting(
      optionalText('DIR'),
      'lattice-data-dir',
      '',
      "co-located: lattice-server's data directory",
    ),
  },
};

type Table = typeof settings;
type ValueOf<S> = S extends Setting<infer T> ? T : never;

/** A node's configuration: the table's values, checked. Durations are milliseconds, sizes bytes. */
export type ServerConfig = {
  readonly [Section in keyof Table]: {
    readonly [Name in keyof Table[Section]]: ValueOf<Table[Section][Name]>;
  };
};

/** A row of the table under the names by which the outside knows it. */
export interface SettingRow {
  readonly section: string;
  readonly name: string;
  /** In TOML, for example `storage.snapshot_interval_entries`. */
  readonly key: string;
  readonly variable: string;
  readonly flag: string;
  readonly setting: Setting<unknown>;
}

/** A setting's value and who set it. */
export interface EffectiveSetting {
  readonly row: SettingRow;
  readonly value: unknown;
  /** `FILE:LINE`, `$VARIABLE`, `--flag`, `default`, or which other setting it follows. */
  readonly origin: string;
}

export const VARIABLE_PREFIX = 'PACT_JOURNAL_';

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** The table as a list. */
export const settingRows: readonly SettingRow[] = Object.entries<Readonly<Record<string, Setting<unknown>>>>(
  settings,
).flatMap(([section, entries]) =>
  Object.entries(entries).map(([name, row]) => ({
    section,
    name,
    key: `${section}.${snakeCase(name)}`,
    variable: VARIABLE_PREFIX + row.flag.replaceAll('-', '_').toUpperCase(),
    flag: row.flag,
    setting: row,
  })),
);
