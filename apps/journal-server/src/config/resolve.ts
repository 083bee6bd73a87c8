/** What no single setting can know: defaults that follow other settings, and settings that contradict each other. */
import { resolve as resolvePath } from 'node:path';
import { formatAddress, isLoopback, isWildcard, sameAddress, type Address } from './address.ts';
import type { ConfigProblem } from './errors.ts';
import { lokiConflicts } from './loki-conflicts.ts';
import type { ConfiguredMember } from './members.ts';
import { missingProtection, securityConflicts, type OriginOf } from './security.ts';
import type { EffectiveSetting, ServerConfig } from './settings.ts';

const endpoints = ['grpc', 'raft', 'metrics'] as const;

export interface Resolution {
  readonly config: ServerConfig;
  readonly settings: readonly EffectiveSetting[];
  readonly conflicts: readonly ConfigProblem[];
}

/** Fills in what depends on other settings and checks them against each other. */
export function resolveConfig(given: readonly EffectiveSetting[]): Resolution {
  const merged = nest(given);
  const self = merged.cluster.members.find((member) => member.id === merged.node.id);
  const config: ServerConfig = { ...merged, advertise: advertised(merged, self) };
  const settings = given.map((item): EffectiveSetting => {
    if (item.row.section !== 'advertise' || item.value !== undefined) return item;
    const name = endpoints.find((endpoint) => endpoint === item.row.name) ?? 'grpc';
    return {
      ...item,
      value: config.advertise[name],
      origin: self?.[name] === undefined ? `listen.${name}` : 'cluster.members',
    };
  });
  const origin = (key: string): string =>
    given.find((item) => item.row.key === key)?.origin ?? 'configuration';
  const conflicts = [
    ...memberConflicts(config, self, origin),
    ...addressConflicts(config, merged.advertise, self, origin),
    ...coLocationConflicts(config, origin),
    ...timingConflicts(config, origin),
    ...backupConflicts(config, origin),
    ...lokiConflicts(config, origin),
    ...securityConflicts(config, origin),
  ].map((problem) => (problem.where === 'default' ? { ...problem, where: 'configuration' } : problem));
  return { config, settings, conflicts };
}

/** Builds the nested value from the table's rows, each of which was checked by its own schema. */
function nest(given: readonly EffectiveSetting[]): ServerConfig {
  const nested: Record<string, Record<string, unknown>> = {};
  for (const { row, value } of given) (nested[row.section] ??= {})[row.name] = value;
  return nested as unknown as ServerConfig;
}

function advertised(config: ServerConfig, self: ConfiguredMember | undefined): ServerConfig['advertise'] {
  const one = (name: (typeof endpoints)[number]): Address =>
    config.advertise[name] ?? self?.[name] ?? config.listen[name];
  return { grpc: one('grpc'), raft: one('raft'), metrics: one('metrics') };
}

function memberConflicts(
  config: ServerConfig,
  self: ConfiguredMember | undefined,
  origin: OriginOf,
): readonly ConfigProblem[] {
  const { members, join } = config.cluster;
  const problems: ConfigProblem[] = [];
  const add = (message: string): void => {
    problems.push({ code: 'conflict', where: origin('cluster.members'), message });
  };
  const seen = new Map<string, number>();
  for (const member of members) {
    for (const place of [`id ${String(member.id)}`, formatAddress(member.raft), formatAddress(member.grpc)]) {
      if (seen.has(place))
        add(`cluster.members names ${place} twice; each member has its own id and addresses`);
      seen.set(place, member.id);
    }
  }
  if (members.length > 0 && join.length > 0)
    add('cluster.members and cluster.join exclude each other: a node either starts a cluster or joins one');
  if (members.length > 0 && self === undefined) {
    add(
      `cluster.members does not list this node (node.id ${String(config.node.id)}); list it, or join with cluster.join`,
    );
  }
  if (members.length > 0 && members.every((member) => member.learner))
    add('cluster.members has learners only; at least one member needs a vote');
  return problems;
}

function addressConflicts(
  config: ServerConfig,
  advertise: ServerConfig['advertise'],
  self: ConfiguredMember | undefined,
  origin: OriginOf,
): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const used = new Map<number, string>();
  for (const name of endpoints) {
    const listen = config.listen[name];
    const key = `listen.${name}`;
    const other = used.get(listen.port);
    if (other !== undefined)
      problems.push({
        code: 'conflict',
        where: origin(key),
        message: `${key} and ${other} both use port ${String(listen.port)}; give each its own`,
      });
    used.set(listen.port, key);
    const missing = missingProtection(config, name);
    if (!isLoopback(listen.host) && missing !== undefined && !config.node.insecure) {
      problems.push({
        code: 'unsafe',
        where: origin(key),
        message: `${key} is ${formatAddress(listen)}, which others than this machine can reach, ${missing}; listen on 127.0.0.1, or accept that with --insecure`,
      });
    }
    const told = config.advertise[name];
    if (told !== undefined && isWildcard(told.host) && (config.node.insecure || missing === undefined)) {
      problems.push({
        code: 'conflict',
        where: origin(key),
        message: `${formatAddress(told)} cannot be connected to; set advertise.${name} to an address that the others reach`,
      });
    }
    const own = advertise[name];
    const listed = self?.[name];
    if (own !== undefined && listed !== undefined && !sameAddress(own, listed)) {
      problems.push({
        code: 'conflict',
        where: origin(`advertise.${name}`),
        message: `advertise.${name} is ${formatAddress(own)} but cluster.members says ${formatAddress(listed)}; leave one of them out`,
      });
    }
  }
  return problems;
}

function coLocationConflicts(config: ServerConfig, origin: OriginOf): readonly ConfigProblem[] {
  if (config.node.mode !== 'co-located') return [];
  const { lattice } = config;
  const theirs = new Map([
    [lattice.raftPort, 'Raft'],
    [lattice.grpcPort, 'gRPC'],
    [lattice.restPort, 'REST'],
  ]);
  const problems = endpoints.flatMap((name): readonly ConfigProblem[] => {
    const { port } = config.listen[name];
    const holder = theirs.get(port);
    if (holder === undefined) return [];
    return [
      {
        code: 'conflict',
        where: origin(`listen.${name}`),
        message: `listen.${name} uses port ${String(port)}, which is lattice-server's ${holder} port on this machine; choose another`,
      },
    ];
  });
  if (lattice.dataDir === '' || !overlaps(config.node.dataDir, lattice.dataDir)) return problems;
  return [
    ...problems,
    {
      code: 'conflict',
      where: origin('node.data_dir'),
      message: `node.data_dir ${config.node.dataDir} and lattice.data_dir ${lattice.dataDir} overlap; the two systems share nothing`,
    },
  ];
}

function overlaps(left: string, right: string): boolean {
  const [a, b] = [`${resolvePath(left)}/`, `${resolvePath(right)}/`];
  return a.startsWith(b) || b.startsWith(a);
}

/** The rest of an address is judged when the store is opened; one of another kind will never be one. */
function backupConflicts({ backup }: ServerConfig, origin: OriginOf): readonly ConfigProblem[] {
  const { url } = backup;
  if (!url.includes('://') || url.startsWith('file:///') || /^s3:\/\/[^/?@]+(?:[/?]|$)/.test(url)) return [];
  const message = `backup.url is ${JSON.stringify(url)}, expected s3://BUCKET/PREFIX without credentials, or file:///DIRECTORY`;
  return [{ code: 'conflict', where: origin('backup.url'), message }];
}

function timingConflicts(config: ServerConfig, origin: OriginOf): readonly ConfigProblem[] {
  const { heartbeatInterval, electionTimeout } = config.raft;
  if (electionTimeout >= 5 * heartbeatInterval) return [];
  return [
    {
      code: 'conflict',
      where: origin('raft.election_timeout'),
      message: `raft.election_timeout is ${String(electionTimeout)}ms, less than 5 times raft.heartbeat_interval (${String(heartbeatInterval)}ms); a lost heartbeat would cost an election`,
    },
  ];
}
