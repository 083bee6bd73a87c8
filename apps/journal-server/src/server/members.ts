/** Members between the configuration, Raft and those who ask. */
import { toNodeId, type Member, type NodeId } from '@pact-journal/raft-core';
import { formatAddress, type ConfiguredMember, type ServerConfig } from '../config/index.ts';

/** Where a member serves clients and metrics travels in its attributes, so that every node can name the leader's port. */
export function raftMember(id: number, raft: string, grpc: string, metrics: string, version: string): Member {
  return { id: toNodeId(id), address: raft, attributes: { grpc, metrics, version } };
}

/** This node, as it advertises itself. */
export function selfMember(config: ServerConfig, version: string): Member {
  const { grpc, raft, metrics } = config.advertise;
  return raftMember(
    config.node.id,
    text(raft ?? config.listen.raft),
    text(grpc ?? config.listen.grpc),
    text(metrics ?? config.listen.metrics),
    version,
  );
}

/** The founders of a new cluster; none for a node that joins one. */
export function founders(
  config: ServerConfig,
  version: string,
): { readonly members: readonly Member[]; readonly learners: readonly NodeId[] } | undefined {
  const { members, join } = config.cluster;
  if (join.length > 0) return undefined;
  const self = selfMember(config, version);
  if (members.length === 0) return { members: [self], learners: [] };
  return {
    // Every founder must say exactly the same of all, so what only the node itself knows is left out.
    members: members.map((member) => configured(member)),
    learners: members.filter((member) => member.learner).map((member) => toNodeId(member.id)),
  };
}

function configured(member: ConfiguredMember): Member {
  const metrics = member.metrics === undefined ? '' : formatAddress(member.metrics);
  return raftMember(member.id, formatAddress(member.raft), formatAddress(member.grpc), metrics, '');
}

/** A member as the configuration lists it, where addresses were told to be replaced; else the member as it is. */
export function readdress(config: ServerConfig): (member: Member) => Member {
  if (!config.cluster.readdress) return (member) => member;
  const listed = new Map(config.cluster.members.map((member) => [member.id, configured(member)]));
  return (member) => {
    const known = listed.get(member.id);
    return known === undefined
      ? member
      : { ...member, address: known.address, attributes: { ...member.attributes, ...known.attributes } };
  };
}

function text(address: Parameters<typeof formatAddress>[0]): string {
  return formatAddress(address);
}
