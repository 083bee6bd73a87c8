import { Client, credentials } from '@grpc/grpc-js';
import type { Member, NodeId } from '@pact-journal/raft-core';
import type { Hello } from '../gen/raft/v1/raft.ts';
import { PROTOCOL_VERSIONS } from '../inbound/version-rule.ts';
import type { ResolvedOptions } from '../options.ts';

/** What a caller needs to know of itself. */
export type CallerOptions = Pick<
  ResolvedOptions,
  | 'id'
  | 'clusterId'
  | 'release'
  | 'timeOfDayMs'
  | 'channelCredentials'
  | 'channelOptions'
  | 'limits'
  | 'timings'
>;

/** A connection of its own to a peer. */
export function openClient(options: CallerOptions, peer: Pick<Member, 'id' | 'address'>): Client {
  const { limits, timings, channelOptions } = options;
  const channelCredentials = options.channelCredentials?.(peer) ?? credentials.createInsecure();
  return new Client(peer.address, channelCredentials, {
    'grpc.max_receive_message_length': limits.maxFrameBytes,
    'grpc.max_send_message_length': limits.maxFrameBytes,
    'grpc.keepalive_time_ms': timings.keepaliveMs,
    'grpc.keepalive_timeout_ms': timings.keepaliveTimeoutMs,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc-node.flow_control_window': limits.windowBytes,
    // A connection of its own for each lane, and no retries but ours.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc-node.max_session_memory': limits.maxSessionMemoryMib,
    ...channelOptions,
  });
}

/** Who this node says it is. `address` is where its own peer port is; empty where it has none. */
export function helloFrom(
  options: Pick<CallerOptions, 'id' | 'clusterId' | 'release' | 'timeOfDayMs'>,
  { to, lane, address }: { readonly to: NodeId; readonly lane: Hello['lane']; readonly address: string },
): Hello {
  return {
    clusterId: options.clusterId,
    nodeId: options.id,
    protocolVersion: PROTOCOL_VERSIONS.newest,
    oldestProtocolVersion: PROTOCOL_VERSIONS.oldest,
    softwareVersion: options.release?.version ?? '',
    oldestPeerVersion: options.release?.oldestPeer ?? '',
    timeMs: Math.round(options.timeOfDayMs?.() ?? 0),
    lane,
    toNodeId: to,
    address,
  };
}
