/** Servers with TLS on both ports, a real OpenID provider and real certificates, all in this process. */
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { credentials, Metadata, type ChannelCredentials } from '@grpc/grpc-js';
import { pino } from 'pino';
import { expect, vi } from 'vitest';
import { Authority } from '../../src/certs/authority.ts';
import { initCerts } from '../../src/certs/init.ts';
import { formatAddress, loadConfig } from '../../src/config/index.ts';
import { startServer, type RunningServer } from '../../src/server/server.ts';
import { OpenIdProvider } from './openid-provider.ts';
import { freePorts } from './test-cluster.ts';

export const CLUSTER_ID = 'secured';

export interface SecuredOptions {
  readonly nodes?: number;
  /** Compute nodes that get certificates. */
  readonly computeNodes?: readonly string[];
  readonly flags?: Readonly<Record<string, string>>;
}

/** A server, and what it wrote to its log. */
export interface SecuredNode {
  readonly id: number;
  readonly grpc: string;
  readonly raft: string;
  readonly metrics: string;
  readonly server: RunningServer;
  readonly log: readonly string[];
}

export class SecuredCluster {
  readonly nodes: readonly SecuredNode[];
  readonly provider: OpenIdProvider;
  /** As `certs init` has made it. */
  readonly folder: string;
  readonly #directory: string;

  private constructor(directory: string, provider: OpenIdProvider, nodes: readonly SecuredNode[]) {
    this.#directory = directory;
    this.folder = join(directory, 'certs');
    this.provider = provider;
    this.nodes = nodes;
  }

  static async start(options: SecuredOptions = {}): Promise<SecuredCluster> {
    const { nodes: count = 1, computeNodes = ['node-1', 'node-2'], flags = {} } = options;
    const directory = await mkdtemp(join(tmpdir(), 'pact-secured-'));
    const provider = await OpenIdProvider.start();
    const ids = Array.from({ length: count }, (_, index) => index + 1);
    const folder = join(directory, 'certs');
    await initCerts({ folder, clusterId: CLUSTER_ID, members: ids, hosts: [], nodes: computeNodes, days: 2 });
    const first = await freePorts(3 * count);
    const addressOf = (id: number, port: number): string =>
      `127.0.0.1:${String(first + 3 * (id - 1) + port)}`;
    const members = ids.map(
      (id) => `${String(id)}=${addressOf(id, 1)},${addressOf(id, 0)},${addressOf(id, 2)}`,
    );
    const start = (id: number): Promise<SecuredNode> =>
      startNode({
        id,
        addresses: [addressOf(id, 0), addressOf(id, 1), addressOf(id, 2)],
        directory,
        issuer: provider.issuer,
        flags: { ...(count === 1 ? {} : { member: members }), ...flags },
      });
    const nodes = await Promise.all(ids.map(start));
    await Promise.all(nodes.map(ready));
    return new SecuredCluster(directory, provider, nodes);
  }

  /** A server that is not in the group yet and asks one that is to let it in. The caller stops it. */
  async join(id: number, known: SecuredNode): Promise<SecuredNode> {
    const plan = { clusterId: CLUSTER_ID, members: [id], hosts: [], nodes: [], days: 2 };
    await initCerts({ folder: this.folder, ...plan });
    const first = await freePorts(3);
    const address = (at: number): string => `127.0.0.1:${String(first + at)}`;
    return startNode({
      id,
      addresses: [address(0), address(1), address(2)],
      directory: this.#directory,
      issuer: this.provider.issuer,
      flags: { join: [known.grpc] },
    });
  }

  get only(): SecuredNode {
    return this.node(1);
  }

  node(id: number): SecuredNode {
    const found = this.nodes.find((node) => node.id === id);
    if (found === undefined) throw new Error(`there is no node ${String(id)}`);
    return found;
  }

  file(name: string): string {
    return join(this.folder, name);
  }

  /** Signs whatever the test wants, with the key of one of the authorities. */
  async authority(name: 'server-ca' | 'client-ca' | 'peer-ca'): Promise<Authority> {
    return Authority.open({
      cert: await readFile(this.file(`${name}.pem`), 'utf8'),
      key: await readFile(this.file(`${name}.key`), 'utf8'),
    });
  }

  /** As a client connects that trusts the server's authority; with a certificate where one is given. */
  channel(identity: { readonly cert?: string; readonly key?: string } = {}): ChannelCredentials {
    return credentials.createFromSecureContext(createSecureContext(this.tls(identity)));
  }

  tls(identity: { readonly cert?: string; readonly key?: string } = {}): SecureContextOptions {
    return { ca: readFileSync(this.file('server-ca.pem')), minVersion: 'TLSv1.3', ...identity };
  }

  /** The certificate and key that `certs init` made, for example `node-node-1/client`. */
  identity(name: string): { readonly cert: string; readonly key: string } {
    return {
      cert: readFileSync(this.file(`${name}.pem`), 'utf8'),
      key: readFileSync(this.file(`${name}.key`), 'utf8'),
    };
  }

  /** Metadata with a token of somebody with these roles. */
  async as(...roles: readonly string[]): Promise<Metadata> {
    return bearer(
      await this.provider.token({ pact_role: roles }, { subject: `${roles.join('+')}@example.org` }),
    );
  }

  /** Refusals that the metrics tell of, by reason. */
  async failures(id = 1): Promise<Readonly<Record<string, number>>> {
    const response = await fetch(`http://${this.node(id).metrics}/metrics`);
    const found = (await response.text()).matchAll(/^pact_auth_failures_total\{reason="(\w+)"\} (\d+)$/gm);
    return Object.fromEntries([...found].map(([, reason = '', count]) => [reason, Number(count)] as const));
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map(({ server }) => server.stop()));
    await this.provider.stop();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

interface NodePlan {
  readonly id: number;
  readonly addresses: readonly [grpc: string, raft: string, metrics: string];
  readonly directory: string;
  readonly issuer: string;
  readonly flags: Readonly<Record<string, string | readonly string[]>>;
}

async function startNode({ id, addresses, directory, issuer, flags }: NodePlan): Promise<SecuredNode> {
  const [grpc, raft, metrics] = addresses;
  const { config } = await loadConfig({
    environment: {},
    flags: {
      'node-id': String(id),
      'cluster-id': CLUSTER_ID,
      'data-dir': join(directory, `node-${String(id)}`),
      'listen-grpc': grpc,
      'listen-raft': raft,
      'listen-metrics': metrics,
      ...protection(join(directory, 'certs'), id),
      'auth-issuer': issuer,
      'tls-reload-interval': '100ms',
      ...flags,
    },
  });
  const log: string[] = [];
  const sink = { write: (line: string): void => void log.push(line) };
  const { signal } = new AbortController();
  const server = await startServer(config, { log: pino({}, sink), version: '0.0.0', signal });
  return {
    id,
    grpc: formatAddress(config.listen.grpc),
    raft: formatAddress(config.listen.raft),
    metrics: formatAddress(config.listen.metrics),
    server,
    log,
  };
}

/** A server listens before its group has a leader; until then it answers that there is none. */
async function ready({ metrics }: SecuredNode): Promise<void> {
  await vi.waitFor(async () => expect((await fetch(`http://${metrics}/ready`)).status).toBe(200), {
    timeout: 30_000,
    interval: 20,
  });
}

export function bearer(token: string): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', `Bearer ${token}`);
  return metadata;
}

/** The flags that give a member its certificates, as `certs init` has made them. */
export function protection(folder: string, id: number): Readonly<Record<string, string>> {
  const own = join(folder, `member-${String(id)}`);
  return {
    'tls-cert': join(own, 'server.pem'),
    'tls-key': join(own, 'server.key'),
    'tls-client-ca': join(folder, 'client-ca.pem'),
    'peer-cert': join(own, 'peer.pem'),
    'peer-key': join(own, 'peer.key'),
    'peer-ca': join(folder, 'peer-ca.pem'),
  };
}
