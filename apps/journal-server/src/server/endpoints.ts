/** What the HTTP endpoint answers. */
import { authenticates, parseAddress, type ServerConfig } from '../config/index.ts';
import type { ClusterFacts } from './facts.ts';
import { json, type HttpRoute } from './http.ts';

export interface EndpointSources {
  readonly facts: () => ClusterFacts;
  readonly config: ServerConfig;
  readonly version: string;
  /** What stopped consensus or storage for good; undefined while they work. */
  readonly fatal: () => string | undefined;
  /** Why this node should get no traffic; nothing where it should. */
  readonly unreadiness: () => Promise<readonly string[]>;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>;
}

/** Paths that are answered over loopback only: these tell of the inside of a cluster that knows who calls. */
export function localPaths({ auth, tls }: ServerConfig): ReadonlySet<string> {
  if (!authenticates({ auth, tls })) return new Set();
  const guarded = { '/metrics': auth.metrics, '/discovery': auth.discovery };
  return new Set(Object.entries(guarded).flatMap(([path, who]) => (who === 'local' ? [path] : [])));
}

/** `/health`, `/ready`, `/metrics`, `/discovery` and `/auth/discovery`. */
export function endpointRoutes(sources: EndpointSources): ReadonlyMap<string, HttpRoute> {
  const { facts, config, version } = sources;
  const summary = (): object => {
    const { nodeId, clusterId, role, leaderId, term, commitIndex, appliedIndex } = facts();
    return {
      node_id: nodeId,
      cluster_id: clusterId,
      role,
      leader_id: leaderId,
      term,
      commit_index: commitIndex,
      applied_index: appliedIndex,
      version,
    };
  };
  return new Map<string, HttpRoute>([
    [
      '/health',
      () => {
        const fatal = sources.fatal();
        return fatal === undefined
          ? json(200, { status: 'ok', ...summary() })
          : json(503, { status: 'failed', reason: fatal, ...summary() });
      },
    ],
    [
      '/ready',
      async () => {
        const reasons = await sources.unreadiness();
        return json(reasons.length === 0 ? 200 : 503, { ready: reasons.length === 0, reasons, ...summary() });
      },
    ],
    [
      '/metrics',
      async () => {
        const { contentType, body } = await sources.metrics();
        return { status: 200, contentType, body };
      },
    ],
    ['/discovery', () => json(200, discovery(facts(), config))],
    [
      '/auth/discovery',
      () =>
        json(200, {
          idp_url: config.auth.idpUrl === '' ? config.auth.issuer : config.auth.idpUrl,
          client_id: config.auth.clientId,
          scopes: config.auth.scopes,
          ...(config.auth.issuer === ''
            ? {}
            : { issuer: config.auth.issuer, audience: config.auth.audience }),
        }),
    ],
  ]);
}

/** What another system needs to know to place itself: on the same machines, clear of what the journal takes there. */
function discovery({ clusterId, leaderId, term, members }: ClusterFacts, config: ServerConfig): object {
  const { node, listen, lattice } = config;
  return {
    cluster_id: clusterId,
    leader_id: leaderId,
    term,
    mode: node.mode,
    members: members.map(({ id, role, grpc, raft, metrics }) => ({
      id,
      role,
      voter: role !== 'learner',
      host: parseAddress(raft)?.host ?? '',
      grpc,
      raft,
      metrics,
    })),
    node: {
      id: node.id,
      ports: { grpc: listen.grpc.port, raft: listen.raft.port, metrics: listen.metrics.port },
      data_dir: node.dataDir,
    },
    lattice:
      node.mode === 'standalone'
        ? null
        : { raft_port: lattice.raftPort, grpc_port: lattice.grpcPort, rest_port: lattice.restPort },
  };
}
