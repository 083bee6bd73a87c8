import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import {
  ConfigError,
  loadConfig,
  settingRows,
  settingsReference,
  type ConfigSources,
  type LoadedConfig,
} from '../../src/config/index.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pact-config-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

async function load(toml: string | undefined, more: Partial<ConfigSources> = {}): Promise<LoadedConfig> {
  const file = join(directory, 'journal.toml');
  if (toml !== undefined) await writeFile(file, toml);
  return loadConfig({ file: toml === undefined ? undefined : file, environment: {}, flags: {}, ...more });
}

async function problemOf(toml: string | undefined, more: Partial<ConfigSources> = {}): Promise<string> {
  const error: unknown = await load(toml, more).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ConfigError)) throw new Error(`expected a ConfigError, got ${String(error)}`);
  return error.message.replaceAll(`${directory}/`, '');
}

const origin = (loaded: LoadedConfig, key: string): string | undefined =>
  loaded.settings.find((item) => item.row.key === key)?.origin.replaceAll(`${directory}/`, '');

describe('sources', () => {
  it('gives every setting its default when nothing is set, and listens on loopback only', async () => {
    const loaded = await load(undefined);
    expect(loaded.config.listen.grpc).toEqual({ host: '127.0.0.1', port: 9443 });
    expect(loaded.config.listen.raft.port).toBe(9444);
    expect(loaded.config.listen.metrics.port).toBe(9091);
    expect(loaded.config.node.dataDir).toBe('/var/lib/pact/journal');
    expect(loaded.config.limits.maxConcurrentBootStreams).toBe(15_000);
    expect(
      loaded.settings
        .filter((item) => item.row.section !== 'advertise')
        .every((item) => item.origin === 'default'),
    ).toBe(true);
  });

  it('lets flags win over variables and variables over the file, and says which one did', async () => {
    const toml = '[node]\nid = 2\ndata_dir = "/from/file"\n[log]\nlevel = "warn"\n';
    const environment = { PACT_JOURNAL_DATA_DIR: '/from/variable', PACT_JOURNAL_LOG_LEVEL: 'error' };
    const loaded = await load(toml, { environment, flags: { 'log-level': 'debug' } });
    expect(loaded.config.node).toMatchObject({ id: 2, dataDir: '/from/variable' });
    expect(loaded.config.log.level).toBe('debug');
    expect(origin(loaded, 'node.id')).toBe('journal.toml:2');
    expect(origin(loaded, 'node.data_dir')).toBe('$PACT_JOURNAL_DATA_DIR');
    expect(origin(loaded, 'log.level')).toBe('--log-level');
  });

  it('finds the file by PACT_JOURNAL_CONFIG', async () => {
    const file = join(directory, 'named.toml');
    await writeFile(file, '[node]\nid = 7\n');
    const loaded = await loadConfig({ environment: { PACT_JOURNAL_CONFIG: file }, flags: {} });
    expect(loaded.config.node.id).toBe(7);
  });

  it('reads members from tables, from text in TOML, from a variable and from repeated flags alike', async () => {
    const text = ['1=127.0.0.1:1001,127.0.0.1:1002', '2=[::1]:2001,node2:2002,node2:2003,learner'];
    const expected = [
      {
        id: 1,
        raft: { host: '127.0.0.1', port: 1001 },
        grpc: { host: '127.0.0.1', port: 1002 },
        metrics: undefined,
        learner: false,
      },
      {
        id: 2,
        raft: { host: '::1', port: 2001 },
        grpc: { host: 'node2', port: 2002 },
        metrics: { host: 'node2', port: 2003 },
        learner: true,
      },
    ];
    const tables =
      '[[cluster.members]]\nid = 1\nraft = "127.0.0.1:1001"\ngrpc = "127.0.0.1:1002"\n' +
      '[[cluster.members]]\nid = 2\nraft = "[::1]:2001"\ngrpc = "node2:2002"\nmetrics = "node2:2003"\nlearner = true\n';
    const loads = await Promise.all([
      loadConfig({ environment: { PACT_JOURNAL_MEMBER: text.join(';') }, flags: {} }),
      loadConfig({ environment: {}, flags: { member: text } }),
    ]);
    loads.push(await load(tables), await load(`[cluster]\nmembers = ${JSON.stringify(text)}\n`));
    for (const loaded of loads) expect(loaded.config.cluster.members).toEqual(expected);
  });

  it('advertises the address of the members list, else the one listened on', async () => {
    const listed = await load('[cluster]\nmembers = ["1=10.9.8.7:1,10.9.8.7:2"]\n');
    expect(listed.config.advertise).toMatchObject({
      raft: { host: '10.9.8.7', port: 1 },
      metrics: { host: '127.0.0.1', port: 9091 },
    });
    expect(origin(listed, 'advertise.raft')).toBe('cluster.members');
    expect(origin(listed, 'advertise.metrics')).toBe('listen.metrics');
  });

  it('ignores what Kubernetes puts into every container, but not a misspelt variable', async () => {
    await expect(
      load(undefined, {
        environment: { PACT_JOURNAL_PORT_9443_TCP_ADDR: '10.0.0.1', PACT_JOURNAL_SERVICE_HOST: '10.0.0.1' },
      }),
    ).resolves.toBeDefined();
    expect(await problemOf(undefined, { environment: { PACT_JOURNAL_DATADIR: 'x' } })).toBe(
      '$PACT_JOURNAL_DATADIR: unknown variable; did you mean PACT_JOURNAL_DATA_DIR?',
    );
  });

  it('has a key, a variable and a flag of its own for every setting', () => {
    for (const part of ['key', 'variable', 'flag'] as const) {
      expect(new Set(settingRows.map((row) => row[part])).size).toBe(settingRows.length);
    }
  });
});

describe('what is wrong, where, and what would be right', () => {
  const cases: readonly (readonly [name: string, toml: string, message: string])[] = [
    [
      'a Loki that is no URL',
      '[loki]\nurl = "loki:3100"\n',
      'journal.toml:2: loki.url is no http or https URL; write for example http://loki.example:3100',
    ],
    [
      'a password on show',
      '[loki]\nurl = "http://pact:secret@loki:3100"\n',
      'journal.toml:2: loki.url has a user or password in it; use loki.username and loki.password_file',
    ],
    ...(['auth.issuer', 'auth.idp_url', 'tracing.otlp_url'] as const).map(
      (key) =>
        [
          `a password on show in ${key}`,
          `${key} = "https://pact:secret@idp.example"\n`,
          `journal.toml:1: ${key} has a user or password in it, which is shown to everybody`,
        ] as const,
    ),
    [
      'half of the credentials for Loki',
      '[loki]\nurl = "http://loki:3100"\nusername = "pact"\n',
      'journal.toml:3: loki.username and loki.password_file belong together; set both or none',
    ],
    [
      'unknown key',
      '[node]\ndata_dri = "/x"\n',
      'journal.toml:2: unknown key node.data_dri; did you mean node.data_dir?',
    ],
    [
      'key of another section',
      '[node]\nid = 1\n[storage]\nlevel = "info"\n',
      'journal.toml:4: unknown key storage.level; did you mean log.level?',
    ],
    [
      'key outside of a section',
      'data_dir = "/x"\n',
      'journal.toml:1: unknown key data_dir; did you mean node.data_dir?',
    ],
    [
      'unknown section',
      '[node]\nid = 1\n\n[listn]\n',
      'journal.toml:4: unknown key listn; did you mean listen?',
    ],
    [
      'unknown member key',
      '[[cluster.members]]\nid = 1\nraft = "a:1"\ngrpc = "a:2"\nport = 3\n',
      'journal.toml:1: cluster.members[0] is {"id":1,"raft":"a:1","grpc":"a:2","port":3}: unknown port: a member has id, raft, grpc, metrics and learner',
    ],
    [
      'bad address',
      '[listen]\ngrpc = "127.0.0.1"\n',
      'journal.toml:2: listen.grpc is "127.0.0.1": expected host:port with a port from 1 to 65535, for example "127.0.0.1:9443" or "[::1]:9443"',
    ],
    [
      'bad port',
      '[listen]\n\nraft = "127.0.0.1:70000"\n',
      'journal.toml:3: listen.raft is "127.0.0.1:70000": expected host:port with a port from 1 to 65535, for example "127.0.0.1:9443" or "[::1]:9443"',
    ],
    [
      'bad IP',
      '[listen]\nraft = "127.0.0.300:7"\n',
      'journal.toml:2: listen.raft is "127.0.0.300:7": expected host:port with a port from 1 to 65535, for example "127.0.0.1:9443" or "[::1]:9443"',
    ],
    [
      'duration without a unit',
      '[raft]\nelection_timeout = 1000\n',
      'journal.toml:2: raft.election_timeout is 1000: expected a duration from 50ms to 1m, for example "500ms", "10s", "5m" or "2h"',
    ],
    [
      'duration out of range',
      '[raft]\nelection_timeout = "5h"\n',
      'journal.toml:2: raft.election_timeout is "5h": expected a duration from 50ms to 1m, for example "500ms", "10s", "5m" or "2h"',
    ],
    [
      'bad size',
      '[limits]\nmax_message_size = "16 megs"\n',
      'journal.toml:2: limits.max_message_size is "16 megs": expected a size from 64KiB to 1GiB, for example "512KiB", "64MiB" or "1GiB"',
    ],
    [
      'fraction for an integer',
      '[node]\nid = 1.5\n',
      'journal.toml:2: node.id is 1.5: expected a whole number from 1 to 9007199254740991',
    ],
    [
      'unknown word',
      '[log]\nlevel = "loud"\n',
      'journal.toml:2: log.level is "loud": expected one of trace, debug, info, warn, error, fatal',
    ],
    ['value for a table', 'listen = 9443\n', 'journal.toml:1: listen is 9443: expected the table [listen]'],
    [
      'member without address',
      '[[cluster.members]]\nid = 1\ngrpc = "a:2"\n',
      `journal.toml:1: cluster.members[0].raft is missing: expected host:port with a port from 1 to 65535, for example "127.0.0.1:9443" or "[::1]:9443"`,
    ],
    [
      'not listed',
      '[cluster]\nmembers = ["2=a:1,a:2"]\n',
      'journal.toml:2: cluster.members does not list this node (node.id 1); list it, or join with cluster.join',
    ],
    [
      'id twice',
      '[cluster]\nmembers = ["1=a:1,a:2", "1=b:1,b:2"]\n',
      'journal.toml:2: cluster.members names id 1 twice; each member has its own id and addresses',
    ],
    [
      'learners only',
      '[cluster]\nmembers = ["1=a:1,a:2,learner"]\n',
      'journal.toml:2: cluster.members has learners only; at least one member needs a vote',
    ],
    [
      'members and join',
      '[cluster]\nmembers = ["1=a:1,a:2"]\njoin = ["a:2"]\n',
      'journal.toml:2: cluster.members and cluster.join exclude each other: a node either starts a cluster or joins one',
    ],
    [
      'one port twice',
      '[listen]\nraft = "127.0.0.1:9443"\n',
      'journal.toml:2: listen.raft and listen.grpc both use port 9443; give each its own',
    ],
    [
      'off loopback',
      '[listen]\ngrpc = "10.0.0.1:9443"\n',
      'journal.toml:2: listen.grpc is 10.0.0.1:9443, which others than this machine can reach, without TLS (tls.cert and tls.key) and authentication (auth.issuer or tls.client_ca); listen on 127.0.0.1, or accept that with --insecure',
    ],
    [
      'encrypted, but open to everybody',
      '[tls]\ncert = "c"\nkey = "k"\n[listen]\ngrpc = "10.0.0.1:9443"\n',
      'journal.toml:5: listen.grpc is 10.0.0.1:9443, which others than this machine can reach, without authentication (auth.issuer or tls.client_ca); listen on 127.0.0.1, or accept that with --insecure',
    ],
    [
      'tokens in plain text',
      '[auth]\nissuer = "https://login.example"\n[listen]\ngrpc = "10.0.0.1:9443"\n',
      'journal.toml:4: listen.grpc is 10.0.0.1:9443, which others than this machine can reach, without TLS (tls.cert and tls.key); listen on 127.0.0.1, or accept that with --insecure',
    ],
    [
      'an open Raft port',
      '[listen]\nraft = "10.0.0.1:9444"\n',
      'journal.toml:2: listen.raft is 10.0.0.1:9444, which others than this machine can reach, without TLS and authentication (peer.cert, peer.key and peer.ca); listen on 127.0.0.1, or accept that with --insecure',
    ],
    [
      'a certificate without its key',
      '[tls]\ncert = "c"\n',
      'journal.toml:2: tls.cert is set but tls.key is not; a certificate and its key come together',
    ],
    [
      'client certificates without TLS',
      '[tls]\nclient_ca = "c"\n',
      'journal.toml:2: tls.client_ca needs TLS on the client port: set tls.cert and tls.key too',
    ],
    [
      'half of mutual TLS',
      '[peer]\nca = "c"\n',
      'journal.toml:2: peer.cert, peer.key and peer.ca come together: set all three or none',
    ],
    [
      'members that could not pass calls on',
      '[cluster]\nmembers = ["1=a:1,a:2", "2=b:1,b:2"]\n[auth]\nissuer = "https://login.example"\n',
      'journal.toml:4: members pass calls on to each other, and must know each other where clients are to be known: set peer.cert, peer.key and peer.ca',
    ],
    [
      'keys of anybody',
      '[auth]\nissuer = "http://login.example"\n',
      "journal.toml:2: auth.issuer is http://login.example: keys that are read without TLS can be anybody's; use https://",
    ],
    [
      'a signature that needs a shared secret',
      '[auth]\nalgorithms = ["HS256"]\n',
      'journal.toml:2: auth.algorithms[0] is "HS256": expected one of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA',
    ],
    [
      'more patience with clocks than a minute',
      '[auth]\nclock_skew = "61s"\n',
      'journal.toml:2: auth.clock_skew is "61s": expected a duration from 0ms to 1m, for example "500ms", "10s", "5m" or "2h"',
    ],
    [
      'wildcard advertised',
      '[node]\ninsecure = true\n[listen]\ngrpc = "0.0.0.0:9443"\n',
      'journal.toml:4: 0.0.0.0:9443 cannot be connected to; set advertise.grpc to an address that the others reach',
    ],
    [
      'two answers',
      '[cluster]\nmembers = ["1=a:1,a:2"]\n[advertise]\nraft = "b:1"\n',
      'journal.toml:4: advertise.raft is b:1 but cluster.members says a:1; leave one of them out',
    ],
    [
      "lattice's port",
      '[node]\nmode = "co-located"\n[listen]\nraft = "127.0.0.1:9000"\n',
      "journal.toml:4: listen.raft uses port 9000, which is lattice-server's Raft port on this machine; choose another",
    ],
    [
      "lattice's directory",
      '[node]\nmode = "co-located"\ndata_dir = "/srv/lattice/x"\n[lattice]\ndata_dir = "/srv/lattice"\n',
      'journal.toml:3: node.data_dir /srv/lattice/x and lattice.data_dir /srv/lattice overlap; the two systems share nothing',
    ],
    [
      'hasty elections',
      '[raft]\nelection_timeout = "200ms"\n',
      'journal.toml:2: raft.election_timeout is 200ms, less than 5 times raft.heartbeat_interval (100ms); a lost heartbeat would cost an election',
    ],
  ];
  it.each(cases)('%s', async (_name, toml, message) => {
    expect(await problemOf(toml)).toBe(message);
  });

  it('a file that is no TOML, with line and column', async () => {
    expect(await problemOf('[node]\nid = \n')).toMatch(/^journal\.toml:2:\d+: not valid TOML: \S/);
  });

  it('a file that is not there', async () => {
    await expect(
      loadConfig({ file: join(directory, 'none.toml'), environment: {}, flags: {} }),
    ).rejects.toThrow(
      /none\.toml: cannot read this configuration file \(ENOENT\); name another with --config$/,
    );
  });

  it('flags and variables are named like file lines', async () => {
    expect(await problemOf(undefined, { flags: { 'node-id': 'one' } })).toMatch(
      /^--node-id: node\.id is "one": expected a whole number/,
    );
    expect(await problemOf(undefined, { environment: { PACT_JOURNAL_INSECURE: 'maybe' } })).toBe(
      '$PACT_JOURNAL_INSECURE: node.insecure is "maybe": expected true or false',
    );
  });

  it('every problem has its line', async () => {
    expect((await problemOf('[node]\nidd = 1\n[log]\nlevel = "x"\n')).split('\n')).toHaveLength(2);
  });

  it('an address off loopback is accepted when insecure says so', async () => {
    const loaded = await load('[listen]\ngrpc = "10.0.0.1:9443"\n', { flags: { insecure: true } });
    expect(loaded.config.listen.grpc.host).toBe('10.0.0.1');
  });
});

describe('shipped configurations', () => {
  it.each(['standalone', 'co-located'] as const)('config/%s.toml is valid and complete', async (mode) => {
    const file = new URL(`../../config/${mode}.toml`, import.meta.url).pathname;
    const loaded = await loadConfig({ file, environment: {}, flags: {} });
    expect(loaded.config.node.mode).toBe(mode);
    const source = await readFile(file, 'utf8');
    const missing = settingRows
      .filter((row) => row.section !== 'lattice' || mode === 'co-located')
      .filter((row) => !['cluster.members', 'cluster.join'].includes(row.key))
      .filter((row) => loaded.settings.find((item) => item.row === row)?.origin === 'default');
    expect(missing.map((row) => row.key)).toEqual([]);
    expect(source).toContain('[[cluster.members]]');
  });

  it('config/standalone.toml states the defaults', async () => {
    const file = new URL('../../config/standalone.toml', import.meta.url).pathname;
    const loaded = await loadConfig({ file, environment: {}, flags: {} });
    expect(loaded.config).toEqual((await load(undefined)).config);
  });
});

test('SETTINGS.md is what `pact-journal config reference` prints', async () => {
  const file = new URL('../../SETTINGS.md', import.meta.url).pathname;
  expect(await readFile(file, 'utf8')).toBe(settingsReference());
});

test.each(['gs://bucket/p', 's3://key:secret@bucket/p', 's3://', 'file://elsewhere/p'])(
  'backup.url %j is refused before anything is started',
  async (url) => {
    await expect(loadConfig({ environment: {}, flags: { 'backup-url': url } })).rejects.toThrow(
      'backup.url is',
    );
  },
);

test.each(['', '/mnt/backup', 'file:///mnt/backup', 's3://bucket', 's3://bucket/p?region=r'])(
  'backup.url %j is taken',
  async (url) => {
    const { config } = await loadConfig({ environment: {}, flags: { 'backup-url': url } });
    expect(config.backup.url).toBe(url);
  },
);
